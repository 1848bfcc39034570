//! Any bytes as an initial ramdisk, whose size is told without unpacking it.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_segments::capture_need::InitrdSize;

fuzz_target!(|bytes: &[u8]| {
    let size = InitrdSize::of(bytes);
    assert_eq!(size.packed, bytes.len() as u64);
    // A few formats, however many streams.
    assert!(size.source.len() < 1024);
});
