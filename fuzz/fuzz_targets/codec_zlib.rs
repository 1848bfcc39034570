//! Any bytes as a page that is compressed with zlib and read back, and as zlib data.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_vmcore::codec::Codec;

fuzz_target!(|bytes: &[u8]| kdump_fuzz::codec::exercise(Codec::Zlib, bytes));
