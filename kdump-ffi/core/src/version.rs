//! The version of the library that runs, as against the header a program was compiled with.

use core::ffi::c_char;

/// Major version of this header.
pub const LIBKDUMP_VERSION_MAJOR: u32 = 0;
/// Minor version of this header.
pub const LIBKDUMP_VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const LIBKDUMP_VERSION_PATCH: u32 = 0;
/// The version of this header as libkdump_version() would return it.
pub const LIBKDUMP_VERSION: u32 = 0x0000_0100;

/// The version of the library that is running: major << 16 | minor << 8 | patch.
///
/// Compare it with LIBKDUMP_VERSION, the version of the header.
#[allow(unsafe_code, reason = "exports a symbol")]
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_version() -> u32 {
    LIBKDUMP_VERSION
}

/// The version of the library that is running as a text, for example "0.1.0".
///
/// Valid forever; never NULL.
#[allow(unsafe_code, reason = "exports a symbol")]
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_version_string() -> *const c_char {
    const TEXT: &core::ffi::CStr =
        match core::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => c"",
        };
    TEXT.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_version_of_the_package() {
        let parts = [LIBKDUMP_VERSION_MAJOR, LIBKDUMP_VERSION_MINOR, LIBKDUMP_VERSION_PATCH];
        let text = std::format!("{}.{}.{}", parts[0], parts[1], parts[2]);
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
        assert_eq!(LIBKDUMP_VERSION, parts[0] << 16 | parts[1] << 8 | parts[2]);
    }
}
