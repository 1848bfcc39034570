//! Any bytes as VMCOREINFO, with every kind of look-up.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::VmcoreInfo;
use kdump_fuzz::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let info = VmcoreInfo::new(bytes);
    for (key, value) in info.entries() {
        assert!(info.get(key).is_some() && value.len() <= bytes.len());
        let inner = key.split_once('(').map_or(key, |(_, inner)| inner.trim_end_matches(')'));
        let _ = (
            info.symbol(inner),
            info.number(inner),
            info.size(inner),
            info.offset(inner),
            info.length(inner),
        );
        let _ = (info.hex(key), info.decimal(key));
    }
    let _ = (info.release(), info.page_size());
});
