//! Functions of the caller that the library calls.
#![allow(unsafe_code, reason = "calls functions that C handed over")]

use core::ffi::{c_int, c_void};

use crate::Failure;

/// Reads memory: fill all `len` bytes of `buf` from the physical address `paddr` on and
/// return 0, or return anything else to fail. May be called on any thread, and by several at
/// once where the view or dump is used by several. Must not longjmp or throw out of the call.
pub type libkdump_read_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, paddr: u64, buf: *mut c_void, len: usize) -> c_int>;

/// A [`libkdump_read_fn`] and its first argument.
#[derive(Clone, Copy, Debug)]
pub struct CallbackReader {
    function: unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> c_int,
    user: *mut c_void,
}

// SAFETY: `CallbackReader::new` demands of the function that it may be called on any thread.
unsafe impl Send for CallbackReader {}
// SAFETY: `CallbackReader::new` demands of the function that several threads may call it at once.
unsafe impl Sync for CallbackReader {}

impl CallbackReader {
    /// From two neighbouring parameters or fields.
    ///
    /// # Safety
    /// The function may be called with `user` as its first argument, on any thread and by several
    /// at once, for as long as the value or a copy of it lives.
    ///
    /// # Errors
    /// [`Failure::Null`] without a function.
    pub unsafe fn new(function: libkdump_read_fn, user: *mut c_void) -> Result<Self, Failure> {
        function.map(|function| Self { function, user }).ok_or(Failure::Null { name: "read" })
    }

    /// Fills `buf` from `paddr` on.
    ///
    /// # Errors
    /// [`Failure::Callback`] with what the function returned.
    pub fn read(&self, paddr: u64, buf: &mut [u8]) -> Result<(), Failure> {
        // SAFETY: whoever made the reader vouches for the function and its first argument; `buf`
        // has `len` writable bytes.
        let value = unsafe { (self.function)(self.user, paddr, buf.as_mut_ptr().cast(), buf.len()) };
        match value {
            0 => Ok(()),
            value => Err(Failure::Callback { what: "read memory", value, address: paddr }),
        }
    }
}
