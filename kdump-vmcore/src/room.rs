//! Buffers whose size the input decides: running out of memory is an error, because in a
//! capture kernel it would otherwise cost the dump.

use alloc::vec::Vec;

use crate::error::Error;

/// `len` zero bytes to hold `what`.
pub(crate) fn zeroed(what: &'static str, len: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let size = reserve(&mut bytes, what, len)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

/// Appends `more` to `bytes`, which hold `what`.
pub(crate) fn append(bytes: &mut Vec<u8>, what: &'static str, more: &[u8]) -> Result<(), Error> {
    reserve(bytes, what, more.len() as u64)?;
    bytes.extend_from_slice(more);
    Ok(())
}

fn reserve(bytes: &mut Vec<u8>, what: &'static str, more: u64) -> Result<usize, Error> {
    let need = (bytes.len() as u64).saturating_add(more);
    let size = usize::try_from(more).ok().filter(|&size| bytes.try_reserve(size).is_ok());
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
    }
}
