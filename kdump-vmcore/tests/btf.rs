//! A kernel's own description of its types, as it is and damaged.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::Wire;
use kdump_elf::{Class, Endian};
use kdump_vmcore::{Btf, Error};

fn parse(bytes: Vec<u8>, wire: Wire) -> Result<Btf, Error> {
    let endian = if wire.big { Endian::Big } else { Endian::Little };
    Btf::parse(bytes, endian, if wire.wide { Class::Elf64 } else { Class::Elf32 })
}

/// A kernel with a `struct page` as it is: words in unions and structs without a name.
fn kernel(wire: Wire) -> dumpgen::Btf {
    let mut btf = dumpgen::Btf::new(wire);
    let long = btf.int("long unsigned int", 8);
    let int = btf.int("int", 4);
    let bit = btf.int("unsigned char", 1);
    let lru = btf.structure("", 32, &[("lru", long, 0), ("mapping", long, 128), ("private", long, 256)]);
    let tail = btf.structure("", 8, &[("compound_head", long, 0)]);
    let words = btf.union("", 40, &[("", lru, 0), ("", tail, 0)]);
    let count = btf.typedef("atomic_t", int);
    btf.structure("page", 64, &[("flags", long, 0), ("", words, 64), ("_mapcount", count, 384)]);
    // Another of that name, which has other members.
    btf.structure("page", 16, &[("elsewhere", long, 64)]);
    let areas = btf.array(long, 11);
    let areas = btf.typedef("areas_t", areas);
    let link = btf.pointer(areas);
    btf.structure("zone", 400, &[("link", link, 0), ("free_area", areas, 512)]);
    let packed =
        [btf.string("low"), bit, 3 << 24, btf.string("high"), bit, 5 << 24 | 3, btf.string("whole"), bit, 8];
    btf.add(4, "bits", true, (3, 2), &packed);
    btf.enumeration("pageflags", &[("PG_locked", 0), ("PG_head", 16)]);
    btf.enumeration("signs", &[("minus", -3), ("plus", 3)]);
    let wide = [btf.string("high_bits"), 1, 0x8000_0000, btf.string("none"), 0, 0];
    btf.add(19, "wide", false, (2, 8), &wide);
    btf
}

#[test]
fn what_is_there_is_found_and_nothing_else() {
    for wire in Wire::ALL {
        let btf = parse(kernel(wire).build(), wire).unwrap();
        assert_eq!(btf.size("page"), Some(64));
        let offset = |name| btf.offset("page", name);
        assert_eq!(offset("flags"), Some(0));
        assert_eq!(offset("compound_head"), Some(8));
        assert_eq!(offset("mapping"), Some(24));
        assert_eq!(offset("private"), Some(40));
        assert_eq!(offset("_mapcount"), Some(48));
        assert_eq!(offset("elsewhere"), Some(8));
        for none in ["flag", "flags_", "", "long unsigned int"] {
            assert_eq!(offset(none), None, "{none}");
        }
        assert_eq!((btf.offset("pages", "flags"), btf.size("pag"), btf.size("int")), (None, None, None));
        assert_eq!((btf.length("zone", "free_area"), btf.offset("zone", "free_area")), (Some(11), Some(64)));
        assert_eq!((btf.length("zone", "link"), btf.length("page", "flags")), (None, None));
        assert_eq!(btf.member_size("zone", "free_area"), Some(88));
        assert_eq!(btf.member_size("zone", "link"), Some(wire.word_size() as u64));
        assert_eq!(btf.member_size("page", "_mapcount"), Some(4));
        // Bits have no offset in bytes.
        let bits = ["low", "high", "whole"].map(|name| btf.offset("bits", name));
        assert_eq!(bits, [None, None, Some(1)]);
        assert_eq!(btf.constant("pageflags", "PG_head"), Some(16));
        assert_eq!((btf.constant("pageflags", "minus"), btf.constant("none", "PG_head")), (None, None));
        assert_eq!((btf.constant("signs", "minus"), btf.constant("signs", "plus")), (Some(-3), Some(3)));
        assert_eq!(btf.constant("wide", "high_bits"), Some(i64::MIN | 1));
    }
}

/// Kinds that this library does not know end the types, unless the kernel tells how long they are.
#[test]
fn unknown_kinds() {
    let build = |layout: Option<[u8; 2]>| {
        let mut btf = dumpgen::Btf::new(Wire::LE64);
        let int = btf.int("int", 4);
        btf.structure("front", 8, &[("first", int, 32)]);
        btf.add(40, "new", false, (2, 0), &[1, 2, 3, 4, 5]);
        btf.structure("behind", 8, &[("last", int, 32)]);
        btf.layout = layout.map(|last| (0..40).map(|_| [0; 2]).chain([last]).collect());
        parse(btf.build(), Wire::LE64).unwrap()
    };
    for (layout, behind) in [(None, None), (Some([12, 4]), Some(4)), (Some([4, 4]), None)] {
        let btf = build(layout);
        assert_eq!(btf.offset("front", "first"), Some(4), "{layout:?}");
        assert_eq!(btf.offset("behind", "last"), behind, "{layout:?}");
    }
}

#[test]
fn types_that_are_part_of_themselves() {
    let mut btf = dumpgen::Btf::new(Wire::LE64);
    // Types 1 and 2 are names of each other, 3 has a member without a name that is itself, 4 is an array of itself.
    btf.typedef("one", 2);
    btf.typedef("two", 1);
    btf.structure("self", 8, &[("", 3, 64), ("", 3, 64), ("wide", 1, 0), ("", 3, 0)]);
    btf.add(3, "", false, (0, 0), &[4, 4, 9]);
    btf.structure("holder", 8, &[("loop", 1, 0), ("array", 4, 0), ("void", 0, 0), ("none", 99, 0)]);
    let btf = parse(btf.build(), Wire::LE64).unwrap();
    assert_eq!(btf.offset("self", "absent"), None);
    for member in ["loop", "array", "void", "none"] {
        assert_eq!((btf.offset("holder", member), btf.member_size("holder", member)), (Some(0), None));
        assert_eq!(btf.length("holder", member), (member == "array").then_some(9));
    }
}

#[test]
fn headers_that_are_none() {
    let good = kernel(Wire::LE64).build();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        parse(bad, Wire::LE64).unwrap_err()
    };
    assert!(matches!(with(0, &[0x9e]), Error::Corrupt { what: "magic of BTF", value: 0xeb9e, .. }));
    assert!(matches!(with(2, &[2]), Error::Corrupt { what: "version of BTF", value: 2, .. }));
    assert!(matches!(with(4, &[23]), Error::Corrupt { what: "hdr_len of BTF", value: 23, .. }));
    assert!(matches!(with(12, &[0xff; 4]), Error::Truncated { what: "types of BTF", .. }));
    assert!(matches!(with(20, &[0xff; 4]), Error::Truncated { what: "strings of BTF", .. }));
    assert!(matches!(parse(good[..good.len() - 1].to_vec(), Wire::LE64), Err(Error::Truncated { .. })));
    // The other byte order's magic number is another one.
    let other = Btf::parse(good, Endian::Big, Class::Elf64);
    assert!(matches!(other, Err(Error::Corrupt { what: "magic of BTF", value: 0x9feb, .. })));
}

proptest::proptest! {
    #[test]
    fn any_damage_is_survived(
        places in proptest::collection::vec((24_usize..2000, proptest::prelude::any::<u8>()), 1..8),
    ) {
        let mut bytes = kernel(Wire::LE64).build();
        for (at, value) in places {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(btf) = parse(bytes, Wire::LE64) {
            for (name, member) in [("page", "private"), ("zone", "free_area"), ("bits", "high")] {
                let _ = (btf.size(name), btf.offset(name, member), btf.length(name, member));
                let _ = (btf.member_size(name, member), btf.constant("wide", "none"));
            }
        }
    }
}
