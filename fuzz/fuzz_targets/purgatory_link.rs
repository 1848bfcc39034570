//! Any bytes as a relocatable object: parsed, linked low and high, every symbol touched.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_purgatory::RelObject;

const SYMBOLS: [&str; 6] =
    ["purgatory_start", "entry64_regs", "sha256_regions", "sha256_digest", "backup_start", "stack_end"];

fuzz_target!(|input: (u64, &[u8])| {
    let (high, bytes) = input;
    let Ok(object) = RelObject::parse(bytes) else { return };
    for base in [0x10_0000, high & !(object.align().max(1) - 1)] {
        let Ok(mut image) = object.link(base) else { continue };
        assert!(image.bytes().len() as u64 <= object.memsz());
        for symbol in SYMBOLS {
            let _ = (image.contains(symbol), image.address(symbol));
            if let Ok(value) = image.get(symbol).map(<[u8]>::to_vec) {
                assert!(image.set(symbol, &value).is_ok());
            }
        }
    }
});
