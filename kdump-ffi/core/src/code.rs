//! What functions return. A number is never given a second meaning: a code that is retired
//! stays listed here.
//!
//! -1 to -4095 are not used, so that a program may pass its own `-errno` through the same
//! variable.

use core::ffi::{c_char, c_int};

/// Done.
pub const LIBKDUMP_OK: c_int = 0;
/// Nothing more to come; returned by functions that iterate. Not an error.
pub const LIBKDUMP_END: c_int = 1;
/// Done, and what it was done to lacked something, which the call says; returned by
/// libkdump_dump_save(). Not an error.
pub const LIBKDUMP_LACKING: c_int = 2;
/// A parameter is NULL, senseless or not UTF-8.
pub const LIBKDUMP_ERR_INVALID: c_int = -4097;
/// The size field of a structure is not set, or a field is used that this version does not
/// know.
pub const LIBKDUMP_ERR_ABI: c_int = -4098;
/// The buffer is too small; `need` of the error says how many bytes it takes.
pub const LIBKDUMP_ERR_BUFFER: c_int = -4099;
/// Memory could not be allocated.
pub const LIBKDUMP_ERR_NO_MEMORY: c_int = -4100;
/// A defect of the library was caught. The handle, if there is one, can only be freed.
pub const LIBKDUMP_ERR_PANIC: c_int = -4101;
/// An earlier call on the handle ended with `LIBKDUMP_ERR_PANIC`.
pub const LIBKDUMP_ERR_POISONED: c_int = -4102;
/// Understood, but this build or version cannot do it.
pub const LIBKDUMP_ERR_UNSUPPORTED: c_int = -4103;
/// The operating system failed; `os_errno` says how.
pub const LIBKDUMP_ERR_IO: c_int = -4104;
/// A value in the input cannot be right.
pub const LIBKDUMP_ERR_CORRUPT: c_int = -4105;
/// The input ends too early.
pub const LIBKDUMP_ERR_TRUNCATED: c_int = -4106;
/// The memory was filtered out when the dump was written.
pub const LIBKDUMP_ERR_EXCLUDED: c_int = -4107;
/// The address is not RAM.
pub const LIBKDUMP_ERR_HOLE: c_int = -4108;
/// The virtual address is not mapped or cannot be translated.
pub const LIBKDUMP_ERR_NOT_MAPPED: c_int = -4109;
/// There is no such key, register, symbol or element.
pub const LIBKDUMP_ERR_NOT_FOUND: c_int = -4110;
/// A value does not fit where it must go, or passes a limit.
pub const LIBKDUMP_ERR_TOO_LARGE: c_int = -4111;
/// The kernel would refuse the plan, or did; or a file or device is not written, because that
/// would destroy something.
pub const LIBKDUMP_ERR_REFUSED: c_int = -4112;
/// The caller's progress function asked to stop.
pub const LIBKDUMP_ERR_CANCELLED: c_int = -4113;
/// A callback of the caller failed; `os_errno` is what it returned.
pub const LIBKDUMP_ERR_CALLBACK: c_int = -4114;
/// The file is in no format the library knows.
pub const LIBKDUMP_ERR_FORMAT: c_int = -4115;

/// Says what a return value means, in English, for example "the address is not RAM".
///
/// Parameters: `code` any number. Returns a text that is valid forever; never NULL.
#[allow(unsafe_code, reason = "exports a symbol")]
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_strerror(code: c_int) -> *const c_char {
    let text = match code {
        LIBKDUMP_OK => c"done",
        LIBKDUMP_END => c"nothing more to come",
        LIBKDUMP_LACKING => c"done, but something was lacking",
        LIBKDUMP_ERR_INVALID => c"invalid argument",
        LIBKDUMP_ERR_ABI => c"the structure is of another version",
        LIBKDUMP_ERR_BUFFER => c"the buffer is too small",
        LIBKDUMP_ERR_NO_MEMORY => c"out of memory",
        LIBKDUMP_ERR_PANIC => c"a defect of libkdump was caught",
        LIBKDUMP_ERR_POISONED => c"the handle is unusable since an earlier defect",
        LIBKDUMP_ERR_UNSUPPORTED => c"not supported",
        LIBKDUMP_ERR_IO => c"input/output error",
        LIBKDUMP_ERR_CORRUPT => c"the input is corrupt",
        LIBKDUMP_ERR_TRUNCATED => c"the input is truncated",
        LIBKDUMP_ERR_EXCLUDED => c"the memory was excluded from the dump",
        LIBKDUMP_ERR_HOLE => c"the address is not RAM",
        LIBKDUMP_ERR_NOT_MAPPED => c"the virtual address is not mapped",
        LIBKDUMP_ERR_NOT_FOUND => c"not found",
        LIBKDUMP_ERR_TOO_LARGE => c"the value is too large",
        LIBKDUMP_ERR_REFUSED => c"refused by the kernel's rules",
        LIBKDUMP_ERR_CANCELLED => c"cancelled by the caller",
        LIBKDUMP_ERR_CALLBACK => c"a callback failed",
        LIBKDUMP_ERR_FORMAT => c"not a known format",
        _ => c"not a code of libkdump",
    };
    text.as_ptr()
}
