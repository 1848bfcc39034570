//! A kernel's description of its types, damaged at any places.
#![cfg_attr(not(feature = "one-program"), no_main)]

use std::sync::LazyLock;

use dumpgen::Wire;
use kdump_elf::{Class, Endian};
use kdump_fuzz::fuzz_target;
use kdump_vmcore::Btf;

static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut btf = dumpgen::Btf::new(Wire::LE64);
    let long = btf.int("long unsigned int", 8);
    let words = btf.structure("", 16, &[("mapping", long, 0), ("private", long, 64)]);
    let words = btf.union("", 16, &[("", words, 0), ("compound_head", long, 0)]);
    let named = btf.typedef("words", words);
    let areas = btf.array(named, 11);
    btf.structure("page", 64, &[("flags", long, 0), ("", named, 64)]);
    btf.structure("zone", 400, &[("free_area", areas, 512)]);
    btf.enumeration("pageflags", &[("PG_locked", 0), ("PG_head", 16)]);
    btf.layout = Some(vec![[0, 0], [4, 0], [0, 0], [12, 0], [0, 12], [0, 12], [0, 8]]);
    btf.build()
});

// Each three bytes are a place and what stands there.
fuzz_target!(|input: &[u8]| {
    let mut bytes = KERNEL.clone();
    for damage in input.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([damage[0], damage[1]])) % bytes.len();
        bytes[at] = damage[2];
    }
    let Ok(btf) = Btf::parse(bytes, Endian::Little, Class::Elf64) else {
        assert!(!input.is_empty(), "without damage it is read");
        return;
    };
    let found = (
        btf.offset("page", "private"),
        btf.length("zone", "free_area"),
        btf.constant("pageflags", "PG_head"),
    );
    assert!(input.len() > 2 || found == (Some(16), Some(11), Some(16)), "{found:?}");
    let _ = (btf.size("page"), btf.member_size("zone", "free_area"), btf.offset("zone", "absent"));
});
