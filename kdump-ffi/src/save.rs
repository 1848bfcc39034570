//! Saving a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_ffi_core::{Chars, Flow, In, InOut, extensible, known_flags, libkdump_error};
use kdump_vmcore::{SaveOptions, SaveReport};

use crate::boundary::call;
use crate::dump::{LIBKDUMP_FORMAT_ELF, LIBKDUMP_FORMAT_UNKNOWN, libkdump_dump};
use crate::dump_open::path_of;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::progress::{libkdump_progress_fn, tell};
use crate::texts::count;

/// `flags` of struct libkdump_save_options: write over a block device even if its first MiB holds
/// something else than zeros or a dump.
pub const LIBKDUMP_SAVE_FORCE: u32 = 1;

/// How to save. NULL in its place means all zero. A field that asks for something this version
/// cannot do gives LIBKDUMP_ERR_UNSUPPORTED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_save_options {
    /// `sizeof (struct libkdump_save_options)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_FORMAT_ number; 0 is ELF.
    pub format: u32,
    /// 0: store pages as they are.
    pub compression: u32,
    /// 0: leave nothing out.
    pub exclude: u32,
    /// How many threads may work; 0 and 1 mean the calling one.
    pub threads: u32,
    /// 0 or LIBKDUMP_SAVE_FORCE.
    pub flags: u32,
}

extensible!(libkdump_save_options { format: u32, compression: u32, exclude: u32, threads: u32, flags: u32 });

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
    /// Bytes of the saved file.
    pub file_size: u64,
    /// Bytes of memory in it.
    pub memory: u64,
    /// Bytes that were written; the others are holes that read as zeros.
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
/// LIBKDUMP_ERR_UNSUPPORTED. In all of these there is no saved dump.
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
        let flow = |report: SaveReport| if report.is_whole() { Flow::Done } else { Flow::Lacking };
        outcome.map(flow).map_err(Failure::from).map_err(about)
    })
}

pub(crate) fn check(options: libkdump_save_options) -> Result<SaveOptions, Failure> {
    let libkdump_save_options { size: _, format, compression, exclude, threads: _, flags } = options;
    known_flags("flags", flags, LIBKDUMP_SAVE_FORCE)?;
    let refuse = |what| Err(Failure::Unsupported { what });
    match format {
        LIBKDUMP_FORMAT_UNKNOWN | LIBKDUMP_FORMAT_ELF => {}
        _ => return refuse("only ELF cores can be saved"),
    }
    if compression != 0 {
        return refuse("ELF cores cannot be compressed");
    }
    if exclude != 0 {
        return refuse("pages cannot be excluded");
    }
    Ok(SaveOptions::default().force(flags & LIBKDUMP_SAVE_FORCE != 0))
}

pub(crate) fn convert(report: &SaveReport) -> libkdump_save_report {
    let SaveReport { file_size, memory, written, unreadable, shared, dropped_phdrs, .. } = report;
    let SaveReport { missing, corrupt, given_up, source_defects, .. } = report;
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
    }
}
