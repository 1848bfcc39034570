//! Small helpers for writing fixed layouts into byte buffers.

use zerocopy::{Immutable, IntoBytes};

use crate::Error;

/// Copies the bytes of `value` to the start of `out` and returns how many there are.
pub(crate) fn write_prefix<T: IntoBytes + Immutable>(out: &mut [u8], value: &T) -> Result<usize, Error> {
    let bytes = value.as_bytes();
    let have = out.len() as u64;
    let target = out.get_mut(..bytes.len()).ok_or(Error::Buffer { need: bytes.len() as u64, have })?;
    target.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// `value` as a 32-bit field.
pub(crate) fn fit_u32(field: &'static str, value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::TooLarge { field, value, limit: u64::from(u32::MAX) })
}
