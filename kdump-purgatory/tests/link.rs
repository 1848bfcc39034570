//! The linker: layout, every relocation type, and one test per way an object can be refused.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use common::{LOCAL, Object, PROGBITS, REL, RELA, Random, SYMTAB, Section};
use kdump_elf::Arch;
use kdump_purgatory::{Error, LinkedImage, Place, RelObject};

const BASE: u64 = 0x1_2345_6000;

const R_NONE: u32 = 0;
const R_64: u32 = 1;
const R_PC32: u32 = 2;
const R_PLT32: u32 = 4;
const R_GOTPCREL: u32 = 9;
const R_32: u32 = 10;
const R_32S: u32 = 11;
const R_PC64: u32 = 24;

/// Code of 16 bytes at offset 0, data of 16 bytes with the symbol `variable` at its offset 4.
fn object() -> Object {
    let mut object = Object::default();
    object.section(".text", 16, &[0x90; 16]);
    object.section(".data", 8, &[0; 16]);
    object.symbol("variable", 2, 4, 8);
    object
}

fn parse(object: &Object) -> Result<RelObject<'static>, Error> {
    RelObject::parse(object.build())
}

fn link(object: &Object, base: u64) -> Result<LinkedImage, Error> {
    parse(object)?.link(base)
}

/// Links [`object`] with one relocation in its code.
fn relocate(kind: u32, offset: u64, symbol: u32, addend: i64, base: u64) -> Result<LinkedImage, Error> {
    let mut object = object();
    object.rela(1, offset, kind, symbol, addend);
    link(&object, base)
}

fn place(section: &str, offset: u64, symbol: &str) -> Place {
    Place { section: section.to_owned(), offset, symbol: symbol.to_owned() }
}

fn long(image: &LinkedImage, at: usize) -> u64 {
    u64::from_le_bytes(image.bytes()[at..at + 8].try_into().expect("8 bytes"))
}

fn word(image: &LinkedImage, at: usize) -> u32 {
    u32::from_le_bytes(image.bytes()[at..at + 4].try_into().expect("4 bytes"))
}

#[test]
fn sections_are_packed_in_order_without_content_last() {
    let mut object = Object::default();
    object.section(".a", 1, b"abc");
    object.nobits(".bss", 32, 5);
    object.push(Section { alloc: false, ..Object::default().clone_section(".comment") });
    object.section(".b", 8, b"defgh");
    object.symbol("zeroed", 2, 1, 4);
    let parsed = parse(&object).expect("parses");
    assert_eq!((parsed.memsz(), parsed.align()), (37, 32));
    let image = parsed.link(0x40).expect("links");
    assert_eq!(image.bytes(), b"abc\0\0\0\0\0defgh");
    assert_eq!(image.memory(), 0x40..0x65);
    assert_eq!(image.address("zeroed"), Ok(0x61));
}

/// A section of three bytes to start from.
trait CloneSection {
    fn clone_section(&self, name: &'static str) -> Section;
}

impl CloneSection for Object {
    fn clone_section(&self, name: &'static str) -> Section {
        Section {
            name,
            kind: PROGBITS,
            alloc: true,
            align: 1,
            content: vec![1, 2, 3],
            size: 3,
            link: 0,
            info: 0,
        }
    }
}

#[test]
fn every_supported_relocation_above_4_gib() {
    let variable = BASE + 16 + 4;
    let image = relocate(R_64, 8, 1, -1, BASE).expect("64");
    assert_eq!(long(&image, 8), variable - 1);
    for kind in [R_PC32, R_PLT32] {
        let image = relocate(kind, 4, 1, -4, BASE).expect("pc32");
        assert_eq!(word(&image, 4), 16 + 4 - 4 - 4);
    }
    let image = relocate(R_PC64, 8, 1, -28, BASE).expect("pc64");
    assert_eq!(long(&image, 8), 0_u64.wrapping_sub(16));
    let image = relocate(R_NONE, 4, 1, 7, BASE).expect("none");
    assert_eq!(image.bytes()[..16], [0x90; 16]);
}

#[test]
fn absolute_32_bit_relocations_reach_what_they_can() {
    let image = relocate(R_32, 0, 1, 0, 0xf000_0000).expect("zero-extended");
    assert_eq!(word(&image, 0), 0xf000_0014);
    let image = relocate(R_32S, 0, 1, -0x100, 0x40).expect("sign-extended");
    assert_eq!(word(&image, 0), 0_u32.wrapping_sub(0x100 - 0x54));
    for (kind, name, base) in
        [(R_32, "X86_64_32", BASE), (R_32S, "X86_64_32S", 0x8000_0000), (R_32S, "X86_64_32S", BASE)]
    {
        assert_eq!(
            relocate(kind, 12, 1, 0, base).expect_err("too far"),
            Error::RelocationOverflow {
                kind: name,
                value: i128::from(base + 20),
                place: place(".text", 12, "variable")
            }
        );
    }
    let far = relocate(R_PC32, 0, 1, i64::MAX, BASE).expect_err("too far");
    assert!(matches!(far, Error::RelocationOverflow { kind: "X86_64_PC32", .. }), "{far}");
}

#[test]
fn unknown_relocation_types_are_named() {
    assert_eq!(
        relocate(R_GOTPCREL, 3, 1, 0, BASE).expect_err("unsupported"),
        Error::RelocationType {
            kind: "X86_64_GOTPCREL",
            number: R_GOTPCREL,
            place: place(".text", 3, "variable"),
        }
    );
    let text = relocate(9999, 3, 1, 0, BASE).expect_err("unknown").to_string();
    assert!(text.contains("(9999)") && text.contains(".text+0x3 (symbol variable)"), "{text}");
}

#[test]
fn relocations_stay_in_their_section() {
    for (kind, offset) in [(R_PC32, 13), (R_64, 9), (R_PC32, u64::MAX), (R_NONE, 17)] {
        let error = relocate(kind, offset, 1, 0, BASE).expect_err("outside");
        assert!(matches!(error, Error::RelocationPlace { size: 16, .. }), "{error}");
    }
    let mut object = object();
    let bss = object.nobits(".bss", 1, 100);
    object.rela(bss, 0, R_64, 1, 0);
    let error = link(&object, BASE).expect_err("no content");
    assert!(matches!(error, Error::RelocationPlace { size: 0, .. }), "{error}");
}

#[test]
fn relocations_need_an_address() {
    let mut object = object();
    let not_loaded = object.push(Section { alloc: false, ..Object::default().clone_section(".debug") });
    for (section, why) in [
        (0, "undefined"),
        (0xfff2, "common"),
        (0xff00, "reserved"),
        (not_loaded, "not loaded"),
        (900, "not there"),
    ] {
        let mut object = object.clone();
        let symbol = object.symbol("away", section, 0, 0);
        object.rela(1, 0, R_64, symbol, 0);
        let Err(Error::RelocationSymbol { why: found, place }) = link(&object, BASE) else {
            panic!("{why}: accepted");
        };
        assert!(found.contains(why), "{found} for {why}");
        assert_eq!(place, self::place(".text", 0, "away"));
    }
    let error = relocate(R_64, 0, 77, 0, BASE).expect_err("no such symbol");
    assert!(matches!(error, Error::RelocationSymbol { .. }), "{error}");
}

#[test]
fn absolute_and_null_symbols_do_not_move() {
    let mut object = object();
    let absolute = object.symbol("absolute", 0xfff1, 0x1234, 0);
    object.rela(1, 0, R_64, absolute, 1);
    object.rela(1, 8, R_64, 0, 5);
    let image = link(&object, BASE).expect("links");
    assert_eq!((long(&image, 0), long(&image, 8)), (0x1235, 5));
}

#[test]
fn relocations_of_sections_not_loaded_are_left_alone() {
    let mut object = object();
    let debug = object.push(Section { alloc: false, ..Object::default().clone_section(".debug") });
    object.rela(debug, 1 << 40, 9999, 9999, 0);
    link(&object, BASE).expect("links");
}

#[test]
fn relocation_tables_of_the_wrong_kind() {
    let table = |kind, info| {
        let mut object = object();
        object.push(Section { kind, alloc: false, info, ..Object::default().clone_section(".r") });
        link(&object, BASE).expect_err("refused")
    };
    assert_eq!(table(REL, 1), Error::RelocationForm { section: ".r".to_owned(), arch: Arch::X86_64 });
    assert_eq!(
        table(RELA, 1000),
        Error::SectionLink { section: ".r".to_owned(), field: "sh_info", value: 1000 }
    );
}

#[test]
fn load_address() {
    assert_eq!(link(&object(), 8).expect_err("odd"), Error::Misaligned { base: 8, align: 16 });
    let base = u64::MAX - 15;
    assert_eq!(
        link(&object(), base).expect_err("high"),
        Error::BeyondAddressSpace { base, memsz: 32, limit: u64::MAX }
    );
    link(&object(), u64::MAX - 47).expect("the last place");
}

#[test]
fn symbols_are_read_and_written_whole() {
    let mut image = link(&object(), BASE).expect("links");
    image.set("variable", &[7; 8]).expect("written");
    assert_eq!(image.get("variable").expect("read"), [7; 8]);
    assert_eq!(image.bytes()[16..], [0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0]);
    assert_eq!(
        image.set("variable", &[7; 4]),
        Err(Error::SymbolSize { symbol: "variable".to_owned(), size: 8, value: 4 })
    );
    let missing = Error::SymbolMissing { symbol: "other".to_owned() };
    assert_eq!(image.set("other", &[]), Err(missing.clone()));
    assert_eq!(image.get("other"), Err(missing.clone()));
    assert_eq!(image.address("other"), Err(missing));
}

#[test]
fn symbols_without_content_of_their_own_are_not_written() {
    let mut object = object();
    let bss = object.nobits(".bss", 1, 8);
    object.symbol("zeroed", bss, 0, 8);
    object.symbol("beyond", 2, 12, 8);
    // Its last bytes are the first of the next section, which is not its own.
    object.symbol("astride", 1, 12, 8);
    object.symbol("wild", 2, u64::MAX, 8);
    let mut image = link(&object, BASE).expect("links");
    let before = image.bytes().to_vec();
    for symbol in ["zeroed", "beyond", "astride"] {
        let error = image.set(symbol, &[1; 8]).expect_err("refused");
        assert!(matches!(error, Error::SymbolUnusable { .. }), "{symbol}: {error}");
        let error = image.get(symbol).expect_err("refused");
        assert!(matches!(error, Error::SymbolUnusable { .. }), "{symbol}: {error}");
    }
    assert_eq!(image.bytes(), before);
    assert!(!image.contains("wild"));
}

#[test]
fn local_and_undefined_symbols_are_not_found() {
    let mut object = object();
    object.symbol("undefined", 0, 0, 8);
    object.symbol("local", 2, 0, 8);
    object.symbols.last_mut().expect("just added").bind = LOCAL;
    let image = link(&object, BASE).expect("links");
    assert!(!image.contains("undefined") && !image.contains("local"));
}

#[test]
fn other_files_are_refused_by_the_field() {
    assert_eq!(RelObject::parse(&b"#!/bin/sh"[..]).expect_err("text"), Error::NotElf { len: 9 });
    let good = object().build();
    assert_eq!(RelObject::parse(&good[..40]).expect_err("cut"), Error::NotElf { len: 40 });
    // An object of the other class is taken for one of its usual machine.
    let mut narrow = good.clone();
    narrow[4] = 1;
    assert_eq!(
        RelObject::parse(narrow).expect_err("ELF32"),
        Error::Header { field: "e_machine", value: 62, expected: 3 }
    );
    for (at, value, field, expected) in [
        (4, 3, "EI_CLASS", 2),
        (5, 2, "EI_DATA", 1),
        (16, 2, "e_type", 1),
        (18, 3, "e_machine", 62),
        (58, 40, "e_shentsize", 64),
    ] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(
            RelObject::parse(bad).expect_err(field),
            Error::Header { field, value: u64::from(value), expected }
        );
    }
}

#[test]
fn tables_outside_the_file_are_refused() {
    let good = object().build();
    let mut bad = good.clone();
    bad[46] = 1;
    let error = RelObject::parse(bad).expect_err("section headers far away");
    assert!(matches!(&error, Error::OutsideFile { what, .. } if what == "section header table"), "{error}");

    let mut cut = object();
    cut.push(Section { size: 50, ..cut.clone_section(".long") });
    let mut headers_first = cut.build();
    let shoff = u64::from_le_bytes(headers_first[40..48].try_into().expect("8")) as usize;
    headers_first[shoff + 3 * 64 + 24..][..8].copy_from_slice(&(1_u64 << 50).to_le_bytes());
    let error = RelObject::parse(headers_first).expect("headers are fine").link(BASE).expect_err("content");
    let Error::OutsideFile { what, offset, size, .. } = &error else { panic!("{error}") };
    assert_eq!((what.as_str(), *offset, *size), ("section .long", 1 << 50, 50));
}

#[test]
fn overlapping_sections_are_refused() {
    let mut object = object();
    for _ in 0..100 {
        object.push(Section { size: 200, ..object.clone_section(".again") });
    }
    let error = parse(&object).expect_err("sum");
    assert!(matches!(error, Error::SectionsOverlap { size, len } if size > len), "{error}");
}

#[test]
fn symbol_tables_are_counted() {
    let mut object = object();
    object.push(Section { kind: SYMTAB, alloc: false, ..object.clone_section(".symtab") });
    assert_eq!(parse(&object).expect_err("two"), Error::SymbolTables { count: 2 });
    let mut none = self::object().build();
    none[40..48].fill(0);
    assert_eq!(RelObject::parse(none).expect_err("none"), Error::SymbolTables { count: 0 });
}

#[test]
fn sizes_and_alignments_are_bounded() {
    let mut big = object();
    big.nobits(".bss", 1, u64::MAX);
    let error = parse(&big).expect_err("big");
    assert!(matches!(&error, Error::TooLarge { section, .. } if section == ".bss"), "{error}");
    for align in [3, 4 << 20, u64::MAX] {
        let mut odd = object();
        odd.nobits(".odd", align, 0);
        let error = parse(&odd).expect_err("odd");
        assert!(matches!(error, Error::Alignment { align: found, .. } if found == align), "{error}");
    }
}

/// Whatever the bytes, the linker returns.
#[test]
fn damaged_objects_are_survived() {
    let mut object = object();
    object.nobits(".bss", 64, 100);
    object.rela(1, 8, R_64, 1, 0);
    object.rela(2, 4, R_PC32, 1, 0);
    let good = object.build();
    let mut random = Random(0xfeed);
    let mut accepted = 0;
    for round in 0..20_000 {
        let mut bad = good.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bad.len());
            bad[at] = (random.next() >> 32) as u8;
        }
        if round % 7 == 0 {
            bad.truncate(random.below(bad.len()));
        }
        if let Ok(image) = RelObject::parse(bad).and_then(|object| object.link(BASE)) {
            accepted += 1;
            let _ = image.get("variable");
        }
    }
    assert!(accepted > 100, "the damage was always fatal: {accepted}");
}
