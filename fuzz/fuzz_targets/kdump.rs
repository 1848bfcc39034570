//! Damaged kdump-compressed dumps of every layout.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;

fuzz_target!(|input: &[u8]| {
    kdump_fuzz::exercise(vec![kdump_fuzz::kdump(input)]);
    kdump_fuzz::exercise(vec![[b"KDUMP   ", input].concat()]);
});
