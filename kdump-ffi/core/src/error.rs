//! `struct libkdump_error`, owned by the caller.
#![allow(unsafe_code, reason = "declares a structure that C fills")]

use core::ffi::{c_char, c_int};
use core::fmt::{self, Write};

use crate::failure::{ErrorPlace, Fail};
use crate::{InOut, extensible};

/// `flags` of an error: `address` is set.
pub const LIBKDUMP_ERROR_ADDRESS: u32 = 1;
/// `flags` of an error: `offset` is set.
pub const LIBKDUMP_ERROR_OFFSET: u32 = 2;
/// `flags` of an error: `pfn` is set.
pub const LIBKDUMP_ERROR_PFN: u32 = 4;
/// `flags` of an error: `need` is set.
pub const LIBKDUMP_ERROR_NEED: u32 = 8;

/// Bytes of `message`, the NUL included.
pub const LIBKDUMP_MESSAGE_SIZE: usize = 256;

/// Why a call failed. Set `size` to `sizeof` and pass a pointer, or pass NULL: the code is
/// returned in any case. Written on failure only; nothing in it needs to be freed.
///
/// A structure that cannot be one is not written either, and no other code is returned for it: one whose
/// `size` is below that of the first version (304 bytes) or above 4096, or that is not aligned. Who zeroes
/// it first sees from `code`, which is never 0 on failure, that it was left alone.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_error {
    /// `sizeof (struct libkdump_error)`, set by the caller.
    pub size: u32,
    /// The code that was returned.
    pub code: i32,
    /// `errno` with LIBKDUMP_ERR_IO and with LIBKDUMP_ERR_REFUSED by the kernel, the callback's value with
    /// LIBKDUMP_ERR_CALLBACK, else 0.
    pub os_errno: i32,
    /// Which of the following are set: LIBKDUMP_ERROR_ADDRESS and so on.
    pub flags: u32,
    /// Physical or virtual address, as the call takes it.
    pub address: u64,
    /// Offset in the file or buffer, in bytes.
    pub offset: u64,
    /// Page frame number.
    pub pfn: u64,
    /// Bytes (or elements) that would have been enough.
    pub need: u64,
    /// What happened, in English, without full stop or newline, ended by a NUL. A message
    /// that had to be cut ends with "...".
    pub message: [c_char; LIBKDUMP_MESSAGE_SIZE],
}

extensible!(libkdump_error {
    code: i32,
    os_errno: i32,
    flags: u32,
    address: u64,
    offset: u64,
    pfn: u64,
    need: u64,
    message: [c_char; LIBKDUMP_MESSAGE_SIZE],
});

impl libkdump_error {
    /// A failure as C sees it, for functions that hand out causes found earlier.
    #[must_use]
    pub fn of(failure: &dyn Fail) -> Self {
        filled(failure.code(), failure)
    }
}

/// Tells the caller, as far as it wants to know, and returns the code.
pub(crate) fn report(error: InOut<'_, libkdump_error>, failure: &dyn Fail) -> c_int {
    let code = failure.code();
    if error.is_given() {
        // An error structure that cannot be used must not hide the code.
        if let Ok(place) = error.place("error") {
            place.set(filled(code, failure));
        }
    }
    code
}

fn filled(code: c_int, failure: &dyn Fail) -> libkdump_error {
    let ErrorPlace { os_errno, address, offset, pfn, need } = failure.place();
    let flag = |given: bool, flag: u32| if given { flag } else { 0 };
    let mut message = Message { bytes: [0; LIBKDUMP_MESSAGE_SIZE], len: 0 };
    // Running out of room is the only way this fails, and then the text is marked.
    let _ = write!(message, "{failure}");
    libkdump_error {
        size: 0,
        code,
        os_errno,
        flags: flag(address.is_some(), LIBKDUMP_ERROR_ADDRESS)
            | flag(offset.is_some(), LIBKDUMP_ERROR_OFFSET)
            | flag(pfn.is_some(), LIBKDUMP_ERROR_PFN)
            | flag(need.is_some(), LIBKDUMP_ERROR_NEED),
        address: address.unwrap_or(0),
        offset: offset.unwrap_or(0),
        pfn: pfn.unwrap_or(0),
        need: need.unwrap_or(0),
        message: message.bytes.map(|byte| c_char::from_ne_bytes([byte])),
    }
}

/// A text of fixed size that always ends with a NUL.
struct Message {
    bytes: [u8; LIBKDUMP_MESSAGE_SIZE],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const MARK: &[u8] = b"...\0";
        let end = self.len.saturating_add(text.len());
        if end < LIBKDUMP_MESSAGE_SIZE {
            if let Some(target) = self.bytes.get_mut(self.len..end) {
                target.copy_from_slice(text.as_bytes());
                self.len = end;
            }
            return Ok(());
        }
        let room = LIBKDUMP_MESSAGE_SIZE.saturating_sub(self.len);
        for (target, byte) in self.bytes.iter_mut().skip(self.len).zip(text.bytes().take(room)) {
            *target = byte;
        }
        // The cut may fall into a character of several bytes.
        let mut keep = LIBKDUMP_MESSAGE_SIZE.saturating_sub(MARK.len());
        while keep > 0 && self.bytes.get(keep).is_some_and(|byte| byte & 0xc0 == 0x80) {
            keep = keep.saturating_sub(1);
        }
        let tail = self.bytes.get_mut(keep..).unwrap_or_default();
        tail.fill(0);
        for (target, byte) in tail.iter_mut().zip(MARK) {
            *target = *byte;
        }
        self.len = LIBKDUMP_MESSAGE_SIZE;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[&str]) -> std::string::String {
        let mut message = Message { bytes: [0; LIBKDUMP_MESSAGE_SIZE], len: 0 };
        let _ = parts.iter().try_for_each(|part| message.write_str(part));
        let end = message.bytes.iter().position(|&byte| byte == 0).unwrap();
        std::string::String::from_utf8(message.bytes[..end].to_vec()).unwrap()
    }

    #[test]
    fn messages_fit_or_say_that_they_were_cut() {
        assert_eq!(text(&["phdr ", "3"]), "phdr 3");
        assert_eq!(text(&[&"x".repeat(255)]).len(), 255);
        let cut = text(&["y", &"x".repeat(255)]);
        assert!(cut.len() == 255 && cut.ends_with("x..."), "{cut}");
        let cut = text(&[&"ä".repeat(200)]);
        assert!(cut.ends_with("ä..."), "{cut}");
        assert!(text(&[&"x".repeat(250), "0123456789", "tail"]).ends_with("x01..."));
    }
}
