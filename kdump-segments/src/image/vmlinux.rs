//! The ELF kernel: program headers turned into page-aligned chunks to be loaded.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use goblin::container::{Container, Ctx};
use goblin::elf::header::{EI_DATA, ELFDATA2LSB, EM_386, EM_X86_64, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_TLS};
use goblin::elf::{Elf, Header, ProgramHeader};
use kdump_elf::{Arch, Class, PT_LOAD, PhysRange, align_down, align_up};

use crate::target::loongarch64::moves_itself;
use crate::{Error, room};

/// What messages call the parts of an image.
const LOADS: &str = "program headers of the kernel image";
/// A gap of zeros between two PT_LOADs that share a page; more is not a kernel.
const MAX_GAP: u64 = 16 << 20;

/// Bytes of a program header (`elf(5)`).
const SIZEOF_PHDR_64: u16 = 56;
const SIZEOF_PHDR_32: u16 = 32;

/// Lowest address of the kernel's half with 5-level paging (Documentation/arch/x86/x86_64/mm.rst).
const KERNEL_HALF_64: u64 = 0xff00_0000_0000_0000;
/// Lowest PAGE_OFFSET of i386 kernels (arch/x86/Kconfig, VMSPLIT_1G).
const KERNEL_LOWEST_32: u64 = 0x4000_0000;

/// An ELF kernel whose PT_LOADs are sorted, disjoint and inside the file.
#[derive(Clone, Debug)]
pub struct Vmlinux<'a> {
    /// The architecture it is built for.
    pub arch: Arch,
    /// Whether it may be loaded anywhere (`ET_DYN`; on loongarch64 with a section `.la_abs`) or only where
    /// `p_paddr` says.
    pub relocatable: bool,
    /// Physical address of the first instruction when loaded at `p_paddr`.
    pub entry: u64,
    /// Largest `p_align`, at least a page.
    pub align: u64,
    chunks: Vec<Chunk<'a>>,
}

/// Whole pages of an ELF kernel.
#[derive(Clone, Debug)]
pub struct Chunk<'a> {
    /// Physical address at which it is linked; a multiple of the page size.
    pub paddr: u64,
    /// Bytes of memory; a multiple of the page size.
    pub memsz: u64,
    /// Content; the rest up to `memsz` is zero.
    pub data: Cow<'a, [u8]>,
}

/// One PT_LOAD with its bytes.
#[derive(Clone, Copy)]
struct Load<'a> {
    paddr: u64,
    vaddr: u64,
    memsz: u64,
    bytes: &'a [u8],
}

impl<'a> Vmlinux<'a> {
    /// Reads the program headers of an ELF kernel and groups what they load into pages of
    /// `page_size` bytes.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not ELF, [`Error::NotAnImage`] when it is a program,
    /// [`Error::ImageField`] and [`Error::ImageTruncated`] for a field that makes no sense.
    pub fn parse(file: &'a [u8], page_size: u64) -> Result<Self, Error> {
        let headers = Headers::parse(file, file.len() as u64)?;
        let (header, phdrs) = (&headers.ehdr, &headers.phdrs);
        headers.refuse_programs()?;
        let arch = Arch::from_elf(header.e_machine, headers.class).ok_or(Error::ImageField {
            field: "e_machine",
            offset: 18,
            value: u64::from(header.e_machine),
            expected: "an architecture with crash dumps",
        })?;
        let order = header.e_ident.get(EI_DATA).copied().unwrap_or(0);
        if matches!(header.e_machine, EM_X86_64 | EM_386) && order != ELFDATA2LSB {
            let (offset, value) = (EI_DATA as u64, u64::from(order));
            return Err(Error::ImageField {
                field: "EI_DATA",
                offset,
                value,
                expected: "1: x86 is little-endian",
            });
        }
        let relocatable = match header.e_type {
            ET_EXEC => false,
            ET_DYN => true,
            other => {
                let value = u64::from(other);
                let expected = "ET_EXEC (2) or ET_DYN (3)";
                return Err(Error::ImageField { field: "e_type", offset: 16, value, expected });
            }
        };
        let relocatable = relocatable || arch == Arch::LoongArch64 && moves_itself(file);
        let loads = loads(file, phdrs, page_size)?;
        let entry = physical_entry(header.e_entry, &loads)?;
        let align = phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD).map(|phdr| phdr.p_align).max();
        let align = align.unwrap_or(0).max(page_size);
        if !align.is_power_of_two() {
            let expected = "a power of two";
            return Err(Error::ImageField {
                field: "p_align",
                offset: header.e_phoff,
                value: align,
                expected,
            });
        }
        Ok(Self { arch, relocatable, entry, align, chunks: chunks(&loads, page_size)? })
    }

    /// The parts to load, sorted by address and disjoint; never empty.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk<'a>] {
        &self.chunks
    }

    /// All memory from the first to the last chunk.
    ///
    /// # Errors
    /// [`Error::Elf`] when there is no chunk.
    pub fn span(&self) -> Result<PhysRange, Error> {
        let start = self.chunks.first().map_or(0, |chunk| chunk.paddr);
        let end = self.chunks.last().map_or(0, |chunk| chunk.paddr.saturating_add(chunk.memsz));
        Ok(PhysRange::from_half_open(start, end)?)
    }
}

/// Bytes from the start of an ELF kernel that a plan reads: up to the end of what the last
/// PT_LOAD brings. `head` is the beginning of a file of `file_size` bytes; debugging
/// information and the section headers follow, and are not needed but must be there: a file
/// that lacks them was not copied to its end.
///
/// # Errors
/// As [`Vmlinux::parse`]; [`Error::ImageTruncated`] also when the program headers are not in
/// `head`, which those of a kernel are, and when the section header table ends behind the file.
pub fn elf_extent(head: &[u8], file_size: u64) -> Result<u64, Error> {
    let headers = Headers::parse(head, file_size)?;
    headers.refuse_programs()?;
    let mut extent = headers.table_end;
    for load in headers.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD) {
        let end = load.p_offset.checked_add(load.p_filesz).filter(|&end| end <= file_size);
        extent = extent.max(end.ok_or(Error::ImageTruncated {
            what: "PT_LOAD",
            offset: load.p_offset,
            need: load.p_filesz,
            have: file_size.saturating_sub(load.p_offset),
        })?);
    }
    let (start, need) = (headers.ehdr.e_shoff, headers.sections_size());
    if start != 0 && start.checked_add(need).is_none_or(|end| end > file_size) {
        let what = "section header table, the end of an ELF kernel,";
        return Err(Error::ImageTruncated {
            what,
            offset: start,
            need,
            have: file_size.saturating_sub(start),
        });
    }
    // The section headers of some tell whether they can be moved.
    let whole = headers.ehdr.e_machine == Arch::LoongArch64.e_machine();
    Ok(if whole { file_size } else { extent })
}

/// The file header and the program headers.
struct Headers {
    ehdr: Header,
    class: Class,
    phdrs: Vec<ProgramHeader>,
    /// Offset of the first byte behind the program header table.
    table_end: u64,
}

impl Headers {
    /// Reads them from `head`, the beginning of a file of `file_size` bytes.
    fn parse(head: &[u8], file_size: u64) -> Result<Self, Error> {
        let ehdr = Elf::parse_header(head).map_err(not_elf)?;
        let class = if ehdr.e_ident.get(4) == Some(&2) { Class::Elf64 } else { Class::Elf32 };
        let (container, phentsize) = match class {
            Class::Elf64 => (Container::Big, SIZEOF_PHDR_64),
            Class::Elf32 => (Container::Little, SIZEOF_PHDR_32),
        };
        if ehdr.e_phnum != 0 && ehdr.e_phentsize != phentsize {
            return Err(Error::ImageField {
                field: "e_phentsize",
                offset: if class == Class::Elf64 { 54 } else { 42 },
                value: u64::from(ehdr.e_phentsize),
                expected: "the size of a program header of its class (56 or 32)",
            });
        }
        let need = u64::from(ehdr.e_phnum).saturating_mul(ehdr.e_phentsize.into());
        let end = ehdr.e_phoff.checked_add(need).filter(|&end| end <= head.len() as u64);
        let table_end = end.ok_or(Error::ImageTruncated {
            what: "program header table",
            offset: ehdr.e_phoff,
            need,
            have: file_size.min(head.len() as u64).saturating_sub(ehdr.e_phoff),
        })?;
        let context = Ctx::new(container, ehdr.endianness().map_err(not_elf)?);
        let phoff = usize::try_from(ehdr.e_phoff).unwrap_or(usize::MAX);
        // One by one: goblin allocates as many as it is asked for.
        let mut phdrs = Vec::new();
        for index in 0..usize::from(ehdr.e_phnum) {
            let at = index.saturating_mul(phentsize.into()).saturating_add(phoff);
            let one = ProgramHeader::parse(head, at, 1, context).map_err(not_elf)?;
            room::extend(&mut phdrs, LOADS, one)?;
        }
        Ok(Self { ehdr, class, phdrs, table_end })
    }

    fn sections_size(&self) -> u64 {
        u64::from(self.ehdr.e_shnum).saturating_mul(self.ehdr.e_shentsize.into())
    }

    /// Programs are ELF files too, and a position-independent one has all that a relocatable
    /// kernel has: entered as a kernel it would only hang. What tells them apart: a program
    /// has an interpreter or thread-local storage; an x86 kernel is not linked dynamically and
    /// some of it is linked into the kernel's half of the address space
    /// (Documentation/arch/x86/x86_64/mm.rst; for i386, above the lowest PAGE_OFFSET of 1 GiB, and
    /// not where it is loaded).
    fn refuse_programs(&self) -> Result<(), Error> {
        let has = |kind: u32| self.phdrs.iter().any(|phdr| phdr.p_type == kind);
        let mut loads = self.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD);
        let x86 = matches!(self.ehdr.e_machine, EM_X86_64 | EM_386);
        let reason = if has(PT_INTERP) {
            "it is a program: it names an interpreter (PT_INTERP)"
        } else if has(PT_TLS) {
            "it is a program: it has thread-local storage (PT_TLS)"
        } else if x86 && has(PT_DYNAMIC) {
            "it is a program or a library: it is linked dynamically (PT_DYNAMIC)"
        } else if self.ehdr.e_machine == EM_X86_64 && !loads.any(|load| load.p_vaddr >= KERNEL_HALF_64) {
            "it is a program: no PT_LOAD is linked into the kernel's half of the address space"
        } else if self.ehdr.e_machine == EM_386
            && !loads.any(|load| load.p_vaddr >= KERNEL_LOWEST_32 && load.p_vaddr != load.p_paddr)
        {
            "it is a program: no PT_LOAD is linked into the kernel's part of the address space"
        } else {
            return Ok(());
        };
        Err(Error::NotAnImage { bzimage: String::from("it is an ELF file"), vmlinux: String::from(reason) })
    }
}

fn not_elf(why: goblin::error::Error) -> Error {
    Error::Conflict { what: "kernel image", reason: alloc::format!("malformed ELF: {why}") }
}

/// The PT_LOADs sorted by physical address, checked to be disjoint and inside the file.
fn loads<'a>(file: &'a [u8], phdrs: &[ProgramHeader], page_size: u64) -> Result<Vec<Load<'a>>, Error> {
    let mut loads = Vec::new();
    for phdr in phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD && phdr.p_memsz != 0) {
        let bytes = usize::try_from(phdr.p_offset)
            .ok()
            .and_then(|offset| file.get(offset..))
            .and_then(|rest| usize::try_from(phdr.p_filesz).ok().and_then(|size| rest.get(..size)))
            .ok_or(Error::ImageTruncated {
                what: "PT_LOAD",
                offset: phdr.p_offset,
                need: phdr.p_filesz,
                have: (file.len() as u64).saturating_sub(phdr.p_offset),
            })?;
        let fault =
            |field, value, expected| Error::ImageField { field, offset: phdr.p_offset, value, expected };
        if phdr.p_filesz > phdr.p_memsz {
            return Err(fault("p_filesz", phdr.p_filesz, "at most p_memsz"));
        }
        let end = phdr.p_paddr.checked_add(phdr.p_memsz).and_then(|end| align_up(end, page_size));
        if end.is_none() {
            return Err(fault("p_memsz", phdr.p_memsz, "an end below 2^64"));
        }
        let load = Load { paddr: phdr.p_paddr, vaddr: phdr.p_vaddr, memsz: phdr.p_memsz, bytes };
        room::push(&mut loads, LOADS, load)?;
    }
    loads.sort_unstable_by_key(|load| load.paddr);
    for pair in loads.windows(2) {
        if let [low, high] = pair {
            if low.paddr.saturating_add(low.memsz) > high.paddr {
                let expected = "beyond the PT_LOAD before it";
                return Err(Error::ImageField { field: "p_paddr", offset: 0, value: high.paddr, expected });
            }
        }
    }
    if loads.is_empty() {
        return Err(Error::ImageField { field: "PT_LOAD", offset: 0, value: 0, expected: "at least one" });
    }
    Ok(loads)
}

/// `e_entry` is physical in an x86 vmlinux; where it is virtual it lies in one PT_LOAD.
fn physical_entry(e_entry: u64, loads: &[Load<'_>]) -> Result<u64, Error> {
    // Behind the bytes of the file there are zeros, no instructions.
    let size = |load: &Load<'_>| load.bytes.len() as u64;
    let inside = |start: u64, load: &Load<'_>| e_entry.checked_sub(start).filter(|&at| at < size(load));
    if loads.iter().any(|load| inside(load.paddr, load).is_some()) {
        return Ok(e_entry);
    }
    let found = loads.iter().find_map(|load| inside(load.vaddr, load)?.checked_add(load.paddr));
    let expected = "an address inside the bytes of a PT_LOAD";
    found.ok_or(Error::ImageField { field: "e_entry", offset: 24, value: e_entry, expected })
}

/// Groups PT_LOADs that share a page; a group of one that begins on a page is borrowed.
fn chunks<'a>(loads: &[Load<'a>], page_size: u64) -> Result<Vec<Chunk<'a>>, Error> {
    let mut chunks: Vec<Chunk<'a>> = Vec::new();
    for load in loads {
        let end = load.paddr.saturating_add(load.memsz);
        let page_end = align_up(end, page_size).unwrap_or(u64::MAX);
        if let Some(last) = chunks.last_mut() {
            if align_down(load.paddr, page_size) < last.paddr.saturating_add(last.memsz) {
                let mut data = match core::mem::take(&mut last.data) {
                    Cow::Borrowed(bytes) => room::copy(LOADS, bytes)?,
                    Cow::Owned(bytes) => bytes,
                };
                append(&mut data, load.paddr.saturating_sub(last.paddr), load.bytes)?;
                last.data = Cow::Owned(data);
                last.memsz = page_end.saturating_sub(last.paddr);
                continue;
            }
        }
        let paddr = align_down(load.paddr, page_size);
        let mut data = Cow::Borrowed(load.bytes);
        if paddr != load.paddr {
            let mut bytes = Vec::new();
            append(&mut bytes, load.paddr.saturating_sub(paddr), load.bytes)?;
            data = Cow::Owned(bytes);
        }
        room::push(&mut chunks, LOADS, Chunk { paddr, memsz: page_end.saturating_sub(paddr), data })?;
    }
    Ok(chunks)
}

/// Zero-fills `out` up to `offset` and appends `bytes`.
fn append(out: &mut Vec<u8>, offset: u64, bytes: &[u8]) -> Result<(), Error> {
    let gap = offset.saturating_sub(out.len() as u64);
    let length = usize::try_from(offset).ok().filter(|_| gap <= MAX_GAP).ok_or(Error::TooMany {
        what: "zero bytes between two PT_LOADs in one page",
        value: gap,
        limit: MAX_GAP,
    })?;
    room::reserve(out, LOADS, length.saturating_sub(out.len()).saturating_add(bytes.len()))?;
    out.resize(length, 0);
    room::append(out, LOADS, bytes)
}
