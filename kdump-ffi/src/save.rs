//! Saving a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_ffi_core::{Chars, In, InOut, call, extensible, known_flags, libkdump_error};
use kdump_vmcore::SaveReport;

use crate::dump::{LIBKDUMP_FORMAT_ELF, LIBKDUMP_FORMAT_UNKNOWN, libkdump_dump};
use crate::dump_open::path_of;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::progress::{libkdump_progress_fn, tell};
use crate::texts::count;

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
    /// 0.
    pub flags: u32,
}

extensible!(libkdump_save_options { format: u32, compression: u32, exclude: u32, threads: u32, flags: u32 });

/// What saving did.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_save_report {
    /// `sizeof (struct libkdump_save_report)`, set by the caller.
    pub size: u32,
    /// Number of ranges of memory that could not be read and stand as zeros.
    pub unreadable_ranges: u32,
    /// Program headers of the source that have no place in the saved file.
    pub dropped_phdrs: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes of the saved file.
    pub file_size: u64,
    /// Bytes of memory in it.
    pub memory: u64,
    /// Bytes that were written; the others are holes that read as zeros.
    pub written: u64,
    /// Bytes of memory that could not be read.
    pub unreadable: u64,
    /// Bytes that several program headers list and the saved file holds once.
    pub shared: u64,
}

extensible!(libkdump_save_report {
    unreadable_ranges: u32,
    dropped_phdrs: u32,
    reserved: u32,
    file_size: u64,
    memory: u64,
    written: u64,
    unreadable: u64,
    shared: u64,
});

/// Saves a dump into a file, which appears under its name only when it is complete, or onto a
/// block device.
///
/// Until then the file is named with ".incomplete" appended, is readable by its owner only, and
/// replaces what is there in one step. When saving ends early the ".incomplete" file stays, cut to
/// what is good.
///
/// Parameters: `dump` the source; `path` the destination; `options` may be NULL; `progress` (may be
/// NULL) is called with `user` about every 2 MiB; `report` (may be NULL) receives what was done,
/// also on failure as far as it went; `error` may be NULL. Errors: LIBKDUMP_ERR_IO with `os_errno`
/// (ENOSPC: what is usable is in the message), LIBKDUMP_ERR_CANCELLED, LIBKDUMP_ERR_UNSUPPORTED.
/// Memory that cannot be read is no error: see the report.
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
        check(options.or_default("options")?)?;
        let path = path_of(path, "path")?;
        let place = if report.is_given() { Some(report.place("report")?) } else { None };
        let outcome = kdump_vmcore::save(&handle.dump, &path, &mut tell(progress, user));
        if let Some(place) = place {
            let done = outcome.as_ref().unwrap_or_else(|failure| &*failure.report);
            place.set(convert(done));
        }
        let about = |failure| Failure::File { path, failure: Box::new(failure) };
        outcome.map(|_| ()).map_err(Failure::from).map_err(about)
    })
}

fn check(options: libkdump_save_options) -> Result<(), Failure> {
    let libkdump_save_options { size: _, format, compression, exclude, threads: _, flags } = options;
    known_flags("flags", flags, 0)?;
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
    Ok(())
}

fn convert(report: &SaveReport) -> libkdump_save_report {
    let SaveReport { file_size, memory, written, unreadable, shared, dropped_phdrs, .. } = report;
    libkdump_save_report {
        size: 0,
        unreadable_ranges: count(unreadable.ranges.len())
            .saturating_add(u32::try_from(unreadable.unlisted).unwrap_or(u32::MAX)),
        dropped_phdrs: count(dropped_phdrs.len()),
        reserved: 0,
        file_size: *file_size,
        memory: *memory,
        written: *written,
        unreadable: unreadable.bytes,
        shared: *shared,
    }
}
