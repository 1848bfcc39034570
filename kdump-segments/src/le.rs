//! Little-endian fields at fixed offsets of a byte buffer, bounds-checked.

/// The `N` bytes at `offset`, if they are all there.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array(bytes, offset).map(u64::from_le_bytes)
}

/// Copies `value` to `offset`; false, and nothing written, when it does not fit.
#[must_use]
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) -> bool {
    let place = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..value.len()));
    place.map(|place| place.copy_from_slice(value)).is_some()
}
