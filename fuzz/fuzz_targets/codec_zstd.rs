//! Any bytes as a page that is compressed with zstd and read back, and as zstd data.
#![no_main]

use kdump_vmcore::codec::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kdump_fuzz::codec::exercise(Codec::Zstd, bytes));
