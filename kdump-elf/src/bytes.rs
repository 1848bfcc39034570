// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small helpers for writing fixed layouts into byte buffers.

use zerocopy::{Immutable, IntoBytes};

use crate::Error;

/// Copies the bytes of `value` to the start of `out` and returns how many there are.
pub(crate) fn write_prefix<T: IntoBytes + Immutable>(out: &mut [u8], value: &T) -> Result<usize, Error> {
    let bytes = value.as_bytes();
    let have = out.len() as u64;
    let target = out.get_mut(..bytes.len()).ok_or(Error::Buffer { need: bytes.len() as u64, have })?;
    copy_to(target, bytes);
    Ok(bytes.len())
}

/// Copies as many bytes as both have. Unlike `copy_from_slice` it leaves no panic in the object,
/// which `cargo xtask crash-note` looks for.
pub(crate) fn copy_to(out: &mut [u8], bytes: &[u8]) {
    for (slot, &byte) in out.iter_mut().zip(bytes) {
        *slot = byte;
    }
}

/// The first `len` bytes of `buf`, or all of it where it is shorter: what is read into it is as
/// long as it is, and never what somebody wished for.
#[must_use]
pub fn front(buf: &mut [u8], len: u64) -> &mut [u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(buf.len());
    buf.split_at_mut(len).0
}

/// `value` as a 32-bit field.
pub(crate) fn fit_u32(field: &'static str, value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| Error::TooLarge { field, value, limit: u64::from(u32::MAX) })
}
