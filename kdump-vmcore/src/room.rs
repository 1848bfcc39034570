//! Buffers whose size the input decides: running out of memory is an error, because in a
//! capture kernel it would otherwise cost the dump.

use alloc::vec::Vec;

use crate::error::Error;

/// Defects of a dump that are listed.
const MAX_DEFECTS: usize = 1024;

/// `len` zero bytes to hold `what`.
pub(crate) fn zeroed(what: &'static str, len: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let size = reserve(&mut bytes, what, len)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Bytes that begin at a multiple of a page: elsewhere the system copies into and out of them several times
/// slower.
#[derive(Debug)]
pub(crate) struct PageAligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl PageAligned {
    const ALIGN: usize = 4096;

    /// `len` zero bytes to hold `what`.
    pub(crate) fn zeroed(what: &'static str, len: u64) -> Result<Self, Error> {
        let bytes = zeroed(what, len.saturating_add(Self::ALIGN as u64))?;
        let start = bytes.as_ptr().align_offset(Self::ALIGN).min(Self::ALIGN);
        let len = bytes.len().saturating_sub(Self::ALIGN);
        Ok(Self { bytes, start, len })
    }

    pub(crate) fn get(&self) -> &[u8] {
        self.bytes.get(self.start..self.start.saturating_add(self.len)).unwrap_or_default()
    }

    pub(crate) fn get_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start.saturating_add(self.len)).unwrap_or_default()
    }
}

/// `len` zero words to hold `what`.
pub(crate) fn zeroed_words(what: &'static str, len: u64) -> Result<Vec<u64>, Error> {
    let mut words = Vec::new();
    let size = reserve(&mut words, what, len)?;
    words.resize(size, 0);
    Ok(words)
}

/// Appends `more` to `bytes`, which hold `what`.
pub(crate) fn append(bytes: &mut Vec<u8>, what: &'static str, more: &[u8]) -> Result<(), Error> {
    reserve(bytes, what, more.len() as u64)?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// Appends one item to `items`, which hold `what`.
pub(crate) fn push<T>(items: &mut Vec<T>, what: &'static str, item: T) -> Result<(), Error> {
    reserve(items, what, 1)?;
    items.push(item);
    Ok(())
}

/// All `items`, to hold `what`.
pub(crate) fn collect<T>(what: &'static str, items: impl Iterator<Item = T>) -> Result<Vec<T>, Error> {
    let mut all = Vec::new();
    reserve(&mut all, what, items.size_hint().0 as u64)?;
    items.into_iter().try_for_each(|item| push(&mut all, what, item))?;
    Ok(all)
}

/// Adds what is wrong with a dump to `defects`. Of more than [`MAX_DEFECTS`] the last entry tells
/// how many there are.
pub(crate) fn tell(defects: &mut Vec<Error>, error: Error) -> Result<(), Error> {
    const WHAT: &str = "number of defects of the dump";
    const LIMIT: u64 = MAX_DEFECTS as u64;
    if defects.len() < MAX_DEFECTS {
        return push(defects, "what is wrong with the dump", error);
    }
    if let Some(last) = defects.last_mut() {
        let before = match *last {
            Error::TooLarge { what: WHAT, value, .. } => value,
            _ => LIMIT,
        };
        *last = Error::TooLarge { what: WHAT, value: before.saturating_add(1), limit: LIMIT };
    }
    Ok(())
}

fn reserve<T>(items: &mut Vec<T>, what: &'static str, more: u64) -> Result<usize, Error> {
    let size = usize::try_from(more).ok().filter(|&size| items.try_reserve(size).is_ok());
    let need = (items.len() as u64).saturating_add(more).saturating_mul(size_of::<T>() as u64);
    size.ok_or(Error::OutOfMemory { what, need })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_held_is_an_error() {
        let need = u64::MAX >> 1;
        assert_eq!(zeroed("notes", need).unwrap_err(), Error::OutOfMemory { what: "notes", need });
        let mut bytes = zeroed("notes", 3).unwrap();
        append(&mut bytes, "notes", &[1]).unwrap();
        assert_eq!(bytes, [0, 0, 0, 1]);
        let many = core::iter::repeat_n(0_u64, usize::MAX);
        let error = collect("numbers", many).unwrap_err();
        let need = (usize::MAX as u64).saturating_mul(8);
        assert_eq!(error, Error::OutOfMemory { what: "numbers", need });
    }

    #[test]
    fn defects_are_counted_where_they_are_not_listed() {
        let mut defects = Vec::new();
        for _ in 0..MAX_DEFECTS + 500 {
            tell(&mut defects, Error::Cancelled).unwrap();
        }
        assert_eq!(defects.len(), MAX_DEFECTS);
        assert_eq!(defects[MAX_DEFECTS - 2], Error::Cancelled);
        let Error::TooLarge { value, limit, .. } = defects[MAX_DEFECTS - 1] else { panic!() };
        assert_eq!((value, limit), (MAX_DEFECTS as u64 + 500, MAX_DEFECTS as u64));
    }
}
