//! A shared library, loaded for as long as the process lives.

use core::ffi::{CStr, c_void};
use core::mem;
use std::ffi::CString;

use crate::Result;

pub(crate) struct Library {
    name: &'static str,
    handle: *mut c_void,
}

impl Library {
    pub(crate) fn open(name: &'static str) -> Result<Self> {
        let path = CString::new(name).map_err(|error| error.to_string())?;
        // SAFETY: a string that ends in a zero byte; the libraries have no harmful initialisers.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(format!("{name} cannot be loaded: cargo xtask setup installs it"));
        }
        Ok(Self { name, handle })
    }

    /// The function `symbol`.
    ///
    /// # Safety
    /// `F` is the type of a pointer to a function of that prototype.
    pub(crate) unsafe fn get<F: Copy>(&self, symbol: &CStr) -> Result<F> {
        // SAFETY: an open library and a string that ends in a zero byte.
        let address = unsafe { libc::dlsym(self.handle, symbol.as_ptr()) };
        if address.is_null() || size_of::<F>() != size_of_val(&address) {
            return Err(format!("{} has no {}", self.name, symbol.to_string_lossy()));
        }
        // SAFETY: the caller names the type, whose size is that of a pointer.
        Ok(unsafe { mem::transmute_copy(&address) })
    }
}
