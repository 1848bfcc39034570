//! What notes of ours say about memory, where it would be easy to pass over it.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::mem::discriminant;
use core::ops::ControlFlow;

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire, note};
use kdump_elf::{
    Class, Encoding, Endian, LIBKDUMP_NOTE_NAME, LossReason, LostRange, NT_LIBKDUMP_SAVE, PT_LOAD, Paddr,
    Phdr, PhysRange, SAVE_NOTE_ENTRY, SAVE_NOTE_HEAD, SaveState,
};
use kdump_vmcore::{
    Dump, Error, Facts, Format, MAX_UNREADABLE, PhysMemory, Progress, SavePlan, SaveReport, Scratch, Span,
    SpanKind, Stopped, verify,
};

const BASE: u64 = 0x10_0000;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn lost(start: u64, end: u64, reason: LossReason) -> LostRange {
    LostRange::new(PhysRange::from_half_open(BASE + start, BASE + end).unwrap(), reason)
}

/// A note of ours that lists `ranges`.
fn ours(good: Option<u64>, ranges: &[LostRange]) -> Vec<u8> {
    let mut desc = vec![0; SAVE_NOTE_HEAD + ranges.len() * SAVE_NOTE_ENTRY];
    let mut state = SaveState::default();
    (state.good, state.count) = (good, ranges.len() as u32);
    state.encode(Endian::Little, &mut desc).unwrap();
    for (range, out) in ranges.iter().zip(desc[SAVE_NOTE_HEAD..].chunks_mut(SAVE_NOTE_ENTRY)) {
        range.encode(Endian::Little, out).unwrap();
    }
    note(Wire::LE64, core::str::from_utf8(LIBKDUMP_NOTE_NAME).unwrap(), NT_LIBKDUMP_SAVE, &desc)
}

/// 0x8000 bytes of memory, of which `notes` say more.
fn dump(notes: &[u8]) -> Dump<'static> {
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(notes))
        .with(Segment::load(BASE, &[7; 0x8000]));
    Dump::open(file.build()).unwrap()
}

fn saved(dump: &Dump<'_>) -> (Dump<'static>, SaveReport) {
    let mut out = Vec::new();
    let report = SavePlan::elf(dump).unwrap().copy(&mut out, &mut go_on).unwrap();
    (Dump::open(out).unwrap(), report)
}

fn kinds(dump: &Dump<'_>) -> Vec<(u64, u64, &'static str)> {
    dump.spans().map(|span| (span.range.start() - BASE, span.range.end() - BASE, span.kind.name())).collect()
}

#[test]
fn a_read_that_begins_in_front_of_a_loss_ends_there() {
    for reason in [LossReason::Missing, LossReason::Unreadable, LossReason::Excluded(3), LossReason::Corrupt]
    {
        let dump = dump(&ours(None, &[lost(0x2000, 0x3000, reason)]));
        for zeros in [false, true] {
            let mut bytes = vec![0xee; 0x4000];
            let read = dump.reader().zero_excluded(zeros).read_phys(Paddr(BASE + 0x1800), &mut bytes);
            if zeros && matches!(reason, LossReason::Excluded(_)) {
                read.unwrap();
                assert!(bytes[0x800..0x1800].iter().all(|&byte| byte == 0));
                assert!(bytes[..0x800].iter().chain(&bytes[0x1800..]).all(|&byte| byte == 7));
            } else {
                let stopped = read.unwrap_err();
                assert_eq!((stopped.read, stopped.at), (0x800, BASE + 0x2000), "{reason:?}");
                assert!(bytes[..0x800].iter().all(|&byte| byte == 7));
            }
        }
    }
}

/// Nothing is lost, and yet not all that the program headers list is memory.
/// Memory that was lost stands as zeros in the file: without its list there is no telling.
/// A page that its source lacked is that and nothing else: the file itself has all its bytes.
#[test]
fn what_was_lost_before_is_no_damage_of_the_file() {
    let dump = dump(&ours(None, &[lost(0x2000, 0x3000, LossReason::Corrupt)]));
    let found = verify(&dump, &mut go_on).unwrap();
    assert_eq!((found.unreadable.bytes, found.defects.as_slice()), (0x1000, &[][..]));
    assert!(!found.is_sound() && !dump.completeness().is_complete());
}

#[test]
fn what_cannot_be_understood_leaves_no_memory_to_trust() {
    let ranges = [lost(0x1000, 0x2000, LossReason::Missing), lost(0x5000, 0x6000, LossReason::Missing)];
    let whole = ours(None, &ranges);
    let head = whole.len() - SAVE_NOTE_HEAD - 2 * SAVE_NOTE_ENTRY;
    let lie = |at: usize, value: u8| {
        let mut note = whole.clone();
        note[head + at] = value;
        dump(&note)
    };
    let (version, count, entry_size) = (0, 16, 20);
    for dump in [lie(version, 2), lie(entry_size, 0)] {
        assert_eq!(kinds(&dump), [(0, 0x8000, "unreadable")]);
        let stopped = dump.reader().zero_excluded(true).read_phys(Paddr(BASE + 0x3000), &mut [0; 8]);
        assert!(stopped.is_err());
        assert!(!dump.completeness().is_complete());
    }
    // A range that is not there lies behind the last one.
    let cut = lie(count, 3);
    let kept = [(0, 0x1000, "stored"), (0x1000, 0x2000, "missing"), (0x2000, 0x5000, "stored")];
    assert_eq!(kinds(&cut)[..3], kept);
    assert_eq!(kinds(&cut)[3..], [(0x5000, 0x6000, "missing"), (0x6000, 0x8000, "unreadable")]);
    assert!(!cut.completeness().is_complete());
}

/// A page that could not be read has zeros in the copy, in a format that looks into records of pages, too.
#[test]
fn pages_that_were_lost_are_not_found_again_in_their_descriptors() {
    let file = |good, ranges: &[LostRange]| {
        let mut file = KdumpFile::new(Wire::LE64, 0x108).with_pages(0x100..0x108, &[PageCodec::Raw]);
        file.notes = ours(good, ranges);
        file.with(0x106, Stored::Zero)
    };
    for reason in [LossReason::Missing, LossReason::Unreadable, LossReason::Excluded(3), LossReason::Corrupt]
    {
        let dump = Dump::open(file(None, &[lost(0x2000, 0x3000, reason)]).build()).unwrap();
        let mut reader = dump.reader();
        let at = Paddr(BASE + 0x2000);
        let kind = dump.span(at).unwrap().kind;
        assert!(!kind.is_readable(), "{reason:?}");
        assert_eq!((reader.kind(at), reader.look(at).unwrap().kind), (Some(kind), kind));
        let before = Paddr(BASE + 0x1000);
        assert_eq!(reader.kind(before), Some(SpanKind::Stored));
        assert_eq!(reader.look(before).unwrap().range.end(), at.0);
        reader.read_phys(at, &mut [0; 8]).unwrap_err();
        let found = verify(&dump, &mut go_on).unwrap().unreadable;
        let error = reader.read_phys(at, &mut [0; 8]).unwrap_err().error;
        let told: Vec<_> = found.ranges.iter().map(|lost| discriminant(&lost.error)).collect();
        assert_eq!(told, if kind.is_lost() { vec![discriminant(&error)] } else { vec![] }, "{reason:?}");
    }
}

/// Zeros stand where nothing was written yet, and in descriptors, too.
#[test]
fn nothing_behind_what_was_written_is_taken_for_a_page() {
    let mut file = KdumpFile::new(Wire::LE64, 0x108).with_pages(0x100..0x108, &[PageCodec::Raw]);
    file.dump_level = 1;
    file.notes = ours(None, &[]);
    file.pages.insert(0x106, Stored::Zero);
    let layout = file.layout();
    let mut stopped_at = |good: u64| {
        file.notes = ours(Some(good), &[]);
        let dump = Dump::open(file.build()).unwrap();
        [0x100, 0x105, 0x106_u64].map(|pfn| {
            let read = dump.reader().read_phys(Paddr(pfn << 12), &mut vec![0; 4096]);
            read.map_err(|stopped| match stopped.error {
                Error::Truncated { what, .. } => what,
                other => panic!("{other}"),
            })
        })
    };
    let page = Err("page that was not written before saving ended");
    // Behind the shared zeros and one page, and behind five descriptors.
    assert_eq!(stopped_at(layout.data + 2 * 4096), [Ok(()), page, Ok(())]);
    let descriptor = Err("page descriptor");
    assert_eq!(stopped_at(layout.descriptors + 5 * 24), [page, descriptor, descriptor]);
}

#[test]
fn a_copy_of_a_copy_still_knows_what_was_left_out() {
    let source = dump(&ours(None, &[lost(0x2000, 0x3000, LossReason::Excluded(0))]));
    let (first, report) = saved(&source);
    assert!(report.is_whole() && first.completeness().is_complete());
    let (second, report) = saved(&first);
    assert!(report.is_whole() && second.completeness().is_complete());
    for copy in [source, first, second] {
        let expected = [(0, 0x2000, "stored"), (0x2000, 0x3000, "excluded"), (0x3000, 0x8000, "stored")];
        assert_eq!(kinds(&copy), expected);
        let stopped = copy.reader().read_phys(Paddr(BASE + 0x2000), &mut [0]).unwrap_err();
        assert!(matches!(stopped.error, Error::Excluded { .. }), "{stopped}");
    }
}

/// Where nothing is, nothing is written if that is zeros.
#[test]
fn memory_that_was_left_out_takes_no_room_in_a_copy() {
    let size = 0x20_0000;
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&ours(None, &[lost(0x2000, size - 0x1000, LossReason::Excluded(0))])))
        .with(Segment::load(BASE, &vec![7; size as usize]));
    let source = Dump::open(file.build()).unwrap();
    let (copy, report) = saved(&source);
    assert!(report.is_whole() && report.written < 0x1_0000, "{:#x} bytes written", report.written);
    assert_eq!(kinds(&copy), kinds(&source));
}

#[test]
fn ranges_that_overlap_hide_none_of_each_other() {
    let wide = lost(0, 0x7000, LossReason::Unreadable);
    let narrow = |index: u64| lost(index * 0x800, index * 0x800 + 0x400, LossReason::Missing);
    let mut ranges: Vec<_> = (1..12).map(narrow).collect();
    for at in [0, 5, 11] {
        ranges.insert(at, wide);
        let dump = dump(&ours(None, &ranges));
        ranges.remove(at);
        for paddr in (BASE..BASE + 0x7000).step_by(0x100) {
            assert!(dump.span(Paddr(paddr)).unwrap().kind.is_lost(), "{paddr:#x}");
            dump.reader().read_phys(Paddr(paddr), &mut [0]).unwrap_err();
        }
        dump.reader().read_phys(Paddr(BASE + 0x7000), &mut [0]).unwrap();
        let state = dump.completeness();
        assert_eq!(state.missing + state.unreadable, 0x7000);
    }
}

#[test]
fn of_two_notes_the_one_that_promises_less_counts() {
    for [first, second] in [[0x3000, 0x5000], [0x5000, 0x3000]] {
        let dump = dump(&[ours(Some(first), &[]), ours(Some(second), &[])].concat());
        let told = dump.completeness().defects.first().copied();
        assert_eq!(told, Some(Error::Unfinished { good: Some(0x3000) }));
        let memory = dump.phdrs().iter().find(|phdr| phdr.p_type == PT_LOAD).unwrap();
        assert_eq!(dump.completeness().missing, 0x8000 - 0x3000_u64.saturating_sub(memory.p_offset));
    }
}

/// What the source said about its own end is no word about the end of the copy.
#[test]
fn a_copy_of_an_unfinished_file_is_a_finished_one() {
    let source = dump(&ours(Some(0x4000), &[]));
    let (copy, report) = saved(&source);
    assert!(!report.is_whole() && !copy.completeness().is_complete());
    assert!(!copy.completeness().is_unfinished());
    let notes = copy.notes().iter().filter(|note| note.name == LIBKDUMP_NOTE_NAME);
    assert_eq!(notes.count(), 1);
    assert_eq!(kinds(&copy), kinds(&source));
}

#[test]
fn a_dump_of_nothing_is_not_saved() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let dump = Dump::from_format(Still(Facts::new("nothing", encoding), None));
    assert!(matches!(SavePlan::elf(&dump), Err(Error::NoMemory)));
}

/// A format that always gives the same answer.
struct Still(Facts, Option<Span>);

impl Format for Still {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, _: Paddr) -> Option<Span> {
        self.1
    }

    fn read(&self, at: Paddr, _: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        Err(Stopped::new(at.0, 0, Error::Unreadable { paddr: at.0 }))
    }
}

#[test]
fn a_format_that_stands_still_ends() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let range = PhysRange::from_half_open(BASE, BASE + 0x1000).unwrap();
    let span = Span { range, kind: SpanKind::Stored };
    let dump = Dump::from_format(Still(Facts::new("still", encoding), Some(span)));
    assert!(dump.spans().take(3).count() < 3);
    assert!(dump.reader().looks().take(3).count() < 3);
}

/// Memory in which every other piece of 16 bytes is lost.
struct Sieve(Facts);

const PIECE: u64 = 16;
const PIECES: u64 = 140_000;

impl Format for Sieve {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let range = PhysRange::from_len(at.0 / PIECE * PIECE, PIECE).unwrap();
        let kind = if at.0 / PIECE % 2 == 0 { SpanKind::Stored } else { SpanKind::Unreadable };
        (at.0 < PIECES * PIECE).then_some(Span { range, kind })
    }

    fn read(&self, at: Paddr, buf: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        let left = (PIECE - at.0 % PIECE) as usize;
        if at.0 / PIECE % 2 == 1 || buf.len() > left {
            return Err(Stopped::new(at.0, 0, Error::Unreadable { paddr: at.0 }));
        }
        buf.fill(7);
        Ok(())
    }
}

/// More losses than are listed are counted, and what is given up for them is told.
#[test]
fn losses_that_are_not_listed_are_counted() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let size = PIECE * PIECES;
    let phdr = Phdr { p_type: PT_LOAD, p_filesz: size, p_memsz: size, ..Phdr::default() };
    let mut facts = Facts::new("sieve", encoding);
    facts.phdrs = vec![phdr];
    let dump = Dump::from_format(Sieve(facts));
    let found = verify(&dump, &mut go_on).unwrap().unreadable;
    assert_eq!((found.bytes, found.ranges.len()), (size / 2, MAX_UNREADABLE));
    assert_eq!(found.unlisted, PIECES / 2 - MAX_UNREADABLE as u64);
    let (copy, report) = saved(&dump);
    assert_eq!((report.unreadable.bytes, report.unreadable.ranges.len()), (size / 2, MAX_UNREADABLE));
    assert!(report.given_up > 0 && !report.is_whole());
    let state = copy.completeness();
    assert_eq!(state.unreadable, report.lacking());
    assert!(!state.is_complete());
    let readable = copy.spans().filter(|span| span.kind.is_readable());
    assert_eq!(readable.map(|span| span.range.size()).sum::<u64>() + report.lacking(), size);
}

/// What was never written is missing; that the file ends early is another matter.
#[test]
fn behind_the_end_of_what_is_good_memory_is_missing() {
    let source = dump(&ours(Some(0x4000), &[]));
    let memory = source.phdrs().iter().find(|phdr| phdr.p_type == 1).unwrap();
    let good = 0x4000 - memory.p_offset;
    let mut buf = vec![0; 0x8000];
    let stopped = source.reader().read_phys(Paddr(BASE), &mut buf).unwrap_err();
    assert_eq!((stopped.read as u64, stopped.error), (good, Error::Missing { paddr: BASE + good }));
}
