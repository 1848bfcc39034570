//! Flattened streams with records of any place and size, and with damage in the dumps they hold.
#![cfg_attr(not(feature = "one-program"), no_main)]

use dumpgen::Flattened;
use kdump_fuzz::fuzz_target;
use kdump_vmcore::ReadAt;

fuzz_target!(|input: &[u8]| {
    // The first half damages the dump, the second one adds records.
    let (damage, records) = input.split_at(input.len() / 2);
    let mut flat = Flattened::of(&kdump_fuzz::kdump(damage), 700);
    for record in records.chunks(12) {
        let number = record.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        // Most records near the start, a few anywhere.
        let shift = if record[0] % 8 == 0 { 0 } else { 48 };
        flat = flat.last((number >> shift) as i64, record);
    }
    if damage.len() % 3 == 1 {
        flat = flat.shuffled(input.len() as u64);
    }
    flat.end = damage.len() % 5 != 1;
    let stream = flat.build();
    if let Ok(file) = kdump_vmcore::Flattened::open(stream.as_slice()) {
        let mut buf = [0; 64];
        for at in [0, 4096, file.size().unwrap_or(0).saturating_sub(8), u64::MAX] {
            let count = file.read_at(at, &mut buf).unwrap_or(0);
            assert!(count <= buf.len());
        }
    }
    kdump_fuzz::exercise(vec![stream]);
    kdump_fuzz::exercise(vec![[b"makedumpfile\0\0\0\0".as_slice(), input].concat()]);
});
