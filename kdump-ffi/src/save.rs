//! Saving a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_char, c_int, c_void};

use kdump_ffi_core::{Chars, Flow, In, InOut, Items, chars, extensible, known_flags, libkdump_error, slice};
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, ElfOptions, KdumpOptions, PageClass, SaveFormat, SaveOptions, SaveReport, SplitFailure,
};

use crate::boundary::call;
use crate::dump::{
    LIBKDUMP_FORMAT_ELF, LIBKDUMP_FORMAT_FLATTENED, LIBKDUMP_FORMAT_KDUMP, LIBKDUMP_FORMAT_RAW,
    LIBKDUMP_FORMAT_UNKNOWN, libkdump_dump,
};
use crate::dump_open::path_of;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::progress::{libkdump_progress_fn, tell};
use crate::texts::count;

/// `flags` of struct libkdump_save_options: write over a block device even if its first MiB holds
/// something else than zeros or a dump.
pub const LIBKDUMP_SAVE_FORCE: u32 = 1;
/// `flags` of struct libkdump_save_options: write the file as a flattened stream, which `makedumpfile -R` and
/// this library put together.
pub const LIBKDUMP_SAVE_FLATTEN: u32 = 2;

/// `compression` of struct libkdump_save_options: pages as they are.
pub const LIBKDUMP_COMPRESSION_NONE: u32 = 0;
/// zlib, levels 1 to 9.
pub const LIBKDUMP_COMPRESSION_ZLIB: u32 = 1;
/// LZO1X.
pub const LIBKDUMP_COMPRESSION_LZO: u32 = 2;
/// Snappy.
pub const LIBKDUMP_COMPRESSION_SNAPPY: u32 = 3;
/// Zstandard, levels 1 to 22.
pub const LIBKDUMP_COMPRESSION_ZSTD: u32 = 4;

/// `exclude` of struct libkdump_save_options, as makedumpfile counts: pages of the page cache.
pub const LIBKDUMP_EXCLUDE_CACHE: u32 = 2;
/// All pages of the page cache, also those with data of a file system.
pub const LIBKDUMP_EXCLUDE_CACHE_PRIVATE: u32 = 4;
/// Pages of processes.
pub const LIBKDUMP_EXCLUDE_USER: u32 = 8;
/// Free pages.
pub const LIBKDUMP_EXCLUDE_FREE: u32 = 16;

/// The most files of a set.
const MAX_PARTS: usize = 256;

/// How to save. NULL in its place means all zero. A field that asks for something this version
/// cannot do gives LIBKDUMP_ERR_UNSUPPORTED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_save_options {
    /// `sizeof (struct libkdump_save_options)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_FORMAT_ELF, which 0 is as well, LIBKDUMP_FORMAT_KDUMP or LIBKDUMP_FORMAT_RAW.
    pub format: u32,
    /// LIBKDUMP_COMPRESSION_ number, for LIBKDUMP_FORMAT_KDUMP.
    pub compression: u32,
    /// Sum of LIBKDUMP_EXCLUDE_ numbers, not for LIBKDUMP_FORMAT_RAW; 0 leaves nothing out. 1, pages of zeros, may be
    /// among them and changes nothing: they share one place.
    pub exclude: u32,
    /// How many threads may work; 0 and 1 mean the calling one.
    pub threads: u32,
    /// 0, or a sum of LIBKDUMP_SAVE_ numbers.
    pub flags: u32,
    /// Level of the compression; 0 is the fastest one.
    pub level: u32,
    /// Zero.
    pub reserved: u32,
}

extensible!(libkdump_save_options {
    format: u32,
    compression: u32,
    exclude: u32,
    threads: u32,
    flags: u32,
    level: u32,
    reserved: u32,
});

/// What saving did.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_save_report {
    /// `sizeof (struct libkdump_save_report)`, set by the caller.
    pub size: u32,
    /// Number of ranges of memory that the source lacked or that could not be read.
    pub unreadable_ranges: u32,
    /// Program headers of the source that have no place in the saved file.
    pub dropped_phdrs: u32,
    /// Defects of the source besides lost memory (libkdump_dump_defect()).
    pub source_defects: u32,
    /// Bytes of the saved file; of a flattened stream, those of the file it describes.
    pub file_size: u64,
    /// Bytes of memory in it.
    pub memory: u64,
    /// Bytes that were written; the others are holes that read as zeros. Of a flattened stream its bytes.
    pub written: u64,
    /// Bytes of memory that the source lacked or that could not be read; the saved dump says where
    /// and why.
    pub unreadable: u64,
    /// Bytes that several program headers list and the saved file holds once.
    pub shared: u64,
    /// Of the bytes in `unreadable`, those behind the end of the source.
    pub missing: u64,
    /// Of the bytes in `unreadable`, those that are damaged.
    pub corrupt: u64,
    /// Bytes besides, which could be read and are told to be unreadable, because the list of what
    /// could not be read was full.
    pub given_up: u64,
    /// Pages of a kdump-compressed file that are zeros and share one place.
    pub pages_zero: u64,
    /// Pages of such a file that are stored as they are.
    pub pages_plain: u64,
    /// Pages of such a file that are compressed.
    pub pages_compressed: u64,
    /// Pages that were left out because that was asked for: of the page cache.
    pub excluded_cache: u64,
    /// Of the page cache with data of a file system.
    pub excluded_cache_private: u64,
    /// Of processes.
    pub excluded_user: u64,
    /// Free.
    pub excluded_free: u64,
    /// With memory errors.
    pub excluded_hwpoison: u64,
    /// Given back to a hypervisor.
    pub excluded_offline: u64,
    /// Of those that were left out, pages that are saved even so: an ELF core leaves out long runs only.
    pub short_runs: u64,
    /// Pages that were kept because the kernel's record of them cannot be read.
    pub undecided: u64,
    /// Pages that were kept because the kernel has no record of them.
    pub without_record: u64,
    /// 1 when all pages were kept because the kernel's records contradict what VMCOREINFO says of them, else 0.
    pub doubtful: u32,
    /// Zero.
    pub reserved: u32,
}

extensible!(libkdump_save_report {
    unreadable_ranges: u32,
    dropped_phdrs: u32,
    source_defects: u32,
    file_size: u64,
    memory: u64,
    written: u64,
    unreadable: u64,
    shared: u64,
    missing: u64,
    corrupt: u64,
    given_up: u64,
    pages_zero: u64,
    pages_plain: u64,
    pages_compressed: u64,
    excluded_cache: u64,
    excluded_cache_private: u64,
    excluded_user: u64,
    excluded_free: u64,
    excluded_hwpoison: u64,
    excluded_offline: u64,
    short_runs: u64,
    undecided: u64,
    without_record: u64,
    doubtful: u32,
    reserved: u32,
});

/// Saves a dump into a file, which appears under its name only when it is finished, or onto a
/// block device.
///
/// Until then the file is named with ".incomplete" appended, is locked and readable by its owner
/// only, and replaces what is there in one step. When saving ends early the ".incomplete" file stays,
/// cut to what is good, and says that it is unfinished; one that no process has locked is removed by
/// the next call. What the dump is read from is never written over, a directory, FIFO or symbolic
/// link is refused, and a device that is in use or, without LIBKDUMP_SAVE_FORCE, holds something else
/// than a dump.
///
/// Returns LIBKDUMP_OK when the source lacked nothing; LIBKDUMP_LACKING when the dump is saved, but memory
/// was lost or damaged, or the source had other defects: the report counts them, and the saved dump
/// remembers them.
///
/// Parameters: `dump` the source; `path` the destination; `options` may be NULL; `progress` (may be
/// NULL) is called with `user` about every 2 MiB; `report` (may be NULL) receives what was done,
/// also on failure as far as it went; `error` may be NULL. Errors: LIBKDUMP_ERR_IO with `os_errno`
/// (ENOSPC: what is usable is in the message), LIBKDUMP_ERR_REFUSED, LIBKDUMP_ERR_CANCELLED,
/// LIBKDUMP_ERR_INVALID for options that contradict each other, LIBKDUMP_ERR_NOT_FOUND where VMCOREINFO lacks a key that
/// `exclude` needs, LIBKDUMP_ERR_UNSUPPORTED. In all of these there is no saved dump.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_save(
    dump: Lent<'_, libkdump_dump>,
    path: Chars<'_>,
    options: In<'_, libkdump_save_options>,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    report: InOut<'_, libkdump_save_report>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let options = check(options.or_default("options")?)?;
        let path = path_of(path, "path")?;
        let place = if report.is_given() { Some(report.place("report")?) } else { None };
        let outcome = kdump_vmcore::save(&handle.dump, &path, options, &mut tell(progress, user));
        if let Some(place) = place {
            let done = outcome.as_ref().unwrap_or_else(|failure| &*failure.report);
            place.set(convert(done));
        }
        let about = |failure| Failure::File { path, failure: Box::new(failure) };
        outcome.map(|report| ended(&report)).map_err(Failure::from).map_err(about)
    })
}

/// Saves a dump as a set of kdump-compressed files, each with a share of the pages, which are read together
/// (libkdump_dump_open() with all of them).
///
/// Each file is written by a thread of its own, and as libkdump_dump_save() writes one. One that fails stays as far
/// as it came and ends none of the others.
///
/// Parameters: `dump` the source; `paths` and `count` the destinations, 1 to 256; `options` as for
/// libkdump_dump_save(), with LIBKDUMP_FORMAT_KDUMP; the others as for it, the report being that of all files. Returns
/// LIBKDUMP_OK or LIBKDUMP_LACKING as libkdump_dump_save(). Errors: those of libkdump_dump_save(),
/// LIBKDUMP_ERR_INVALID for no file and LIBKDUMP_ERR_TOO_LARGE for more than 256 files.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_save_split(
    dump: Lent<'_, libkdump_dump>,
    paths: Items<'_, *const c_char>,
    count: usize,
    options: In<'_, libkdump_save_options>,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    report: InOut<'_, libkdump_save_report>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let SaveFormat::Kdump(options) = check(options.get("options")?)?.format else {
            return Err(Failure::Unsupported { what: "only LIBKDUMP_FORMAT_KDUMP has sets of files" });
        };
        // Before any of them is looked at: a count that is wrong has no paths behind it.
        if count == 0 {
            let (name, expected) = ("count", "1 to 256");
            return Err(kdump_ffi_core::Failure::Argument { name, value: 0, expected }.into());
        }
        if count > MAX_PARTS {
            let (value, limit) = (count as u64, MAX_PARTS as u64);
            return Err(
                kdump_vmcore::Error::TooLarge { what: "number of parts of a dump", value, limit }.into()
            );
        }
        let paths = slice!(paths, count)?;
        let paths = paths.iter().map(|path| path_of(chars!(*path), "paths"));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let place = if report.is_given() { Some(report.place("report")?) } else { None };
        let outcome = kdump_vmcore::save_split(&handle.dump, &paths, options, &mut tell(progress, user));
        if let Some(place) = place {
            let done = outcome.as_ref().unwrap_or_else(|failed| &*failed.failure.report);
            place.set(convert(done));
        }
        match outcome {
            Ok(report) => Ok(ended(&report)),
            Err(SplitFailure { destination: Some(path), failure, .. }) => {
                Err(Failure::File { path, failure: Box::new(Failure::from(*failure)) })
            }
            Err(SplitFailure { failure, .. }) => Err(Failure::from(*failure)),
        }
    })
}

/// What saving would do, as far as that is known without reading the memory.
///
/// Parameters: `dump` the source; `options` as for libkdump_dump_save(), or NULL; `report` receives the bytes of
/// memory, the bytes of the file at most, and the pages that would be left out or kept in doubt, the other numbers being zero;
/// `error` may be NULL. Errors: those of libkdump_dump_save() that do not come from writing.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_save_estimate(
    dump: Lent<'_, libkdump_dump>,
    options: In<'_, libkdump_save_options>,
    report: InOut<'_, libkdump_save_report>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let options = check(options.or_default("options")?)?;
        let place = report.place("report")?;
        let found = kdump_vmcore::estimate(&handle.dump, options.format)?;
        let mut told = SaveReport::default();
        (told.file_size, told.memory, told.left_out) = (found.max_size, found.memory, found.left_out);
        place.set(convert(&told));
        Ok::<_, Failure>(())
    })
}

/// How a call ends that saved the dump.
pub(crate) fn ended(report: &SaveReport) -> Flow {
    if report.is_whole() { Flow::Done } else { Flow::Lacking }
}

pub(crate) fn check(options: libkdump_save_options) -> Result<SaveOptions, Failure> {
    let libkdump_save_options { format, compression, exclude, threads, flags, level, reserved, size: _ } =
        options;
    known_flags("flags", flags, LIBKDUMP_SAVE_FORCE | LIBKDUMP_SAVE_FLATTEN)?;
    known_flags("exclude", exclude, 31)?;
    known_flags("reserved", reserved, 0)?;
    let refuse = |what| Err(Failure::Unsupported { what });
    let codec = match compression {
        LIBKDUMP_COMPRESSION_NONE => None,
        LIBKDUMP_COMPRESSION_ZLIB => Some(Codec::Zlib),
        LIBKDUMP_COMPRESSION_LZO => Some(Codec::Lzo),
        LIBKDUMP_COMPRESSION_SNAPPY => Some(Codec::Snappy),
        LIBKDUMP_COMPRESSION_ZSTD => Some(Codec::Zstd),
        _ => return refuse("no compression of this number is known"),
    };
    let exclude = Classes::from_level(u8::try_from(exclude).unwrap_or(u8::MAX));
    let threads = u16::try_from(threads).unwrap_or(u16::MAX).max(1);
    let flatten = flags & LIBKDUMP_SAVE_FLATTEN != 0;
    let format = match format {
        LIBKDUMP_FORMAT_KDUMP => {
            let level = (level != 0).then(|| i32::try_from(level).unwrap_or(i32::MAX));
            let kdump = KdumpOptions::default().codec(codec).level(level).exclude(exclude).threads(threads);
            if flatten { SaveFormat::Flattened(kdump) } else { SaveFormat::Kdump(kdump) }
        }
        _ if codec.is_some() || level != 0 => return refuse("only LIBKDUMP_FORMAT_KDUMP has a compression"),
        LIBKDUMP_FORMAT_UNKNOWN | LIBKDUMP_FORMAT_ELF => {
            let elf = ElfOptions::default().exclude(exclude).threads(threads);
            if flatten { SaveFormat::FlattenedElf(elf) } else { SaveFormat::Elf(elf) }
        }
        LIBKDUMP_FORMAT_RAW if flatten || !exclude.is_empty() => {
            return refuse("LIBKDUMP_FORMAT_RAW cannot tell what is left out, nor be a stream");
        }
        LIBKDUMP_FORMAT_RAW => SaveFormat::Raw,
        LIBKDUMP_FORMAT_FLATTENED => {
            return refuse("name the format of the file, and LIBKDUMP_SAVE_FLATTEN in the flags");
        }
        _ => return refuse("no format of this number can be saved"),
    };
    Ok(SaveOptions::default().force(flags & LIBKDUMP_SAVE_FORCE != 0).format(format))
}

pub(crate) fn convert(report: &SaveReport) -> libkdump_save_report {
    let SaveReport { file_size, memory, written, unreadable, shared, dropped_phdrs, .. } = report;
    let SaveReport { missing, corrupt, given_up, source_defects, left_out, stored, .. } = report;
    let of = |wanted: PageClass| {
        left_out.classes().find(|(class, _)| *class == wanted).map_or(0, |(_, pages)| pages)
    };
    libkdump_save_report {
        size: 0,
        unreadable_ranges: count(unreadable.ranges.len())
            .saturating_add(u32::try_from(unreadable.unlisted).unwrap_or(u32::MAX)),
        dropped_phdrs: count(dropped_phdrs.len()),
        source_defects: *source_defects,
        file_size: *file_size,
        memory: *memory,
        written: *written,
        unreadable: unreadable.bytes,
        shared: *shared,
        missing: *missing,
        corrupt: *corrupt,
        given_up: *given_up,
        pages_zero: stored.zero,
        pages_plain: stored.plain,
        pages_compressed: stored.compressed,
        excluded_cache: of(PageClass::Cache),
        excluded_cache_private: of(PageClass::CachePrivate),
        excluded_user: of(PageClass::User),
        excluded_free: of(PageClass::Free),
        excluded_hwpoison: of(PageClass::HwPoison),
        excluded_offline: of(PageClass::Offline),
        short_runs: left_out.short,
        undecided: left_out.unreadable,
        without_record: left_out.without,
        doubtful: u32::from(left_out.doubt.is_some()),
        reserved: 0,
    }
}
