//! Saving a dump to where only the caller can write: a descriptor, a pipe, a function.
#![allow(unsafe_code, reason = "exports symbols, borrows descriptors and calls functions of C")]

use core::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use kdump_ffi_core::{Flow, In, InOut, libkdump_error};
use kdump_vmcore::{Dump, Error, FileId, IoError, KdumpPlan, RawPlan, SaveFormat, SavePlan, WriteAt};
use rustix::fs::OFlags;

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::progress::{libkdump_progress_fn, tell};
use crate::save::{
    LIBKDUMP_SAVE_FLATTEN, check, convert, ended, libkdump_save_options, libkdump_save_report,
};

/// Writes all `len` bytes of `buf` at the offset `offset` of the file that is made and returns 0, or
/// returns an errno value to end the work. The head of the file is written again later; behind it the
/// offsets ascend, those of tables and those of pages each for themselves. The last call, which only a dump that is saved whole gets, has NULL in `buf` and the
/// size of the file in `offset`: what was never written below it reads as zeros. Called on the calling
/// thread. Must not longjmp or throw.
pub type libkdump_write_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, offset: u64, buf: *const c_void, len: usize) -> c_int>;

/// Saves a dump by a descriptor, which stays the caller's.
///
/// A regular file is written from its start on, whatever its offset, and should be empty. Nothing
/// is made to last, nothing renamed: until the call returns the file says that it is unfinished. What
/// cannot be written at offsets, such as a pipe, a socket or what was opened with O_APPEND, takes
/// LIBKDUMP_SAVE_FLATTEN only: a stream that `makedumpfile -R` and this library put in order. A stream goes to
/// the descriptor's offset, of a regular file as well, moves it and cuts nothing that is behind it. What the
/// dump is read from is never written over, as far as the library opened it or was given its descriptor.
///
/// Parameters: `dump` the source; `fd` a descriptor open for writing; `options` as for
/// libkdump_dump_save(), of which LIBKDUMP_SAVE_FORCE does not matter, or NULL; `progress`, `user`
/// and `report` as for libkdump_dump_save(); `error` may be NULL. Returns LIBKDUMP_OK or LIBKDUMP_LACKING
/// as libkdump_dump_save(). Errors: LIBKDUMP_ERR_IO with `os_errno`, LIBKDUMP_ERR_CANCELLED,
/// LIBKDUMP_ERR_UNSUPPORTED, LIBKDUMP_ERR_REFUSED for a file the dump is read from and for one opened with O_APPEND
/// where LIBKDUMP_SAVE_FLATTEN is not given.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_save_fd(
    dump: Lent<'_, libkdump_dump>,
    fd: c_int,
    options: In<'_, libkdump_save_options>,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    report: InOut<'_, libkdump_save_report>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        if fd < 0 {
            return Err(kdump_ffi_core::Failure::Negative { name: "fd", value: fd.into() }.into());
        }
        // SAFETY: not -1; the caller vouches that it is open for the duration of the call.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let failed = |error| Failure::Io { path: PathBuf::from("the descriptor"), error };
        let file = File::from(borrowed.try_clone_to_owned().map_err(failed)?);
        let options = options.or_default("options")?;
        let format = check(options)?.format;
        let found = file.metadata().map_err(failed)?;
        let handle = enter(dump, "dump")?;
        if handle.dump.files().contains(&FileId::of(&found)) {
            let reason = "fd: writing it would destroy the very file or device that is to be read";
            return Err(Error::Refused { reason }.into());
        }
        if matches!(format, SaveFormat::Flattened(_) | SaveFormat::FlattenedElf(_)) {
            return stream(&handle.dump, format, &file, progress, user, report);
        }
        if !found.is_file() {
            let what = "only LIBKDUMP_SAVE_FLATTEN can go into what is no regular file";
            return Err(Failure::Unsupported { what });
        }
        let flags = rustix::fs::fcntl_getfl(&file).map_err(|errno| failed(errno.into()))?;
        // pwrite(2) appends to such a file, whatever the offset (BUGS there).
        if flags.contains(OFlags::APPEND) {
            let reason = "fd: what is written at offsets would be appended (O_APPEND): open the file without it, \
                          or ask for a stream (LIBKDUMP_SAVE_FLATTEN)";
            return Err(Error::Refused { reason }.into());
        }
        save(&handle.dump, format, &file, progress, user, report)
    })
}

/// Saves a dump through a function of the caller.
///
/// Where the function writes cannot be known: it must not write over what the dump is read from.
///
/// Parameters: `dump` the source; `write` and `write_user` the function and its first argument; the
/// others as for libkdump_dump_save_fd(), without LIBKDUMP_SAVE_FLATTEN. Returns LIBKDUMP_OK or LIBKDUMP_LACKING as libkdump_dump_save().
/// Errors: those of libkdump_dump_save_fd(), LIBKDUMP_ERR_IO also for what the function returns.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_save_callback(
    dump: Lent<'_, libkdump_dump>,
    write: libkdump_write_fn,
    write_user: *mut c_void,
    options: In<'_, libkdump_save_options>,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    report: InOut<'_, libkdump_save_report>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let function = write.ok_or(kdump_ffi_core::Failure::Null { name: "write" })?;
        let sink = Callback { function, user: write_user };
        let options = options.or_default("options")?;
        if options.flags & LIBKDUMP_SAVE_FLATTEN != 0 {
            let what = "LIBKDUMP_SAVE_FLATTEN, which a function that is given offsets has no need of";
            return Err(Failure::Unsupported { what });
        }
        let format = check(options)?.format;
        save(&enter(dump, "dump")?.dump, format, sink, progress, user, report)
    })
}

fn stream(
    dump: &Dump<'_>,
    format: SaveFormat,
    mut file: &File,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    report: InOut<'_, libkdump_save_report>,
) -> Result<Flow, Failure> {
    let place = if report.is_given() { Some(report.place("report")?) } else { None };
    let outcome = kdump_vmcore::save_stream(dump, format, &mut file, &mut tell(progress, user));
    if let Some(place) = place {
        let done = outcome.as_ref().unwrap_or_else(|failure| &*failure.report);
        place.set(convert(done));
    }
    Ok(ended(&outcome?))
}

fn save(
    dump: &Dump<'_>,
    format: SaveFormat,
    mut sink: impl WriteAt,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    report: InOut<'_, libkdump_save_report>,
) -> Result<Flow, Failure> {
    let place = if report.is_given() { Some(report.place("report")?) } else { None };
    let (sink, mut tell) = (&mut sink, tell(progress, user));
    let outcome = match format {
        SaveFormat::Elf(options) => SavePlan::with(dump, options)?.copy(sink, &mut tell),
        SaveFormat::Raw => RawPlan::new(dump)?.copy(sink, &mut tell),
        SaveFormat::Kdump(options) => KdumpPlan::new(dump, options)?.copy(sink, &mut tell),
        _ => {
            return Err(Failure::Vmcore(Error::Unsupported { what: "this format at offsets" }));
        }
    };
    let done = outcome.as_ref().unwrap_or_else(|stopped| &*stopped.report);
    if let Some(place) = place {
        place.set(convert(done));
    }
    outcome.map(|report| ended(&report)).map_err(|stopped| Failure::Vmcore(stopped.error))
}

/// A function of the caller that writes.
#[derive(Debug)]
struct Callback {
    function: unsafe extern "C" fn(*mut c_void, u64, *const c_void, usize) -> c_int,
    user: *mut c_void,
}

impl Callback {
    fn ask(&self, offset: u64, buf: *const c_void, len: usize) -> Result<(), Error> {
        // SAFETY: the function came from C with this signature and this first argument, and is only
        // called during the call it came with; `buf` has `len` readable bytes.
        match unsafe { (self.function)(self.user, offset, buf, len) } {
            0 => Ok(()),
            errno => Err(Error::Io { offset, cause: IoError::from_errno(errno) }),
        }
    }
}

impl WriteAt for Callback {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.ask(offset, bytes.as_ptr().cast(), bytes.len())
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.ask(size, core::ptr::null(), 0)
    }
}
