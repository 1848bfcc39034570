//! Sets of damaged parts, some of them streams, and sets with parts missing, twice or foreign.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = kdump_fuzz::split(input);
    match input.len() % 5 {
        0 => drop(parts.pop()),
        1 => parts.push(kdump_fuzz::kdump(input)),
        2 => parts.push(parts[0].clone()),
        _ => {}
    }
    kdump_fuzz::exercise(parts);
});
