//! Ramdisks as they are found in the field, and damaged ones: what is called exact is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

use kdump_segments::capture_need::{Basis, InitrdSize, UNKNOWN_FACTOR};

/// One gzip member (RFC 1952) that claims to become `size` bytes: ten bytes of header, noise in
/// the place of compressed bytes, check sum, size.
fn member(noise: usize, size: u32) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];
    let mut state = 0x9e37_79b9_u32;
    bytes.extend((0..noise).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    }));
    bytes.extend_from_slice(&0xdead_beef_u32.to_le_bytes());
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes
}

/// The high byte of such a size is zero, which is no padding.
#[test]
fn gzip_that_becomes_less_than_16_mib_is_told_exactly() {
    for size in [1 << 16, 0x00ff_ffff, 4_000_352, 0x0001_0000, 0x0100_0000, 20 << 20] {
        for noise in [size / 2, size / 4, size / 300] {
            let told = InitrdSize::of(&member(noise as usize, size));
            assert_eq!((told.unpacked, told.basis), (u64::from(size), Basis::Exact), "{size:#x} of {noise}");
        }
    }
}

/// A boot loader pads to whole words or pages. Where padding could be part of the size, the
/// larger is taken, and not called exact.
#[test]
fn padded_gzip_is_not_called_exact_where_it_is_not_clear() {
    let mut bytes = member(1_000_000, 4_000_352);
    bytes.resize(bytes.len() + 512, 0);
    let told = InitrdSize::of(&bytes);
    assert!(told.unpacked >= 4_000_352, "{told:?}");
    assert_eq!(told.basis, Basis::Estimated);
    let mut bytes = member(1_000_000, 0x0400_0000);
    bytes.resize(bytes.len() + 512, 0);
    let told = InitrdSize::of(&bytes);
    assert_eq!(told.unpacked, 0x0400_0000, "{told:?}");
}

#[test]
fn every_member_of_a_gzip_file_counts() {
    let two = [member(5_000_000, 50_000_000), member(1_000_000, 4_000_352)].concat();
    let told = InitrdSize::of(&two);
    assert_eq!((told.unpacked, told.basis), (54_000_352, Basis::Estimated), "{told:?}");
}

/// What stands behind a member has no size of it.
#[test]
fn an_archive_behind_gzip_is_not_taken_for_its_size() {
    let mut bytes = member(4_000_000, 10_000_000);
    bytes.extend_from_slice(b"070701");
    bytes.extend_from_slice(&[b'0'; 104]);
    bytes.extend_from_slice(b"TRAILER!!!\0\0\0\0");
    let told = InitrdSize::of(&bytes);
    assert_eq!(told.unpacked, bytes.len() as u64 * UNKNOWN_FACTOR, "{told:?}");
    assert_eq!(told.basis, Basis::Estimated);
}
