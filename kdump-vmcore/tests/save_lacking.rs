//! A copy remembers what its source lacked, and says that it is unfinished until it is not.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may panic"
)]

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire, note, prstatus_x86_64};
use kdump_elf::{
    Class, Encoding, Endian, LIBKDUMP_NOTE_NAME, Paddr, PhysRange, SAVE_NOTE_ENTRY, SAVE_NOTE_HEAD,
};
use kdump_vmcore::{
    Dump, Error, Facts, Format, IoError, PhysMemory, Progress, ReadAt, SavePlan, SaveReport, Scratch, Span,
    SpanKind, Stopped, WriteAt, verify,
};
use proptest::prelude::*;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn pattern(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64).map(|at| ((at ^ (at >> 8)).wrapping_mul(seed | 1) >> 2) as u8 | 1).collect()
}

/// Notes, memory in three pieces, and a page that was left out.
fn sample(wire: Wire) -> CoreFile {
    CoreFile::new(wire, 62)
        .with(Segment::notes(&note(wire, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
        .with(Segment { p_memsz: Some(0x8000), ..Segment::load(0x10_0000, &pattern(0x6000, 3)) })
        .with(Segment::load(0x20_0000, &pattern(0x5000, 5)))
        .with(Segment::load(0x30_0018, &pattern(0x777, 7)))
}

fn saved(dump: &Dump<'_>) -> (Vec<u8>, SaveReport) {
    let mut out = Vec::new();
    let report = SavePlan::elf(dump).unwrap().copy(&mut out, &mut go_on).unwrap();
    (out, report)
}

/// The memory in runs of one kind, with the bytes of what is stored.
fn memory(dump: &Dump<'_>) -> Vec<(u64, u64, SpanKind, Vec<u8>)> {
    let mut runs: Vec<(u64, u64, SpanKind, Vec<u8>)> = Vec::new();
    for span in dump.spans() {
        let mut bytes = vec![0; if span.kind.is_readable() { span.range.size() as usize } else { 0 }];
        dump.reader().read_phys(Paddr(span.range.start()), &mut bytes).unwrap();
        match runs.last_mut().filter(|last| last.1 == span.range.start() && last.2 == span.kind) {
            Some(last) => {
                last.1 = span.range.end();
                last.3.extend(bytes);
            }
            None => runs.push((span.range.start(), span.range.end(), span.kind, bytes)),
        }
    }
    runs
}

fn bytes_of(dump: &Dump<'_>, lost: impl Fn(SpanKind) -> bool) -> u64 {
    dump.spans().filter(|span| lost(span.kind)).map(|span| span.range.size()).sum()
}

/// Everything that tells whether a dump is whole says the same; returns what it says.
#[track_caller]
fn judged(dump: &Dump<'_>) -> bool {
    let state = dump.completeness();
    assert_eq!(state.missing, bytes_of(dump, |kind| kind == SpanKind::Missing));
    assert_eq!(state.missing + state.unreadable, bytes_of(dump, SpanKind::is_lost));
    let found = verify(dump, &mut go_on).unwrap();
    assert_eq!(found.is_sound(), state.is_complete(), "{found:?} {state:?}");
    // Nothing lost reads as anything, zeros for what was left out or not.
    for span in dump.spans().filter(|span| span.kind.is_lost()) {
        for at in [span.range.start(), span.range.last()] {
            let stopped = dump.reader().zero_excluded(true).read_phys(Paddr(at), &mut [0]).unwrap_err();
            match (span.kind, stopped.error) {
                (SpanKind::Missing, Error::Missing { .. } | Error::Truncated { .. })
                | (SpanKind::Unreadable, Error::Unreadable { .. })
                | (SpanKind::Corrupt, Error::Corrupt { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    state.is_complete()
}

#[test]
fn a_whole_source_leaves_no_trace() {
    for wire in Wire::ALL {
        let source = Dump::open(sample(wire).build()).unwrap();
        let (copy, report) = saved(&source);
        assert!(report.is_whole());
        let copy = Dump::open(copy).unwrap();
        assert!(judged(&copy));
        let notes = |dump: &Dump<'_>| -> Vec<_> {
            dump.notes().iter().map(|note| (note.name.to_vec(), note.desc.to_vec())).collect()
        };
        assert_eq!(notes(&copy), notes(&source));
        assert_eq!(memory(&copy), memory(&source));
    }
}

/// Wherever the source is cut, its copy and the copy of that lack the same, and say so.
#[test]
fn a_cut_source() {
    for wire in Wire::ALL {
        let whole = sample(wire).build();
        let mut cuts = 0;
        for cut in (0..whole.len()).step_by(if wire == Wire::LE64 { 217 } else { 2999 }) {
            let Ok(source) = Dump::open(whole[..cut].to_vec()) else { continue };
            cuts += 1;
            assert!(!judged(&source), "cut at {cut}");
            let (copy, report) = saved(&source);
            assert!(!report.is_whole(), "cut at {cut}");
            assert_eq!(report.missing, source.completeness().missing, "cut at {cut}");
            let copy = Dump::open(copy).unwrap();
            assert!(!judged(&copy), "cut at {cut}");
            assert_eq!(memory(&copy), memory(&source), "cut at {cut}");
            let (again, second) = saved(&copy);
            assert_eq!(second.missing, report.missing, "cut at {cut}");
            assert!(second.source_defects >= report.source_defects, "cut at {cut}");
            let again = Dump::open(again).unwrap();
            assert!(!judged(&again), "cut at {cut}");
            assert_eq!(memory(&again), memory(&source), "cut at {cut}");
        }
        assert!(cuts >= if wire == Wire::LE64 { 175 } else { 10 }, "{cuts}");
    }
}

/// A PT_LOAD that stores more than it lists is RAM to its last byte, in a copy of the cut file too.
#[test]
fn a_cut_segment_that_stores_more_than_it_lists() {
    let file = CoreFile::x86_64()
        .with(Segment { p_memsz: Some(0x1000), ..Segment::load(0x10_0000, &pattern(0x4000, 3)) });
    let mut bytes = file.build();
    bytes.truncate(bytes.len() - 0x1800);
    let source = Dump::open(bytes).unwrap();
    let (copy, report) = saved(&source);
    assert_eq!(report.missing, 0x1800);
    let copy = Dump::open(copy).unwrap();
    assert!(!judged(&copy));
    assert_eq!(memory(&copy), memory(&source));
}

/// Pages behind the end of a cut dump whose data lies in front of it are saved.
#[test]
fn a_cut_loses_only_what_is_behind_it() {
    let mut file = KdumpFile::new(Wire::LE64, 12);
    file.dump_level = 1;
    let mut file = file.with_pages(0..8, &[PageCodec::Raw]).with(8, Stored::Zero).with(10, Stored::Zero);
    // The page of zeros comes first, and every descriptor moves the data.
    file = file.with(11, Stored::Lost);
    let first = file.layout().data + 4096;
    file = file.with(11, Stored::Descriptor(first, 4096, 0, 0));
    file.cut = Some(file.layout().data as usize + 5 * 4096);
    let source = Dump::open(file.build()).unwrap();
    let looks = |dump: &Dump<'_>| -> Vec<_> {
        let named = |span: Span| (span.range, span.kind.name().replace("zero", "stored"));
        dump.reader().looks().map(named).collect()
    };
    let (copy, report) = saved(&source);
    assert_eq!((report.missing, report.lacking()), (4 * 4096, 4 * 4096));
    assert_eq!(verify(&source, &mut go_on).unwrap().unreadable.bytes, 4 * 4096);
    let copy = Dump::open(copy).unwrap();
    assert!(!judged(&copy));
    for (pfn, page) in [(8, vec![0; 4096]), (10, vec![0; 4096]), (11, file.content(0))] {
        let mut bytes = vec![1; 4096];
        copy.reader().read_phys(Paddr(pfn * 4096), &mut bytes).unwrap();
        assert!(bytes == page, "{pfn}");
    }
    let stopped = copy.reader().read_phys(Paddr(4 * 4096), &mut [0]).unwrap_err();
    assert!(matches!(stopped.error, Error::Missing { .. }), "{stopped:?}");
    let total = |dump: &Dump<'_>, kind: &str| -> u64 {
        looks(dump).iter().filter(|(_, name)| name == kind).map(|(range, _)| range.size()).sum()
    };
    for kind in ["stored", "missing", "excluded"] {
        assert_eq!(total(&copy, kind), total(&source, kind), "{kind}");
    }
}

/// What the state of a copy depends on is written at once, whatever stands in front of it: a
/// device that loses power has a whole block or none of it.
#[test]
fn the_state_of_a_copy_lies_in_one_block() {
    let desc_skip = 12 + (LIBKDUMP_NOTE_NAME.len() + 1).next_multiple_of(4);
    let mut places = [0; 512];
    for len in (0..1200).step_by(4) {
        let mut file = CoreFile::x86_64()
            .with(Segment::notes(&note(Wire::LE64, "OTHER", 7, &vec![1; len])))
            .with(Segment::load(0x1000, &pattern(0x2000, 3)));
        file.cut = Some(file.build().len() - 0x1000);
        let (copy, _) = saved(&Dump::open(file.build()).unwrap());
        let copy = Dump::open(copy).unwrap();
        let note = copy.notes().iter().find(|note| note.name == LIBKDUMP_NOTE_NAME).unwrap();
        let desc = note.offset as usize + desc_skip;
        assert_eq!(desc / 512, (desc + SAVE_NOTE_HEAD - 1) / 512, "{len}: {desc}");
        places[desc % 512] += 1;
    }
    assert!(places.iter().filter(|count| **count > 0).count() > 30, "no place was tried");
}

/// Of memory that was left out between stored pages nothing becomes stored, and the other way
/// round, where program headers are made anew.
#[test]
fn stored_pages_behind_excluded_ones_stay_at_their_places() {
    let mut file = KdumpFile::new(Wire::LE64, 12).with_pages([0, 1, 3, 4, 7, 8], &[PageCodec::Raw]);
    file.ram = vec![0..9, 10..12];
    let source = Dump::open(file.build()).unwrap();
    let (copy, report) = saved(&source);
    assert!(report.is_whole());
    let copy = Dump::open(copy).unwrap();
    let spans = |dump: &Dump<'_>| dump.reader().looks().collect::<Vec<_>>();
    assert_eq!(spans(&copy), spans(&source));
    for pfn in 0..12_u64 {
        let mut bytes = vec![0; 4096];
        let result = copy.reader().read_phys(Paddr(pfn * 4096), &mut bytes);
        assert_eq!(result.is_ok(), file.pages.contains_key(&pfn), "{pfn}");
        assert!(result.is_err() || bytes == file.content(pfn), "{pfn}");
    }
}

/// A copy that no reader would open is not made.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "half a million pieces take an emulator a minute")]
fn memory_in_too_many_pieces_is_refused() {
    let pieces = |count: u64| {
        let mut file = KdumpFile::new(Wire::LE64, 2 * count).with_pages([0], &[PageCodec::Raw]);
        file.ram = (0..count).map(|at| 2 * at..2 * at + 1).collect();
        Dump::open(file.build()).unwrap()
    };
    let dump = pieces(1 << 19);
    let Err(error) = SavePlan::elf(&dump) else { panic!("a plan no reader opens") };
    assert!(matches!(error, Error::TooLarge { limit: 0x8_0000, .. }), "{error}");
    let (copy, report) = saved(&pieces(70_000));
    assert!(report.is_whole() && judged(&Dump::open(copy).unwrap()));
}

/// Damage that costs no memory is not forgotten by a copy either.
#[test]
fn a_source_with_a_cut_note() {
    let mut notes = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    notes.extend(note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\n"));
    notes.truncate(notes.len() - 8);
    let file = CoreFile::x86_64().with(Segment::notes(&notes)).with(Segment::load(0x1000, &[1; 64]));
    let source = Dump::open(file.build()).unwrap();
    assert!(!judged(&source));
    let (copy, report) = saved(&source);
    assert_eq!((report.lacking(), report.source_defects), (0, 1));
    let mut copy = Dump::open(copy).unwrap();
    // Nor does it become more with each copy of a copy, which carries the note.
    for _ in 0..3 {
        assert!(!judged(&copy));
        assert!(copy.completeness().defects.contains(&Error::SourceDefects { count: 1 }));
        assert_eq!(copy.cpus().count(), 1);
        let (next, report) = saved(&copy);
        assert_eq!((report.lacking(), report.source_defects), (0, 1));
        copy = Dump::open(next).unwrap();
    }
}

/// A source some of whose offsets cannot be read; that ends earlier than it did, after so many
/// reads.
struct Faulty {
    bytes: Vec<u8>,
    bad: fn(u64) -> bool,
    reads: AtomicU64,
    shrinks: Option<(u64, u64)>,
}

impl Faulty {
    fn new(bytes: Vec<u8>, bad: fn(u64) -> bool) -> Self {
        Self { bytes, bad, reads: AtomicU64::new(0), shrinks: None }
    }
}

impl ReadAt for Faulty {
    fn size(&self) -> Result<u64, Error> {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed);
        if (offset / 512..=(offset + buf.len() as u64 - 1) / 512).any(|sector| (self.bad)(sector * 512)) {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        let end = match self.shrinks {
            Some((after, size)) if reads >= after => self.bytes.len().min(size as usize),
            _ => self.bytes.len(),
        };
        self.bytes[..end].read_at(offset, buf)
    }
}

#[test]
fn a_source_that_cannot_be_read() {
    let file = CoreFile { align: 0x1000, ..sample(Wire::LE64) };
    for (bad, all) in
        [(|at| at >= 0x2000, true), (|at| at % 0x3000 == 0x2000, false)] as [(fn(u64) -> bool, _); 2]
    {
        let source = Dump::open(Faulty::new(file.build(), bad)).unwrap();
        assert!(source.completeness().is_complete(), "not known before it is read");
        let (copy, report) = saved(&source);
        assert!(!report.is_whole() && report.missing == 0);
        let copy = Dump::open(copy).unwrap();
        assert!(!judged(&copy));
        assert_eq!(copy.completeness().unreadable, report.lacking());
        assert_eq!(bytes_of(&copy, |kind| kind == SpanKind::Stored) == 0, all);
        // What the verification of the source finds, the copy has.
        let found = verify(&source, &mut go_on).unwrap();
        assert_eq!(found.unreadable.bytes, report.lacking());
        for span in copy.spans().filter(|span| span.kind == SpanKind::Stored) {
            let mut both = [vec![0; span.range.size() as usize], vec![1; span.range.size() as usize]];
            source.reader().read_phys(Paddr(span.range.start()), &mut both[0]).unwrap();
            copy.reader().read_phys(Paddr(span.range.start()), &mut both[1]).unwrap();
            assert_eq!(both[0], both[1]);
        }
        let (again, _) = saved(&copy);
        assert_eq!(memory(&Dump::open(again).unwrap()), memory(&copy));
    }
}

#[test]
fn a_source_that_shrinks_meanwhile() {
    let whole = sample(Wire::LE64).build();
    for size in (0..whole.len()).step_by(499) {
        let mut source = Faulty::new(whole.clone(), |_| false);
        let opened = {
            let probe = Faulty::new(whole.clone(), |_| false);
            let probe = std::sync::Arc::new(probe);
            drop(Dump::open(std::sync::Arc::clone(&probe)).unwrap());
            probe.reads.load(Ordering::Relaxed)
        };
        source.shrinks = Some((opened, size as u64));
        let source = Dump::open(source).unwrap();
        assert!(source.completeness().is_complete());
        let (copy, report) = saved(&source);
        let copy = Dump::open(copy).unwrap();
        assert!(!report.is_whole() && !judged(&copy), "{size}");
        assert_eq!((report.missing, copy.completeness().missing), (report.lacking(), report.lacking()));
        assert!(report.missing >= (whole.len() - size).min(0x6000 + 0x5000 + 0x777) as u64 - 64, "{size}");
    }
}

#[test]
fn more_losses_than_there_is_room_for() {
    // Every second page of 3000 is bad.
    let file = CoreFile {
        align: 0x1000,
        ..CoreFile::x86_64()
            .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, b"PAGESIZE=4096\n")))
            .with(Segment::load(0x100_0000, &pattern(3000 << 12, 9)))
    };
    let source = Dump::open(Faulty::new(file.build(), |at| at >= 0x2000 && at % 0x2000 == 0)).unwrap();
    let (copy, report) = saved(&source);
    assert_eq!(report.unreadable.bytes, 1500 << 12);
    assert!(report.given_up > 400 << 12, "{}", report.given_up);
    let copy = Dump::open(copy).unwrap();
    assert!(!judged(&copy));
    assert_eq!(copy.completeness().unreadable, report.lacking());
    assert!(
        copy.facts()
            .details
            .iter()
            .any(|(name, text)| *name == "given up" && text.starts_with(&report.given_up.to_string()))
    );
    let found = verify(&source, &mut go_on).unwrap();
    let bad = |paddr: u64| found.unreadable.ranges.iter().any(|range| range.range.contains(paddr));
    for span in copy.spans().filter(|span| span.kind == SpanKind::Stored).step_by(97) {
        assert!(!bad(span.range.start()), "a lost page never reads as zeros");
    }
}

/// A disk on which only so many more writes of a sector each succeed; old content stays.
struct Dying {
    disk: Vec<u8>,
    left: usize,
}

impl WriteAt for Dying {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        for (at, sector) in (offset as usize..).step_by(512).zip(bytes.chunks(512)) {
            if self.left == 0 {
                return Err(Error::Io { offset, cause: IoError::from_errno(5) });
            }
            self.left -= 1;
            self.disk[at..at + sector.len()].copy_from_slice(sector);
        }
        Ok(())
    }

    fn is_sparse(&self) -> bool {
        false
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        assert!(self.disk.len() as u64 >= size);
        Ok(())
    }
}

/// What a disk holds before: noise, zeros, an older dump that is larger, one that is smaller.
fn old_contents(len: usize) -> Vec<(&'static str, Vec<u8>)> {
    let older = |memory: usize| {
        let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
            .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=5.0\n")))
            .with(Segment::load(0x10_0000, &vec![0xee; memory]))
            .with(Segment::load(0x20_0000, &vec![0xee; memory]));
        let mut disk = saved(&Dump::open(file.build()).unwrap()).0;
        disk.resize(len, 0xee);
        disk
    };
    vec![
        ("noise", vec![0xee; len]),
        ("zeros", vec![0; len]),
        ("a smaller dump", older(0x1000)),
        ("a larger dump", older(0x1_0000)),
    ]
}

/// Whenever the power goes, what is on the disk says that it is unfinished, or is the older dump
/// untouched, and whatever it gives as memory is memory.
#[test]
fn an_interrupted_save_over_old_content() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let lacking = Dump::open({
        let whole = sample(Wire::LE64).build();
        whole[..whole.len() - 0x1000].to_vec()
    })
    .unwrap();
    for source in [&source, &lacking] {
        let plan = SavePlan::elf(source).unwrap();
        let len = plan.size() as usize + 0x1_0000;
        for (what, old) in old_contents(len.max(0x4_0000)) {
            let mut after = 0;
            loop {
                let mut disk = Dying { disk: old.clone(), left: after };
                let outcome = plan.copy(&mut disk, &mut go_on);
                if outcome.is_ok() {
                    let copy = Dump::open(disk.disk).unwrap();
                    assert_eq!(judged(&copy), source.completeness().is_complete(), "{what}");
                    assert_eq!(memory(&copy), memory(source), "{what}");
                    break;
                }
                if after != 0 {
                    let copy = Dump::open(disk.disk).unwrap();
                    assert!(!judged(&copy), "{what}, {after} writes");
                    assert!(
                        copy.completeness().defects.iter().any(|d| matches!(d, Error::Unfinished { .. })),
                        "{what}, {after} writes"
                    );
                    only_memory_of(source, &copy, what, after);
                } else {
                    assert_eq!(disk.disk, old);
                }
                // Each write of the header, then some of memory.
                after += if after < 70 { 1 } else { 9 };
            }
            assert!(after > 150, "{after}");
        }
    }
}

/// Every byte that `copy` gives is one of `source`.
#[track_caller]
fn only_memory_of(source: &Dump<'_>, copy: &Dump<'_>, what: &str, after: usize) {
    for span in copy.spans().filter(|span| span.kind.is_readable()) {
        let mut both = [vec![0; span.range.size() as usize], vec![1; span.range.size() as usize]];
        copy.reader().read_phys(Paddr(span.range.start()), &mut both[0]).unwrap();
        source.reader().read_phys(Paddr(span.range.start()), &mut both[1]).unwrap();
        assert_eq!(both[0], both[1], "{what}, {after} writes, {span:?}");
    }
    // A loss of the source is a loss of the copy.
    for span in source.spans().filter(|span| span.kind.is_lost()) {
        let found = copy.span(Paddr(span.range.start()));
        assert!(
            found.is_none_or(|found| found.kind.is_lost() || found.kind == SpanKind::Hole),
            "{what}, {after}"
        );
    }
}

/// Of a long save that is interrupted at least what the last checkpoint noted can be used.
#[test]
fn the_beginning_of_an_interrupted_save_is_usable() {
    let source =
        Dump::open(CoreFile::x86_64().with(Segment::load(0x1000, &vec![7; 100 << 20])).build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut disk = Dying { disk: vec![0xee; 110 << 20], left: (90 << 20) / 512 };
    plan.copy(&mut disk, &mut go_on).unwrap_err();
    let copy = Dump::open(disk.disk).unwrap();
    assert!(!judged(&copy));
    let stored = bytes_of(&copy, |kind| kind == SpanKind::Stored);
    assert!((64 << 20..90 << 20).contains(&stored), "{stored}");
    only_memory_of(&source, &copy, "noise", 0);
    // And told to stop, it notes all of it.
    let mut out = Vec::new();
    let stopped = plan.copy(&mut out, &mut |state| {
        if state.done >= 6 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped.unwrap_err().error, Error::Cancelled);
    let copy = Dump::open(out).unwrap();
    assert!(!judged(&copy));
    assert!(bytes_of(&copy, |kind| kind == SpanKind::Stored) > 5 << 20);
}

/// The note of a copy, from the start of its descriptor, and where it is in the file.
fn note_at(file: &[u8]) -> usize {
    let name = file.windows(9).position(|bytes| bytes == b"LIBKDUMP\0").unwrap();
    name + 12
}

#[test]
fn a_hostile_note_is_an_error_and_no_memory() {
    let whole = sample(Wire::LE64).build();
    let source = Dump::open(whole[..whole.len() - 0x1000].to_vec()).unwrap();
    let (copy, _) = saved(&source);
    let at = note_at(&copy);
    let with = |skip: usize, bytes: &[u8]| {
        let mut file = copy.clone();
        file[at + skip..at + skip + bytes.len()].copy_from_slice(bytes);
        let dump = Dump::open(file).unwrap();
        assert!(!judged(&dump), "{skip}");
        let text: Vec<String> = dump.completeness().defects.iter().map(ToString::to_string).collect();
        text.join("\n")
    };
    assert!(with(0, &[2]).contains("version of the LIBKDUMP note is 0x2"));
    assert!(with(16, &[0xff; 4]).contains("number of ranges"));
    assert!(with(20, &[1]).contains("entry size"));
    assert!(with(32, &[9, 0, 0, 0]).contains("9 defects"));
    assert!(with(4, &[1]).contains("not finished: it is written up to offset 0x0"));
    // Ranges beyond all addresses, and everything at once.
    with(48, &[0xff; SAVE_NOTE_ENTRY]);
    with(0, &[0xff; 200]);
    with(48, &[&[0; 8][..], &[0xff; 7], &[0x7f, 2, 0, 0, 0]].concat());
    // More ranges than are kept: none of the memory is trusted.
    let mut desc = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    desc.extend((1_u32 << 18).to_le_bytes());
    desc.extend([24, 0, 0, 0]);
    desc.resize(48, 0);
    for index in 0..1_u64 << 18 {
        desc.extend((index * 0x2000).to_le_bytes());
        desc.extend(1_u64.to_le_bytes());
        desc.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    }
    let file = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "LIBKDUMP", 1, &desc)))
        .with(Segment::load(0x1000, &[1; 0x1000]));
    let dump = Dump::open(file.build()).unwrap();
    assert!(!judged(&dump));
    assert_eq!(bytes_of(&dump, |kind| kind == SpanKind::Unreadable), 0x1000);
    assert!(dump.completeness().defects.iter().any(|d| matches!(d, Error::TooLarge { .. })));
}

/// Excluded memory with a reason, and corrupt memory, of a format that tells.
#[test]
fn excluded_and_corrupt_stay_what_they_are() {
    // A first copy of ours, whose note is written over to list one range of each kind.
    let whole = sample(Wire::LE64).build();
    let source = Dump::open(Faulty::new(whole, |at| at == 0x2000)).unwrap();
    let (mut file, _) = saved(&source);
    let at = note_at(&file);
    file[at + 16] = 4;
    for (index, kind) in [1_u8, 2, 3, 4].into_iter().enumerate() {
        let entry = at + 48 + index * 24;
        file[entry..entry + 8].copy_from_slice(&(0x20_0000 + index as u64 * 0x1000).to_le_bytes());
        file[entry + 8..entry + 16].copy_from_slice(&0x800_u64.to_le_bytes());
        file[entry + 16..entry + 24].copy_from_slice(&[kind, 0, 0, 0, 3 * u8::from(kind == 3), 0, 0, 0]);
    }
    let dump = Dump::open(file).unwrap();
    assert!(!judged(&dump));
    let kinds: Vec<_> =
        (0..4).map(|index| dump.span(Paddr(0x20_0000 + index * 0x1000)).unwrap().kind.name()).collect();
    assert_eq!(kinds, ["missing", "unreadable", "excluded", "corrupt"]);
    assert_eq!(
        dump.span(Paddr(0x20_2000)).unwrap().kind,
        SpanKind::Excluded(Some(kdump_vmcore::PageClass::User))
    );
    let (copy, report) = saved(&dump);
    assert_eq!((report.missing, report.corrupt, report.lacking()), (0x800, 0x800, 0x1800));
    let copy = Dump::open(copy).unwrap();
    assert!(!judged(&copy));
    assert_eq!(memory(&copy), memory(&dump));
}

/// A format that finds out about a lost page only when it reads it.
struct Patchy(Facts, Vec<u8>);

const LOST: u64 = 0x5000;

impl Format for Patchy {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let range = PhysRange::from_half_open(0, self.1.len() as u64).unwrap();
        range.contains(at.0).then_some(Span { range, kind: SpanKind::Stored })
    }

    fn read(&self, at: Paddr, buf: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        let good = match at.0 {
            at if at < LOST => (LOST - at) as usize,
            at if at < LOST + 0x1000 => 0,
            _ => usize::MAX,
        };
        let count = good.min(buf.len());
        buf[..count].copy_from_slice(&self.1[at.0 as usize..][..count]);
        let error = Error::Truncated { what: "page", offset: 0, need: 1, have: 0 };
        if count == buf.len() { Ok(()) } else { Err(Stopped::new(at.0, count, error)) }
    }
}

/// What lies behind a lost page in memory may stand in front of it in the file: it is not lost.
#[test]
fn a_lost_page_costs_no_other() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let dump = Dump::from_format(Patchy(Facts::new("patchy", encoding), pattern(0x9000, 5)));
    let found = verify(&dump, &mut go_on).unwrap();
    assert_eq!((found.unreadable.bytes, found.unreadable.ranges.len()), (0x1000, 1));
    let (copy, report) = saved(&dump);
    assert_eq!((report.missing, report.lacking()), (0x1000, 0x1000));
    let copy = Dump::open(copy).unwrap();
    assert!(!judged(&copy));
    let kinds: Vec<_> =
        memory(&copy).into_iter().map(|(start, end, kind, _)| (start, end, kind.name())).collect();
    assert_eq!(kinds, [(0, LOST, "stored"), (LOST, 0x6000, "missing"), (0x6000, 0x9000, "stored")]);
}

/// Where the notes cannot be continued, ours gets a program header.
#[test]
fn without_notes_in_order_the_note_has_a_header_of_its_own() {
    for segments in [vec![], vec![Segment::notes(&[0xff; 30])]] {
        let mut file = CoreFile::x86_64();
        file.segments = segments;
        let file = file.with(Segment::load(0x1000, &[1; 0x3000]));
        let whole = file.build();
        let source = Dump::open(whole[..whole.len() - 0x1000].to_vec()).unwrap();
        let (copy, _) = saved(&source);
        let copy = Dump::open(copy).unwrap();
        assert!(!judged(&copy));
        assert_eq!(copy.completeness().missing, 0x1000);
        assert_eq!(memory(&copy), memory(&source));
    }
}

/// As the distribution's programs read it: the note is listed, and nothing else is said.
#[test]
fn others_pass_over_the_note() {
    let notes = [
        note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [1; 27])),
        note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n"),
    ]
    .concat();
    let mut file = CoreFile::x86_64()
        .with(Segment::notes(&notes))
        .with(Segment { p_vaddr: 0x1000, ..Segment::load(0x1000, &pattern(0x3000, 3)) });
    file.cut = Some(file.build().len() - 0x1000);
    let (copy, _) = saved(&Dump::open(file.build()).unwrap());
    let path = std::env::temp_dir().join(format!("kdump-note-{}", std::process::id()));
    std::fs::write(&path, &copy).unwrap();
    let run = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program).args(args).arg(&path).output();
        let output = output.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
    };
    let (text, said, good) = run("readelf", &["-nlW"]);
    assert!(good && said.is_empty(), "{text}{said}");
    for name in ["CORE", "VMCOREINFO", "LIBKDUMP"] {
        assert!(text.contains(name), "{name}: {text}");
    }
    let (text, said, _) = run("gdb", &["-batch", "-nx", "-ex", "p $rip", "-ex", "x/1xb 0x1000", "-c"]);
    assert!(text.contains("$1 =") && text.contains("0x1000:\t0x"), "{text}{said}");
    std::fs::remove_file(&path).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any memory, cut anywhere, with bad sectors: kinds and bytes survive two copies.
    #[test]
    fn copies_agree_with_their_source(
        segments in prop::collection::vec((0_u64..0x8000, 1_usize..0x2800, 0_u64..0x1800), 1..7),
        cut in 0_usize..0x4000,
        wide: bool,
        big: bool,
    ) {
        let mut file = CoreFile::new(Wire { wide, big }, 62);
        for (paddr, len, tail) in segments {
            let bytes = pattern(len, paddr);
            file.segments.push(Segment { p_memsz: Some(len as u64 + tail), ..Segment::load(paddr, &bytes) });
        }
        let whole = file.build();
        let cut = whole.len().saturating_sub(cut).max(0x400);
        let Ok(source) = Dump::open(whole[..cut.min(whole.len())].to_vec()) else { return Ok(()) };
        let (first, report) = saved(&source);
        let first = Dump::open(first).unwrap();
        prop_assert_eq!(judged(&first), report.is_whole());
        prop_assert_eq!(report.is_whole(), source.completeness().is_complete());
        prop_assert_eq!(memory(&first), memory(&source));
        let (second, _) = saved(&first);
        prop_assert_eq!(memory(&Dump::open(second).unwrap()), memory(&source));
    }
}

/// The text of what was erased lies behind the end of the file: no memory is lost, and yet the source
/// is not whole.
#[test]
fn a_source_that_lacks_something_besides_memory() {
    let mut bytes = KdumpFile::new(Wire::LE64, 64).with_pages(0..64, &PageCodec::ALL).build();
    // `size_eraseinfo` of the sub header.
    bytes[0x104d] = 127;
    let dump = Dump::open(bytes).unwrap();
    assert!(!dump.completeness().is_complete());
    let mut copy = Vec::new();
    let report = SavePlan::elf(&dump).unwrap().copy(&mut copy, &mut go_on).unwrap();
    assert_eq!((report.source_defects, report.is_whole()), (1, false));
    let copy = Dump::open(copy).unwrap();
    assert!(!copy.completeness().is_complete());
    assert!(!verify(&copy, &mut go_on).unwrap().is_sound());
}
