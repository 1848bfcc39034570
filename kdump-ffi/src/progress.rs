//! The caller's progress function.
#![allow(unsafe_code, reason = "calls a function that C handed over")]

use core::ffi::{c_int, c_void};
use core::ops::ControlFlow;

use kdump_ffi_core::extensible;
use kdump_vmcore::Progress;

/// How far a long call is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_progress {
    /// `sizeof (struct libkdump_progress)` of the library.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes of memory that are done.
    pub done: u64,
    /// Bytes of memory there are.
    pub total: u64,
    /// Bytes written so far; 0 when nothing is written.
    pub written: u64,
}

extensible!(libkdump_progress { reserved: u32, done: u64, total: u64, written: u64 });

/// Called from time to time, on the calling thread, with no lock held. Return 0 to go on, anything
/// else to stop: the call then ends with LIBKDUMP_ERR_CANCELLED. Must not longjmp or throw.
pub type libkdump_progress_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, progress: *const libkdump_progress) -> c_int>;

/// The function in the form kdump-vmcore takes.
pub(crate) fn tell(
    function: libkdump_progress_fn,
    user: *mut c_void,
) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |Progress { done, total, written, .. }| {
        let Some(function) = function else { return ControlFlow::Continue(()) };
        let size = u32::try_from(size_of::<libkdump_progress>()).unwrap_or(u32::MAX);
        let progress = libkdump_progress { size, reserved: 0, done, total, written };
        // SAFETY: the function came from C with this signature and this first argument; the
        // structure lives for the call.
        match unsafe { function(user, &raw const progress) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}
