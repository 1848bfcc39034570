//! Damaged kdump-compressed dumps of every layout.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    kdump_fuzz::exercise(vec![kdump_fuzz::kdump(input)]);
    kdump_fuzz::exercise(vec![[b"KDUMP   ", input].concat()]);
});
