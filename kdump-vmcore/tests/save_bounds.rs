//! Where saving has nothing to do, or refuses to begin.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::ops::ControlFlow;
use core::time::Duration;
use std::sync::mpsc;
use std::thread;

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire};
use kdump_elf::{Arch, Class, Encoding, Endian, PT_LOAD, Paddr, Phdr, PhysRange};
use kdump_vmcore::{
    ClassMap, Dump, Error, Facts, Format, KdumpOptions, KdumpPlan, PhysMemory, Progress, RawPlan, SavePlan,
    Scratch, Span, SpanKind, Stopped, WriteAt,
};

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A file in memory that counts what is written to it.
#[derive(Default)]
struct Counted {
    file: Vec<u8>,
    writes: usize,
    dense: bool,
}

impl WriteAt for Counted {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.writes += 1;
        self.file.write_all_at(offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        !self.dense
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.file.finish(size)
    }
}

fn aligned() -> CoreFile {
    CoreFile { align: 0x1000, ..CoreFile::x86_64() }
}

#[test]
fn small_pieces_of_memory_are_written_together() {
    let file = (0..200_u64).fold(aligned(), |file, at| file.with(Segment::load(at << 20, &[7; 0x800])));
    let source = Dump::open(file.build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut sink = Counted::default();
    plan.copy(&mut sink, &mut go_on).unwrap();
    assert!(sink.writes <= 20, "{} writes", sink.writes);
    let copy = Dump::open(sink.file).unwrap();
    assert_eq!(copy.spans().filter(|span| span.kind == SpanKind::Stored).count(), 200);
}

/// A batch that is not there is none: the caller is not told of it.
#[test]
fn progress_is_told_once_for_each_batch() {
    let source = Dump::open(aligned().with(Segment::load(0x10_0000, &[7; 0x3000])).build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let size = 0x1000;
    let calls = |buffer: &mut [u8]| {
        let mut calls = Vec::new();
        let mut told = |progress: Progress| {
            calls.push(progress.done);
            ControlFlow::Continue(())
        };
        plan.copy_with(buffer, &mut Vec::new(), &mut told).unwrap();
        calls
    };
    assert_eq!(calls(&mut vec![0; size]), [0x1000, 0x2000, 0x3000]);
    assert_eq!(calls(&mut vec![0; 8 * size]), [0x3000]);
}

/// Behind the end of a cut file pages are looked at 4096 at a time.
#[test]
fn what_is_missing_is_counted_once() {
    let mut file = KdumpFile::new(Wire::LE64, 10_000).with_pages([0], &[PageCodec::Raw]);
    let behind = file.layout().data + 24 * 9999 + (64 << 20);
    for pfn in 1..10_000 {
        file = file.with(pfn, Stored::Descriptor(behind, 4096, 0, 0));
    }
    let source = Dump::open(file.build()).unwrap();
    let report = SavePlan::elf(&source).unwrap().copy(&mut Vec::new(), &mut go_on).unwrap();
    assert_eq!((report.memory, report.missing), (4096, 9999 * 4096));
    assert_eq!(report.unreadable.ranges.len(), 1);
}

/// Memory in pieces, every other one of which is of another kind.
struct Sieve(Facts, SpanKind, u64);

const PIECE: u64 = 4096;

impl Format for Sieve {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let number = at.0 / PIECE;
        let range = PhysRange::from_len(number * PIECE, PIECE).unwrap();
        let kind = if number % 2 == 0 { SpanKind::Stored } else { self.1 };
        (number < self.2).then_some(Span { range, kind })
    }

    fn read(&self, _: Paddr, buf: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        buf.fill(7);
        Ok(())
    }
}

fn sieve(odd: SpanKind, pieces: u64) -> Dump<'static> {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let size = PIECE * pieces;
    let phdr = Phdr { p_type: PT_LOAD, p_filesz: size, p_memsz: size, ..Phdr::default() };
    let mut facts = Facts::new("sieve", encoding);
    (facts.phdrs, facts.arch) = (vec![phdr], Some(Arch::X86_64));
    Dump::from_format(Sieve(facts, odd, pieces))
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "millions of pieces take an emulator minutes")]
fn pieces_of_memory_are_counted() {
    const MOST: u64 = 1 << 21;
    let error = SavePlan::elf(&sieve(SpanKind::Unreadable, MOST + 1)).unwrap_err();
    let what = "pieces of memory, which an ELF core cannot list,";
    assert_eq!(error, Error::TooLarge { what, value: MOST, limit: MOST });
    let error = ClassMap::new(&sieve(SpanKind::Hole, 2 * MOST + 1), 1).unwrap_err();
    assert_eq!(error, Error::TooLarge { what: "number of pieces of RAM", value: MOST, limit: MOST });
    // One less lacks only what tells of pages.
    let error = ClassMap::new(&sieve(SpanKind::Hole, 2 * MOST), 1).unwrap_err();
    assert!(matches!(error, Error::MissingKey { .. }), "{error}");
}

/// A raw image has memory at its addresses, and nothing says where it is not.
#[test]
fn a_raw_image_needs_memory_and_a_sink_of_zeros() {
    let plan = |paddr: u64, bytes: &[u8]| {
        let segment = Segment { p_memsz: Some(0x1000), ..Segment::load(paddr, bytes) };
        // ppc64 knows no last address below that of the format.
        let core = CoreFile { e_machine: 21, ..aligned() };
        let source = Dump::open(core.with(segment).build()).unwrap();
        RawPlan::new(&source).map(|plan| plan.size())
    };
    assert_eq!(plan(0x1000, &[7; 0x1000]), Ok(0x2000));
    assert_eq!(plan((1 << 63) - 0x1001, &[7; 0x1000]), Ok((1 << 63) - 1));
    assert_eq!(plan(0x1000, &[]), Err(Error::NoMemory));
    let (value, limit) = (1 << 63, (1 << 63) - 1);
    let too_far = Error::TooLarge { what: "end of the memory", value, limit };
    assert_eq!(plan((1 << 63) - 0x1000, &[7; 0x1000]), Err(too_far));
    let source = Dump::open(aligned().with(Segment::load(0x1000, &[7; 0x1000])).build()).unwrap();
    let mut sink = Counted { dense: true, ..Counted::default() };
    let stopped = RawPlan::new(&source).unwrap().copy(&mut sink, &mut go_on).unwrap_err();
    assert!(matches!(stopped.error, Error::Unsupported { .. }), "{stopped}");
    assert_eq!((sink.writes, stopped.good), (0, 0));
}

/// Whoever has more program headers than a copy could have by itself is copied all the same: longer runs of
/// what is left out would make none of them less.
#[test]
fn a_source_of_more_program_headers_than_a_copy_can_have_ends() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let size = PIECE * 8;
    let mut facts = Facts::new("headers", encoding);
    facts.phdrs = vec![Phdr { p_type: PT_LOAD, p_filesz: size, p_memsz: size, ..Phdr::default() }; 1 << 19];
    facts.arch = Some(Arch::X86_64);
    let source = Dump::from_format(Sieve(facts, SpanKind::Stored, 8));
    let (sent, done) = mpsc::channel();
    thread::spawn(move || sent.send(SavePlan::elf(&source).map(|plan| plan.memory())));
    assert_eq!(done.recv_timeout(Duration::from_secs(60)), Ok(Ok(size)));
}

/// Says of one address that no memory is there, and that it begins there.
struct Contradiction(Facts);

impl Format for Contradiction {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let range = PhysRange::from_len(0, 0x4000).unwrap();
        (at.0 < 0x4000).then_some(Span { range, kind: SpanKind::Stored })
    }

    fn read(&self, at: Paddr, buf: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        let read = usize::try_from(0x2000_u64.saturating_sub(at.0)).unwrap().min(buf.len());
        buf[..read].fill(7);
        if read == buf.len() {
            return Ok(());
        }
        let paddr = at.0 + read as u64;
        Err(Stopped::new(at.0, read, Error::Hole { paddr, next: Some(paddr) }))
    }
}

#[test]
fn a_hole_without_an_end_is_a_page_that_is_lost() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let mut facts = Facts::new("contradiction", encoding);
    (facts.arch, facts.e_machine, facts.page_size) = (Some(Arch::X86_64), 62, Some(4096));
    let source = Dump::from_format(Contradiction(facts));
    let plan = KdumpPlan::new(&source, KdumpOptions::default()).unwrap();
    let mut file = Vec::new();
    let report = plan.copy(&mut file, &mut go_on).unwrap();
    assert_eq!(report.unreadable.bytes, 0x2000);
    let mut page = [0; 0x1000];
    Dump::open(file).unwrap().reader().read_phys(Paddr(0x1000), &mut page).unwrap();
    assert_eq!(page, [7; 0x1000]);
}
