//! Damaged diskdump files of every layout, with one bitmap and with two.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;

fuzz_target!(|input: &[u8]| {
    kdump_fuzz::exercise(vec![kdump_fuzz::diskdump(input)]);
    kdump_fuzz::exercise(vec![[b"DISKDUMP", input].concat()]);
});
