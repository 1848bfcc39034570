//! Any bytes as a page that is compressed with lzo and read back, and as lzo data.
#![no_main]

use kdump_vmcore::codec::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kdump_fuzz::codec::exercise(Codec::Lzo, bytes));
