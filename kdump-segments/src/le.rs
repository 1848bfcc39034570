//! Little-endian fields at fixed offsets of a byte buffer, bounds-checked.

use kdump_elf::Endian;

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Endian::Little.read(bytes, offset)
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Endian::Little.read(bytes, offset)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Endian::Little.read(bytes, offset)
}

/// The `N` bytes at `offset`, if they are all there.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// Copies `value` to `offset`; false, and nothing written, when it does not fit.
#[must_use]
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) -> bool {
    let place = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..value.len()));
    place.map(|place| place.copy_from_slice(value)).is_some()
}
