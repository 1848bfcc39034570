//! The line between C and Rust for functions that allocate.

use core::ffi::c_int;

use kdump_ffi_core::{Fail, Flow, InOut, libkdump_error};

use crate::reserve;

/// [`kdump_ffi_core::call`] for functions that may run out of memory.
pub(crate) fn call<T, E>(error: InOut<'_, libkdump_error>, body: impl FnOnce() -> Result<T, E>) -> c_int
where
    T: Into<Flow>,
    E: Fail,
{
    reserve::begin();
    kdump_ffi_core::call(error, body)
}
