//! An open dump: its handle and what it says about itself.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, OnceLock};

use kdump_elf::Paddr;
use kdump_ffi_core::{InOut, Out, arch_number, encoding_numbers, extensible, libkdump_error, libkdump_phdr};
use kdump_vmcore::{AddressSpace, CpuList, Dump, KernelMemory, Reader, TranslationCache};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free};
use crate::kept::{Kept, Places};
use crate::range::{LIBKDUMP_PAGE_UNKNOWN, libkdump_range, page_number};
use crate::texts::{count, phdr_step, step};

/// An ELF core.
pub const LIBKDUMP_FORMAT_ELF: u32 = 1;
/// A kdump-compressed dump.
pub const LIBKDUMP_FORMAT_KDUMP: u32 = 2;
/// A diskdump.
pub const LIBKDUMP_FORMAT_DISKDUMP: u32 = 3;
/// A flattened dump.
pub const LIBKDUMP_FORMAT_FLATTENED: u32 = 4;
/// Raw images of memory.
pub const LIBKDUMP_FORMAT_RAW: u32 = 5;
/// A format this version has no number for.
pub const LIBKDUMP_FORMAT_UNKNOWN: u32 = 0;

/// An open dump. Any number of threads may use one at the same time.
#[derive(Debug)]
pub struct libkdump_dump {
    pub(crate) dump: Dump<'static>,
    pub(crate) zero_excluded: bool,
    /// Bytes of a page; 4096 when the dump does not say.
    pub(crate) page_size: u64,
    ranges: OnceLock<Vec<libkdump_range>>,
    space: OnceLock<Arc<AddressSpace>>,
    /// Whether what one read found may serve the next one.
    keeps: bool,
    kept: Places,
    cpus: OnceLock<CpuList>,
}

impl Handle for libkdump_dump {
    const TAG: u32 = 0x706d7564;
}

impl libkdump_dump {
    pub(crate) fn new(dump: Dump<'static>, zero_excluded: bool, keeps: bool) -> Self {
        let (ranges, space, kept) = (OnceLock::new(), OnceLock::new(), Places::default());
        let page_size = dump.page_size().unwrap_or(4096);
        let cpus = OnceLock::new();
        Self { dump, zero_excluded, keeps, page_size, ranges, space, kept, cpus }
    }

    /// The ranges of memory, listed at the first call that needs them.
    pub(crate) fn ranges(&self) -> Result<&[libkdump_range], kdump_vmcore::Error> {
        if let Some(ranges) = self.ranges.get() {
            return Ok(ranges);
        }
        let mut ranges: Vec<libkdump_range> = Vec::new();
        for span in self.dump.spans() {
            let need = (ranges.len() as u64).saturating_mul(size_of::<libkdump_range>() as u64);
            let what = "the list of the dump's ranges of memory";
            ranges.try_reserve(1).map_err(|_| kdump_vmcore::Error::OutOfMemory { what, need })?;
            ranges.push(libkdump_range::stored(span));
        }
        Ok(published::<Vec<_>>(&self.ranges, || ranges))
    }

    /// The registers of the CPUs, found at the first call that needs them.
    pub(crate) fn cpus(&self) -> Result<&CpuList, kdump_vmcore::Error> {
        if let Some(cpus) = self.cpus.get() {
            return Ok(cpus);
        }
        let found = kdump_vmcore::cpu_registers(&self.dump)?;
        Ok(published(&self.cpus, || found))
    }

    /// The range an address lies in.
    pub(crate) fn range_of(&self, paddr: u64) -> Result<Option<libkdump_range>, kdump_vmcore::Error> {
        let ranges = self.ranges()?;
        let behind = ranges.partition_point(|range| range.start <= paddr);
        let range = behind.checked_sub(1).and_then(|index| ranges.get(index));
        Ok(range.filter(|range| paddr.wrapping_sub(range.start) < range.length).copied())
    }

    /// A reader of the memory, with zeros for what was left out where the caller of
    /// libkdump_dump_open() asked for that.
    pub(crate) fn reader(&self) -> Reader<'_> {
        self.dump.reader().zero_excluded(self.zero_excluded)
    }

    /// The dead kernel's address space, found out at the first call that needs it.
    pub(crate) fn space(&self) -> &Arc<AddressSpace> {
        published(&self.space, || Arc::new(AddressSpace::new(self.dump.facts())))
    }

    /// The dead kernel's memory by virtual address, for work that takes long.
    pub(crate) fn kernel(&self) -> KernelMemory<Reader<'_>> {
        let facts = self.dump.facts();
        let (class, endian) = (facts.word_class(), facts.encoding.endian);
        KernelMemory::from_parts(self.reader(), Arc::clone(self.space()), class, endian)
    }

    /// Runs `work` with a reader that goes on with what earlier calls of this thread have left, and
    /// with what they remembered of the page tables.
    pub(crate) fn with_reader<T>(&self, work: impl FnOnce(&mut Reader<'_>, &mut TranslationCache) -> T) -> T {
        self.kept.with(|Kept { scratch, translations }| {
            if !self.keeps {
                *translations = TranslationCache::default();
            }
            // Nothing of a reader is moved: it has room for all that one of its own would keep.
            let mut reader = self.dump.reader_with(scratch);
            reader.set_zero_excluded(self.zero_excluded);
            work(&mut reader, translations)
        })
    }
}

/// What `cell` holds, made by `make` when it is needed first. It is made outside the cell, so
/// that nothing waits while a function of the caller may run; of threads that make it at the
/// same time, the first one's is kept.
fn published<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    if let Some(value) = cell.get() {
        return value;
    }
    let value = make();
    cell.get_or_init(|| value)
}

/// What a dump is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_dump_info {
    /// `sizeof (struct libkdump_dump_info)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_FORMAT_ number.
    pub format: u32,
    /// LIBKDUMP_ARCH_ number, LIBKDUMP_ARCH_UNKNOWN for others.
    pub arch: u32,
    /// Word size of the file: LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64.
    pub elf_class: u32,
    /// Byte order: LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG.
    pub endian: u32,
    /// Number of program headers (libkdump_dump_phdr()).
    pub phnum: u32,
    /// Number of NT_PRSTATUS notes: libkdump_dump_cpu() may go on behind them.
    pub cpus: u32,
    /// Number of ranges of memory (libkdump_dump_range()).
    pub ranges: u32,
    /// Number of defects that were found at opening (libkdump_dump_defect()).
    pub defects: u32,
    /// 1 when nothing is known to be missing or damaged, else 0.
    pub complete: u32,
    /// Page size as VMCOREINFO has it; 0 without.
    pub page_size: u64,
    /// Bytes of RAM the dump describes, stored or not.
    pub memory: u64,
    /// Bytes the file has.
    pub file_size: u64,
    /// Bytes the file must have to hold all it says.
    pub expected_size: u64,
    /// Bytes of memory that are behind the end of the file, were behind the end of the one it was
    /// saved from, or were not written because saving ended early.
    pub missing: u64,
    /// Bytes of memory lost in another way before the dump was saved, or corrupt.
    pub unreadable: u64,
    /// 1 when saving the dump was not finished, else 0.
    pub unfinished: u32,
    /// Zero.
    pub reserved: u32,
}

extensible!(libkdump_dump_info {
    format: u32,
    arch: u32,
    elf_class: u32,
    endian: u32,
    phnum: u32,
    cpus: u32,
    ranges: u32,
    defects: u32,
    complete: u32,
    page_size: u64,
    memory: u64,
    file_size: u64,
    expected_size: u64,
    missing: u64,
    unreadable: u64,
    unfinished: u32,
    reserved: u32,
});

/// Closes a dump and gives everything back that was lent by it.
///
/// Parameters: `dump` may be NULL. No other thread may be using it.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_free(dump: Given<'_, libkdump_dump>) {
    free(dump);
}

/// The name of a dump format, for example "elf".
///
/// Parameters: `format` a LIBKDUMP_FORMAT_ constant. Returns a text that is valid forever, or
/// NULL when there is no such format.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_format_name(format: u32) -> *const c_char {
    let name = match format {
        LIBKDUMP_FORMAT_ELF => c"elf",
        LIBKDUMP_FORMAT_KDUMP => c"kdump",
        LIBKDUMP_FORMAT_DISKDUMP => c"diskdump",
        LIBKDUMP_FORMAT_RAW => c"raw",
        LIBKDUMP_FORMAT_FLATTENED => c"flattened",
        _ => return core::ptr::null(),
    };
    name.as_ptr()
}

/// What a dump is and whether it is complete.
///
/// Parameters: `dump` the dump; `out` receives the facts; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_get_info(
    dump: Lent<'_, libkdump_dump>,
    out: InOut<'_, libkdump_dump_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let place = out.place("out")?;
        let dump = &handle.dump;
        let (elf_class, endian) = encoding_numbers(dump.encoding());
        let state = dump.completeness();
        place.set(libkdump_dump_info {
            size: 0,
            format: format_number(dump.format()),
            arch: arch_number(dump.arch()),
            elf_class,
            endian,
            phnum: count(dump.phdrs().len()),
            cpus: count(dump.cpu_count()),
            ranges: count(handle.ranges()?.len()),
            defects: count(state.defects.len()),
            complete: u32::from(state.is_complete()),
            page_size: dump.page_size().unwrap_or(0),
            memory: dump.memory_size(),
            file_size: state.file_size,
            expected_size: state.expected_size,
            missing: state.missing,
            unreadable: state.unreadable,
            unfinished: u32::from(state.is_unfinished()),
            reserved: 0,
        });
        Ok::<_, Failure>(())
    })
}

/// One defect that was found at opening.
///
/// Parameters: `dump` the dump; `index` from 0; `out` is filled as if a call had failed with it;
/// `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_defect(
    dump: Lent<'_, libkdump_dump>,
    index: u32,
    out: InOut<'_, libkdump_error>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let told = |defect: &kdump_vmcore::Error| libkdump_error::of(&Failure::Vmcore(*defect));
        Ok::<_, Failure>(step(out, &handle.dump.completeness().defects, index, told)?)
    })
}

/// One program header of the dump.
///
/// Parameters: `dump` the dump; `index` from 0; `out` receives the program header; `error` may be
/// NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_phdr(
    dump: Lent<'_, libkdump_dump>,
    index: u32,
    out: Out<'_, libkdump_phdr>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        Ok::<_, Failure>(phdr_step(out, handle.dump.phdrs(), index)?)
    })
}

/// One range of the dumped machine's memory, in ascending order, holes included.
///
/// Parameters: `dump` the dump; `index` from 0; `out` receives the range with a LIBKDUMP_PAGE_
/// kind; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_range(
    dump: Lent<'_, libkdump_dump>,
    index: u32,
    out: InOut<'_, libkdump_range>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        Ok::<_, Failure>(step(out, handle.ranges()?, index, |range| *range)?)
    })
}

/// What the dump has of a page.
///
/// Parameters: `dump` the dump; `pfn` the page frame number, in pages of the dump (4096 bytes when
/// it does not say); `state` receives the LIBKDUMP_PAGE_ number of its first byte; `error` may be NULL.
///
/// A dump that has records of pages is asked for that of this page, which the ranges are not: pages
/// known to be zeros, never written, or listed in places that cannot be right are stored in the range
/// that libkdump_dump_find_range() gives, and LIBKDUMP_PAGE_ZERO, LIBKDUMP_PAGE_MISSING or
/// LIBKDUMP_PAGE_CORRUPT here.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_page_state(
    dump: Lent<'_, libkdump_dump>,
    pfn: u64,
    state: Out<'_, u32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let paddr = pfn.checked_mul(handle.page_size);
        let found = paddr.and_then(|paddr| handle.with_reader(|reader, _| reader.kind(Paddr(paddr))));
        let kind = found.map_or(crate::range::LIBKDUMP_PAGE_HOLE, page_number);
        debug_assert!(kind != LIBKDUMP_PAGE_UNKNOWN, "every state has a number");
        Ok::<_, Failure>(state.set("state", kind)?)
    })
}

/// The range of memory an address lies in.
///
/// Parameters: `dump` the dump; `paddr` a physical address; `out` receives the range with a
/// LIBKDUMP_PAGE_ kind; `error` may be NULL. Errors: LIBKDUMP_ERR_HOLE behind the last range.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_find_range(
    dump: Lent<'_, libkdump_dump>,
    paddr: u64,
    out: InOut<'_, libkdump_range>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let hole = kdump_vmcore::Error::Hole { paddr, next: None };
        Ok::<_, Failure>(out.set("out", handle.range_of(paddr)?.ok_or(hole)?)?)
    })
}

/// The VMCOREINFO text, for the libkdump_vmcoreinfo_ functions.
///
/// Parameters: `dump` the dump; `text` and `len` receive the text, which is lent until the dump is
/// freed and has no NUL behind it; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND when the dump
/// has none.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_vmcoreinfo(
    dump: Lent<'_, libkdump_dump>,
    text: Out<'_, *const c_void>,
    len: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let missing = kdump_ffi_core::Failure::NotFound { what: "VMCOREINFO" };
        let info = handle.dump.vmcoreinfo().ok_or(missing)?;
        let bytes = info.as_bytes();
        len.set("len", bytes.len())?;
        Ok::<_, Failure>(text.set("text", bytes.as_ptr().cast())?)
    })
}

pub(crate) fn format_number(format: &str) -> u32 {
    match format {
        "elf" => LIBKDUMP_FORMAT_ELF,
        "kdump" => LIBKDUMP_FORMAT_KDUMP,
        "diskdump" => LIBKDUMP_FORMAT_DISKDUMP,
        "raw" => LIBKDUMP_FORMAT_RAW,
        "flattened" => LIBKDUMP_FORMAT_FLATTENED,
        _ => LIBKDUMP_FORMAT_UNKNOWN,
    }
}
