//! Texts that live in a handle and are lent to C.

use core::ffi::c_char;
use std::ffi::CString;

use kdump_ffi_core::Failure;

/// A text for C. A NUL inside becomes the replacement character.
pub(crate) fn text(text: impl ToString) -> CString {
    let clean = text.to_string().replace('\0', "\u{fffd}");
    CString::new(clean).unwrap_or_default()
}

/// Pointer to the text at `index`; NULL behind the last.
pub(crate) fn nth(texts: &[CString], index: u32) -> *const c_char {
    usize::try_from(index)
        .ok()
        .and_then(|index| texts.get(index))
        .map_or(core::ptr::null(), |text| text.as_ptr())
}

/// The element at `index`.
pub(crate) fn element<'a, T>(list: &'a [T], what: &'static str, index: u32) -> Result<&'a T, Failure> {
    let found = usize::try_from(index).ok().and_then(|index| list.get(index));
    found.ok_or_else(|| no_element(what, index, list.len()))
}

/// That a list of `count` has no element `index`.
pub(crate) fn no_element(what: &'static str, index: u32, count: usize) -> Failure {
    Failure::Index { what, index: u64::from(index), count: count as u64 }
}

/// A count as C sees it.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
