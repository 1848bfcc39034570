//! Bytes of an ELF core that are not where they should be: never zeros, never sound.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, Flattened, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, KdumpOptions, KdumpPlan, PhysMemory, SpanKind, Verification, verify};

const AT: u64 = 0x10_0000;
const LEN: usize = 0x2_0000;
const RECORD: usize = 5000;

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(7) ^ (at >> 8) as u8 ^ seed | 1).collect()
}

fn verified(dump: &Dump<'_>) -> Verification {
    verify(dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap()
}

/// A core with notes and memory, and the place of that memory in it.
fn core() -> (Vec<u8>, usize) {
    let notes = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&notes))
        .with(Segment::load(AT, &pattern(LEN, 3)))
        .build();
    let data = file.len() - LEN;
    (file, data)
}

#[test]
fn memory_that_no_record_gives_is_missing() {
    let (file, data) = core();
    let whole = Flattened::of(&file, RECORD);
    let sound = Dump::open(whole.build()).unwrap();
    assert!(verified(&sound).is_sound() && sound.completeness().is_complete());
    let lost = 12;
    let place = lost * RECORD..(lost + 1) * RECORD;
    let hole = AT + (place.start - data) as u64..AT + (place.end - data) as u64;
    let mut removed = whole.clone();
    removed.records.remove(lost);
    let moved = |to: i64| {
        let mut stream = whole.clone();
        stream.records[lost].offset = to;
        stream.build()
    };
    let onto = moved(((lost - 1) * RECORD) as i64);
    for (what, stream) in [("lost", removed.build()), ("moved", moved(1 << 24)), ("moved onto", onto)] {
        let dump = Dump::open(stream).unwrap();
        let state = dump.completeness();
        assert!(!state.is_complete() && state.missing == RECORD as u64, "{what}: {state:?}");
        let found = verified(&dump);
        assert!(!found.is_sound(), "{what}");
        let ranges: Vec<_> =
            found.unreadable.ranges.iter().map(|bad| bad.range.start()..bad.range.end()).collect();
        assert_eq!(ranges, core::slice::from_ref(&hole), "{what}");
        let kinds: Vec<_> = dump.spans().map(|span| (span.range.start(), span.kind)).collect();
        let expected =
            [(AT, SpanKind::Stored), (hole.start, SpanKind::Missing), (hole.end, SpanKind::Stored)];
        assert_eq!(kinds, expected, "{what}");
        let mut reader = dump.reader();
        for (at, kind) in [(hole.start - 1, SpanKind::Stored), (hole.start, SpanKind::Missing)] {
            assert_eq!(reader.look(Paddr(at)).unwrap().kind, kind, "{what}");
        }
        let mut bytes = vec![0; LEN];
        let stopped = reader.read_phys(Paddr(AT), &mut bytes).unwrap_err();
        assert_eq!((stopped.at, stopped.error), (hole.start, Error::Missing { paddr: hole.start }), "{what}");
        // A record on top of another one is what a writer does that changes its mind.
        let good = if what == "moved onto" { stopped.read - RECORD } else { stopped.read };
        assert!(bytes[..good] == pattern(LEN, 3)[..good], "{what}");
        reader.read_phys(Paddr(hole.end), &mut bytes[..0x1000]).unwrap();
        let behind = (hole.end - AT) as usize;
        assert!(bytes[..0x1000] == pattern(LEN, 3)[behind..behind + 0x1000], "{what}");
        // Read in small pieces, of which blocks are kept, it is no other.
        for at in (hole.start - 64..hole.end + 64).step_by(8) {
            let is_there = at + 8 <= hole.start || at >= hole.end;
            assert_eq!(reader.read_phys(Paddr(at), &mut [0; 8]).is_ok(), is_there, "{what} {at:#x}");
        }
        let mut copy = Vec::new();
        let plan = KdumpPlan::new(&dump, KdumpOptions::default()).unwrap();
        plan.copy(&mut copy, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
        assert!(!Dump::open(copy).unwrap().completeness().is_complete(), "{what}");
    }
}

#[test]
fn headers_and_notes_that_no_record_gives_are_a_defect() {
    let (file, data) = core();
    let notes_at = file.windows(10).position(|bytes| bytes == b"VMCOREINFO").unwrap() - 12;
    let without = |lost: core::ops::Range<usize>| {
        let mut stream = Flattened::of(&[], 1).last(0, &file[..lost.start]);
        stream = stream.last(lost.end as i64, &file[lost.end..]);
        Dump::open(stream.build()).unwrap()
    };
    // Of the second program header, p_flags and p_align; of the note, the end; what pads both.
    for (lost, is_defect) in [
        (64 + 56 + 4..64 + 56 + 8, true),
        (64 + 2 * 56 - 8..64 + 2 * 56, true),
        (notes_at + 50..notes_at + 52, true),
        (64 + 2 * 56..notes_at, false),
        (notes_at + 80..data, false),
    ] {
        let dump = without(lost.clone());
        let defects = &dump.completeness().defects;
        let is_told = defects.iter().any(|defect| {
            matches!(defect, Error::Corrupt { what, value, .. } if what.contains("no record") && *value == lost.start as u64)
        });
        assert_eq!(is_told, is_defect, "{lost:?}: {defects:?}");
        assert_eq!(verified(&dump).is_sound(), !is_defect, "{lost:?}");
    }
}

/// The same lost bytes are told for each address that lists them, within bounds.
#[test]
fn holes_that_are_listed_many_times_are_refused() {
    let records = 40_000_u64;
    let listed = |times: u64| {
        let mut file = CoreFile { align: 1, ..CoreFile::x86_64() };
        for time in 0..times {
            let bytes = Segment::load(time << 32, &[]);
            let (offset, size) = (Some(0x1000), Some(records * 2 - 1));
            file.segments.push(Segment { p_offset: offset, p_filesz: size, p_memsz: size, ..bytes });
        }
        let mut stream = Flattened::of(&file.build(), 1 << 20);
        for record in 0..records {
            stream = stream.last(0x1000 + 2 * record as i64, &[7]);
        }
        Dump::open(stream.build()).map(|dump| dump.completeness().missing)
    };
    assert_eq!(listed(2), Ok(2 * (records - 1)));
    let error = listed(60).unwrap_err();
    assert!(matches!(error, Error::TooLarge { what, .. } if what.contains("no record")), "{error}");
}

/// What is wrong with a core of these segments, whose memory can all be read.
fn defects(segments: Vec<Segment>) -> Vec<String> {
    let notes = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    let mut file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }.with(Segment::notes(&notes));
    file.segments.extend(segments);
    let dump = Dump::open(file.build()).unwrap();
    let found = verified(&dump);
    assert_eq!(found.unreadable.bytes, 0);
    assert_eq!(found.is_sound(), dump.completeness().is_complete());
    found.defects.iter().map(ToString::to_string).collect()
}

/// Lists `size` bytes from `offset` of the file on.
fn listed(paddr: u64, offset: u64, size: u64) -> Segment {
    Segment { p_offset: Some(offset), p_filesz: Some(size), p_memsz: Some(size), ..Segment::load(paddr, &[]) }
}

#[test]
fn memory_is_listed_twice_with_the_same_bytes_alone() {
    let memory = pattern(0x8000, 1);
    let ram = || Segment::load(0x10_0000, &memory);
    // As the kernel's text is, first and in a piece of the file of its own.
    let text =
        |paddr: u64, bytes: &[u8]| Segment { p_vaddr: 0xffff_ffff_8100_0000, ..Segment::load(paddr, bytes) };
    let none: [&str; 0] = [];
    assert_eq!(defects(vec![text(0x10_2000, &memory[0x2000..0x6000]), ram()]), none);
    assert_eq!(
        defects(vec![listed(0x10_1000, 0x3000, 0x2000), ram()]),
        none,
        "in the same piece of the file"
    );
    // Excluded in the one and stored in the other.
    let excluded = Segment { p_memsz: Some(0x10_0000), ..Segment::load(0x8_0000, &pattern(0x1000, 2)) };
    assert_eq!(defects(vec![excluded, ram()]), none);
    for (at, len) in [(0, 0x8000), (0x2000, 0x4000), (0x2000, 0x1_0000), (0x7fff, 1)] {
        let other = text(0x10_0000 + at, &pattern(len, 0x40));
        for segments in [vec![other.clone(), ram()], vec![ram(), other]] {
            let found = defects(segments);
            let told = format!("is corrupt: {:#x}, expected the same bytes", 0x10_0000 + at);
            assert!(found.len() == 1 && found[0].contains(&told), "{at:#x}: {found:?}");
        }
    }
    // A byte in the middle is not in every place that is looked at, a page is.
    let mut changed = memory.clone();
    changed[0x4000..0x5000].fill(0);
    assert_eq!(defects(vec![text(0x10_0000, &changed), ram()]).len(), 1);
}

#[test]
fn a_piece_of_the_file_is_memory_at_one_address() {
    let first = Segment::load(0x1000, &pattern(0x3000, 1));
    for (segment, told) in [
        (listed(0x10_1000, 0x2000, 0x3000), "is corrupt: 0x2000, expected a piece of the file"),
        (listed(0x10_1000, 0x4fff, 1), "is corrupt: 0x4fff, expected a piece of the file"),
        (listed(0x10_1000, 0, 0x40), "is corrupt: 0x0, expected"),
        (listed(0x10_1000, 0x40, 1), "is corrupt: 0x40, expected"),
        (listed(0x10_1000, 0x1020, 1), "is corrupt: 0x1020, expected"),
    ] {
        for segments in [vec![first.clone(), segment.clone()], vec![segment, first.clone()]] {
            let found = defects(segments);
            assert!(found.len() == 1 && found[0].contains(told), "{told}: {found:?}");
        }
    }
    let none: [&str; 0] = [];
    assert_eq!(
        defects(vec![first, listed(0x10_1000, 0x1200, 0x100)]),
        none,
        "what pads the notes is nobody's"
    );
}

#[test]
fn more_memory_listed_twice_than_is_looked_at_is_a_defect() {
    let memory = pattern(0x4000, 1);
    let times = |count: usize| {
        let again = (0..count).map(|at| Segment::load(0x10_0000 + at as u64, &memory[at..=at]));
        defects(core::iter::once(Segment::load(0x10_0000, &memory)).chain(again).collect())
    };
    assert_eq!(times(1024).len(), 0);
    assert!(times(1025)[0].contains("is corrupt: 0x401, expected at most 1024"));
}

#[test]
fn a_dump_without_a_physical_address_is_not_sound() {
    let nowhere = Segment { p_vaddr: 0xffff_c900_0000_0000, ..Segment::load(u64::MAX, &[1; 0x1000]) };
    assert!(defects(vec![nowhere.clone()])[0].contains("number of PT_LOADs with memory"));
    assert!(defects(vec![Segment::load(0x1000, &[])])[0].contains("number of PT_LOADs with memory"));
    let none: [&str; 0] = [];
    assert_eq!(defects(vec![nowhere, Segment::load(0x1000, &[1; 0x1000])]), none);
}
