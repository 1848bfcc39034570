//! Any bytes as a page that is compressed with lzo and read back, and as lzo data.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_vmcore::codec::Codec;

fuzz_target!(|bytes: &[u8]| kdump_fuzz::codec::exercise(Codec::Lzo, bytes));
