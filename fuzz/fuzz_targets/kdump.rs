//! Damaged kdump-compressed dumps of every layout, alone and with a second one beside them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let bytes = kdump_fuzz::damaged(input);
    if input.len() % 4 == 3 {
        kdump_fuzz::exercise(vec![bytes.clone(), bytes]);
    } else {
        kdump_fuzz::exercise(vec![bytes]);
    }
    kdump_fuzz::exercise(vec![[b"KDUMP   ", input].concat()]);
});
