//! Texts that live in a handle and are lent to C.

use core::ffi::c_char;
use std::ffi::CString;

use kdump_ffi_core::{Extensible, Failure, Flow, InOut, Out, libkdump_phdr};

/// A text for C. A NUL inside becomes the replacement character.
pub(crate) fn text(text: impl ToString) -> CString {
    let clean = text.to_string().replace('\0', "\u{fffd}");
    CString::new(clean).unwrap_or_default()
}

/// One step of an iteration: what `convert` makes of the element at `index`, or the end.
pub(crate) fn step<T, O: Extensible>(
    out: InOut<'_, O>,
    list: &[T],
    index: u32,
    convert: impl FnOnce(&T) -> O,
) -> Result<Flow, Failure> {
    let place = out.place("out")?;
    Ok(nth(list, index).map_or(Flow::End, |found| {
        place.set(convert(found));
        Flow::Done
    }))
}

/// One step of an iteration over texts.
pub(crate) fn text_step(text: Out<'_, *const c_char>, list: &[CString], index: u32) -> Result<Flow, Failure> {
    let Some(found) = nth(list, index) else { return Ok(Flow::End) };
    text.set("text", found.as_ptr())?;
    Ok(Flow::Done)
}

/// One step of an iteration over program headers.
pub(crate) fn phdr_step(
    out: Out<'_, libkdump_phdr>,
    list: &[kdump_elf::Phdr],
    index: u32,
) -> Result<Flow, Failure> {
    let Some(found) = nth(list, index) else { return Ok(Flow::End) };
    out.set("out", (*found).into())?;
    Ok(Flow::Done)
}

/// The element at `index`; `None` behind the last.
pub(crate) fn nth<T>(list: &[T], index: u32) -> Option<&T> {
    usize::try_from(index).ok().and_then(|index| list.get(index))
}

/// The element at `index`, where that is no iteration.
pub(crate) fn element<'a, T>(list: &'a [T], what: &'static str, index: u32) -> Result<&'a T, Failure> {
    nth(list, index).ok_or(Failure::Index { what, index: u64::from(index), count: list.len() as u64 })
}

/// A count as C sees it.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
