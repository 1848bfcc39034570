//! Dumps of every format, cut off at 200 places: what is there reads right, what is not is
//! truncated.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::collections::BTreeMap;

use dumpgen::{CoreFile, Flattened, KdumpFile, PageCodec, Segment, Stored, Wire, note, prstatus_x86_64};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, PhysMemory, ReadAt};

const PAGE: u64 = 4096;
const PLACES: usize = 200;

/// A whole dump and the bytes of its pages by page frame number.
struct Whole {
    name: String,
    parts: Vec<Vec<u8>>,
    pages: BTreeMap<u64, Vec<u8>>,
}

fn kdump(wire: Wire) -> KdumpFile {
    let mut file = KdumpFile::new(wire, 300);
    file.dump_level = 1;
    file.ram = vec![0..120, 130..300];
    file.notes = note(wire, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    file.with_vmcoreinfo("OSRELEASE=6.1.0-test\nPAGESIZE=4096\n")
        .with_pages((3..40).chain(140..170).filter(|pfn| pfn % 9 != 4), &PageCodec::ALL)
        .with(101, Stored::Zero)
        .with(295, Stored::Zero)
}

fn pages(file: &KdumpFile) -> BTreeMap<u64, Vec<u8>> {
    let bytes = |stored: &Stored| match stored {
        Stored::Page(_, bytes) => bytes.clone(),
        _ => vec![0; PAGE as usize],
    };
    file.pages.iter().map(|(pfn, stored)| (*pfn, bytes(stored))).collect()
}

/// 60 pages in two PT_LOADs, and notes.
fn elf(wire: Wire) -> (Vec<u8>, BTreeMap<u64, Vec<u8>>) {
    let content = KdumpFile::new(wire, 1);
    let memory = |pfns: core::ops::Range<u64>| pfns.flat_map(|pfn| content.content(pfn)).collect::<Vec<_>>();
    let file = CoreFile::new(wire, if wire.wide { 62 } else { 3 })
        .with(Segment::notes(&note(wire, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
        .with(Segment::load(0x10 * PAGE, &memory(0x10..0x30)))
        .with(Segment::load(0x100 * PAGE, &memory(0x100..0x11c)));
    let pages = (0x10..0x30).chain(0x100..0x11c).map(|pfn| (pfn, content.content(pfn))).collect();
    (file.build(), pages)
}

fn all() -> Vec<Whole> {
    let mut all = Vec::new();
    for wire in Wire::ALL {
        let mut add = |name: &str, parts: Vec<Vec<u8>>, pages: &BTreeMap<u64, Vec<u8>>| {
            all.push(Whole { name: format!("{name} {wire:?}"), parts, pages: pages.clone() });
        };
        let file = kdump(wire);
        let (plain, listed) = (file.build(), pages(&file));
        let diskdump = KdumpFile { signature: *b"DISKDUMP", version: 0, dump_level: 0, ..file.clone() };
        let diskdump = KdumpFile {
            pages: diskdump.pages.into_iter().filter(|(pfn, _)| pfn % 97 != 4).collect(),
            ..diskdump
        };
        add("diskdump", vec![diskdump.build()], &pages(&diskdump));
        add("kdump, flattened", vec![Flattened::of(&plain, 900).build()], &listed);
        add("kdump, flattened out of order", vec![Flattened::of(&plain, 900).shuffled(3).build()], &listed);
        add("kdump", vec![plain], &listed);
        let parts = [0..20, 20..150, 150..300].map(|pfns| file.part(pfns).build());
        add("kdump, split", parts.to_vec(), &listed);
        let flat = parts.each_ref().map(|part| Flattened::of(part, 900).build());
        add("kdump, split and flattened", flat.to_vec(), &listed);
        let (elf, listed) = elf(wire);
        add("elf, flattened", vec![Flattened::of(&elf, 900).build()], &listed);
        add("elf", vec![elf], &listed);
    }
    all
}

/// How many pages read right; `what` names the dump in messages.
fn check(dump: &Dump<'_>, pages: &BTreeMap<u64, Vec<u8>>, what: &str) -> usize {
    let (mut reader, mut right) = (dump.reader(), 0);
    for (pfn, bytes) in pages {
        let mut got = vec![0xee; PAGE as usize];
        match reader.read_phys(Paddr(pfn * PAGE), &mut got) {
            Ok(()) => {
                assert!(got == *bytes, "page {pfn:#x} of {what}");
                right += 1;
            }
            Err(stopped) => {
                assert!(matches!(stopped.error, Error::Truncated { .. }), "{pfn:#x} of {what}: {stopped}");
                assert_eq!(got[..stopped.read], bytes[..stopped.read], "{pfn:#x} of {what}");
            }
        }
    }
    // Asking for the state of every page ends, too.
    assert!(reader.looks().count() < 10_000, "{what}");
    right
}

#[test]
fn cut_at_any_place_a_page_is_right_or_truncated() {
    for Whole { name, parts, pages } in all() {
        let open = |parts: &[Vec<u8>]| {
            Dump::open_parts(parts.iter().map(|part| Box::new(part.clone()) as Box<dyn ReadAt>).collect())
        };
        assert_eq!(check(&open(&parts).unwrap(), &pages, &name), pages.len(), "{name}");
        let (mut opened, mut lost) = (0, 0);
        for place in 0..PLACES {
            let mut cut = parts.clone();
            let part = place % cut.len();
            let len = cut[part].len() * place / PLACES;
            cut[part].truncate(len);
            let what = format!("{name}, part {part} cut at {len}");
            match open(&cut) {
                Ok(dump) => {
                    opened += 1;
                    assert!(!dump.completeness().is_complete(), "{what}");
                    let right = check(&dump, &pages, &what);
                    lost += usize::from(right < pages.len());
                }
                Err(Error::Truncated { .. } | Error::Elf { .. }) => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
        // The headers may come late in a stream, and it may lack its last record alone.
        assert!(opened > PLACES / 10 && lost + 2 >= opened, "{name}: {opened} opened, {lost} lacked pages");
    }
}
