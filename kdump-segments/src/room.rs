//! Room whose size the input decides: memory that is refused is an error, because it must end neither
//! the program nor the capture kernel that is armed.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Error;

/// What messages call sets of addresses.
pub(crate) const RANGES: &str = "ranges of memory";
/// What messages call notes of what was dropped, rounded or guessed.
pub(crate) const REMARKS: &str = "remarks";

/// Room for `more` items behind those of `items`, which hold `what`.
pub(crate) fn reserve<T>(items: &mut Vec<T>, what: &'static str, more: usize) -> Result<(), Error> {
    let need = (items.len() as u64).saturating_add(more as u64).saturating_mul(size_of::<T>() as u64);
    items.try_reserve(more).map_err(|_| Error::OutOfMemory { what, need })
}

/// Appends one item to `items`, which hold `what`.
pub(crate) fn push<T>(items: &mut Vec<T>, what: &'static str, item: T) -> Result<(), Error> {
    reserve(items, what, 1)?;
    items.push(item);
    Ok(())
}

/// Appends all of `more` to `items`, which hold `what`.
pub(crate) fn extend<T>(
    items: &mut Vec<T>,
    what: &'static str,
    more: impl IntoIterator<Item = T>,
) -> Result<(), Error> {
    let more = more.into_iter();
    reserve(items, what, more.size_hint().0)?;
    for item in more {
        push(items, what, item)?;
    }
    Ok(())
}

/// All `items`, to hold `what`.
pub(crate) fn collect<T>(what: &'static str, items: impl IntoIterator<Item = T>) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    extend(&mut all, what, items)?;
    Ok(all)
}

/// A copy of `items`, which are `what`.
pub(crate) fn copy<T: Copy>(what: &'static str, items: &[T]) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    append(&mut all, what, items)?;
    Ok(all)
}

/// Appends `more` to `items`, which hold `what`.
pub(crate) fn append<T: Copy>(items: &mut Vec<T>, what: &'static str, more: &[T]) -> Result<(), Error> {
    reserve(items, what, more.len())?;
    items.extend_from_slice(more);
    Ok(())
}

/// Bytes that may be lent as they are, or copied where they are owned.
pub(crate) fn lend<'a>(what: &'static str, bytes: &Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, Error> {
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(*bytes),
        Cow::Owned(bytes) => Cow::Owned(copy(what, bytes)?),
    })
}

/// `len` zero bytes to hold `what`.
pub(crate) fn zeroed(what: &'static str, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    reserve(&mut bytes, what, len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// A copy of `text`, which is `what`.
pub(crate) fn text(what: &'static str, text: &str) -> Result<String, Error> {
    let mut out = String::new();
    add(&mut out, what, text)?;
    Ok(out)
}

/// Appends `more` to `out`, which is `what`.
pub(crate) fn add(out: &mut String, what: &'static str, more: &str) -> Result<(), Error> {
    let need = (out.len() as u64).saturating_add(more.len() as u64);
    out.try_reserve(more.len()).map_err(|_| Error::OutOfMemory { what, need })?;
    out.push_str(more);
    Ok(())
}

/// Appends what `more` prints to `out`, which is `what`.
pub(crate) fn print(out: &mut String, what: &'static str, more: fmt::Arguments<'_>) -> Result<(), Error> {
    struct Printer<'a>(&'a mut String, &'static str, Option<Error>);
    impl fmt::Write for Printer<'_> {
        fn write_str(&mut self, more: &str) -> fmt::Result {
            add(self.0, self.1, more).map_err(|error| {
                self.2 = Some(error);
                fmt::Error
            })
        }
    }
    let mut printer = Printer(out, what, None);
    // Only memory can be missing, and that is kept.
    let _ = fmt::Write::write_fmt(&mut printer, more);
    printer.2.map_or(Ok(()), Err)
}

/// `bytes`, which are `what`, as text; what is no UTF-8 becomes U+FFFD.
pub(crate) fn lossy(what: &'static str, bytes: &[u8]) -> Result<String, Error> {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        add(&mut out, what, chunk.valid())?;
        if !chunk.invalid().is_empty() {
            add(&mut out, what, "\u{fffd}")?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_held_is_an_error() {
        let many = core::iter::repeat_n(0_u64, usize::MAX);
        assert!(matches!(collect("numbers", many), Err(Error::OutOfMemory { what: "numbers", .. })));
        assert!(
            matches!(zeroed("bytes", usize::MAX), Err(Error::OutOfMemory { need, .. }) if need == usize::MAX as u64)
        );
        let mut out = text("text", "a").unwrap();
        print(&mut out, "text", format_args!("{}-{:x}", 1, 255)).unwrap();
        assert_eq!(out, "a1-ff");
    }

    #[test]
    fn text_that_is_none_is_read_as_the_standard_library_does() {
        for bytes in [&b"plain"[..], b"", b"\xffa\xc3\xa9\xe2\x82", b"\xf0\x9f\x92\xa9\xed\xa0\x80"] {
            assert_eq!(lossy("text", bytes).unwrap(), String::from_utf8_lossy(bytes));
        }
    }
}
