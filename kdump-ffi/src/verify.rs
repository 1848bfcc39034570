//! Reading everything a dump claims to have.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_ffi_core::{Flow, InOut, Out, extensible, libkdump_error};
use kdump_vmcore::Verification;

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free, give};
use crate::progress::{libkdump_progress_fn, tell};
use crate::range::{LIBKDUMP_PAGE_STORED, libkdump_range};
use crate::texts::{count, nth, step};

/// What reading all of a dump found. Any number of threads may use one at the same time.
#[derive(Debug)]
pub struct libkdump_verification {
    found: Verification,
}

impl Handle for libkdump_verification {
    const TAG: u32 = 0x66697276;
}

/// The sum of a verification.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_verification_info {
    /// `sizeof (struct libkdump_verification_info)`, set by the caller.
    pub size: u32,
    /// 1 when nothing is damaged, else 0.
    pub sound: u32,
    /// Number of unreadable ranges that are listed (libkdump_verification_unreadable()).
    pub unreadable_ranges: u32,
    /// Number of other defects (libkdump_verification_defect()).
    pub defects: u32,
    /// Bytes of memory that were to be read.
    pub memory: u64,
    /// Bytes that could not be read.
    pub unreadable: u64,
    /// Ranges that are counted in `unreadable` but not listed.
    pub unlisted_ranges: u64,
}

extensible!(libkdump_verification_info {
    sound: u32,
    unreadable_ranges: u32,
    defects: u32,
    memory: u64,
    unreadable: u64,
    unlisted_ranges: u64,
});

/// Reads all notes, registers and memory of a dump.
///
/// Parameters: `dump` the dump; `progress` (may be NULL) is called with `user` about every 2 MiB;
/// `verification` receives the handle, to be freed with libkdump_verification_free(); `error` may
/// be NULL. Damage is not a failure of this call. Errors: LIBKDUMP_ERR_CANCELLED.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_verify(
    dump: Lent<'_, libkdump_dump>,
    progress: libkdump_progress_fn,
    user: *mut c_void,
    verification: Out<'_, *mut libkdump_verification>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let found = kdump_vmcore::verify(&handle.dump, &mut tell(progress, user))?;
        let result = libkdump_verification { found };
        give(verification, "verification", result)
    })
}

/// Frees a verification.
///
/// Parameters: `verification` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_verification_free(verification: Given<'_, libkdump_verification>) {
    free(verification);
}

/// The sum of a verification.
///
/// Parameters: `verification` the result; `out` receives the numbers; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_verification_get_info(
    verification: Lent<'_, libkdump_verification>,
    out: InOut<'_, libkdump_verification_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(verification, "verification")?;
        let Verification { memory, unreadable, defects, .. } = &handle.found;
        let info = libkdump_verification_info {
            size: 0,
            sound: u32::from(handle.found.is_sound()),
            unreadable_ranges: count(unreadable.ranges.len()),
            defects: count(defects.len()),
            memory: *memory,
            unreadable: unreadable.bytes,
            unlisted_ranges: unreadable.unlisted,
        };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// One range of memory that could not be read, and why.
///
/// Parameters: `verification` the result; `index` from 0; `range` receives the range, of kind
/// LIBKDUMP_PAGE_STORED; `cause` (may be NULL) is filled as if reading its first byte had failed
/// with it; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_verification_unreadable(
    verification: Lent<'_, libkdump_verification>,
    index: u32,
    range: InOut<'_, libkdump_range>,
    cause: InOut<'_, libkdump_error>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(verification, "verification")?;
        let Some(found) = nth(&handle.found.unreadable.ranges, index) else {
            return Ok::<_, Failure>(Flow::End);
        };
        range.set("range", libkdump_range::new(LIBKDUMP_PAGE_STORED, found.range))?;
        if cause.is_given() {
            cause.place("cause")?.set(libkdump_error::of(&Failure::Vmcore(found.error)));
        }
        Ok(Flow::Done)
    })
}

/// One defect of headers, notes or registers.
///
/// Parameters: `verification` the result; `index` from 0; `cause` is filled as if a call had failed
/// with it; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_verification_defect(
    verification: Lent<'_, libkdump_verification>,
    index: u32,
    cause: InOut<'_, libkdump_error>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(verification, "verification")?;
        let told = |defect: &kdump_vmcore::Error| libkdump_error::of(&Failure::Vmcore(*defect));
        Ok::<_, Failure>(step(cause, &handle.found.defects, index, told)?)
    })
}
