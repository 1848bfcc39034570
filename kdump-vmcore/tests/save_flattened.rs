//! An ELF core as a flattened stream: every byte once, nothing that is lost taken for zeros.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::ops::ControlFlow;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Dump, ElfOptions, Error, Flatten, Flattened, IoError, KdumpOptions, PhysMemory, Progress, ReadAt,
    SaveFormat, SavePlan, SaveReport, SpanKind, save_stream, verify,
};

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Notes, memory with zeros in it and at its end, a page that was left out, and pieces that are no pages.
fn sample(wire: Wire) -> CoreFile {
    let mut memory: Vec<u8> = (0..0x9000_u32).map(|at| (at ^ (at >> 8)) as u8 | 1).collect();
    memory[0x1000..0x4000].fill(0);
    memory[0x7800..].fill(0);
    CoreFile::new(wire, if wire.wide { 62 } else { 3 })
        .with(Segment::notes(&note(wire, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
        .with(Segment { p_memsz: Some(0xa000), ..Segment::load(0x10_0000, &memory) })
        .with(Segment::load(0x20_0018, &[5; 0x777]))
        .with(Segment::load(0x30_0000, &[0; 0x5000]))
}

/// Memory of which a page cannot be read.
struct Bad(Vec<u8>, u64);

impl ReadAt for Bad {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if (self.1..self.1 + 0x1000).contains(&offset) {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        let len = if offset < self.1 { buf.len().min((self.1 - offset) as usize) } else { buf.len() };
        self.0.read_at(offset, &mut buf[..len])
    }
}

fn stream(dump: &Dump<'_>) -> (Vec<u8>, SaveReport) {
    let mut out = Vec::new();
    let format = SaveFormat::FlattenedElf(ElfOptions::default());
    let report = save_stream(dump, format, &mut out, &mut go_on).unwrap();
    // The same by hand, for those without a std, and however little is read at once.
    for room in [4096, 1 << 20] {
        let mut other = Vec::new();
        let mut sink = Flatten::new(|bytes: &[u8]| {
            other.extend_from_slice(bytes);
            Ok(())
        });
        let plan = SavePlan::elf(dump).unwrap();
        plan.copy_with(&mut vec![0; room], &mut sink, &mut go_on).unwrap();
        let [same, other] = [&out, &other].map(|stream| Flattened::open(stream.as_slice()).unwrap());
        assert!(file(&same) == file(&other), "{room}");
    }
    (out, report)
}

/// The file that a stream describes.
fn file<S: ReadAt>(source: &S) -> Vec<u8> {
    let mut bytes = vec![0; source.size().unwrap() as usize];
    source.read_full_at(0, &mut bytes).unwrap();
    bytes
}

fn copy(dump: &Dump<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    SavePlan::elf(dump).unwrap().copy(&mut out, &mut go_on).unwrap();
    out
}

/// The records, as they stand in the stream: offset in the file, and bytes.
fn records(stream: &[u8]) -> Vec<(u64, u64)> {
    let (mut records, mut at) = (vec![], 4096);
    let number = |at: usize| u64::from_be_bytes(stream[at..at + 8].try_into().unwrap());
    while number(at) != u64::MAX {
        records.push((number(at), number(at + 8)));
        at += 16 + number(at + 8) as usize;
    }
    assert_eq!(at + 16, stream.len(), "nothing behind the end");
    records
}

/// Kinds and bytes of all memory.
fn memory(dump: &Dump<'_>) -> Vec<(u64, u64, SpanKind, Vec<u8>)> {
    let mut reader = dump.reader();
    let of = |span: kdump_vmcore::Span| {
        let mut bytes = vec![0; if span.kind.is_readable() { span.range.size() as usize } else { 0 }];
        reader.read_phys(Paddr(span.range.start()), &mut bytes).unwrap();
        (span.range.start(), span.range.end(), span.kind, bytes)
    };
    dump.spans().map(of).collect()
}

fn wires() -> impl Iterator<Item = Wire> {
    let all = [(true, false), (true, true), (false, false), (false, true)];
    all.into_iter().map(|(wide, big)| Wire { wide, big })
}

#[test]
fn every_byte_is_given_once_and_all_are() {
    for wire in wires() {
        let source = Dump::open(sample(wire).build()).unwrap();
        let (flat, report) = stream(&source);
        assert!(report.is_whole());
        let mut given = records(&flat);
        given.sort_unstable();
        let mut end = 0;
        for (offset, size) in given {
            assert_eq!(offset, end, "{wire:?}: a hole, or bytes that two records give");
            end = offset + size;
        }
        assert_eq!((end, report.file_size), (SavePlan::elf(&source).unwrap().size(), end));
        let copied = Dump::open(flat).unwrap();
        assert!(copied.completeness().is_complete(), "{wire:?}: {:?}", copied.completeness());
        assert_eq!(memory(&copied), memory(&Dump::open(copy(&source)).unwrap()), "{wire:?}");
        // Put together it is the file that would have been written at once.
        assert!(copy(&copied) == copy(&source), "{wire:?}");
    }
}

#[test]
fn what_could_not_be_read_is_told_at_the_end() {
    for wire in wires() {
        let bytes = sample(wire).build();
        let place = bytes.windows(64).position(|piece| piece == [5; 64]).unwrap() as u64 - 0x5000;
        let source = Dump::open(Bad(bytes, place & !0xfff)).unwrap();
        let (flat, report) = stream(&source);
        assert!(!report.is_whole() && report.unreadable.bytes > 0, "{wire:?}");
        let copied = Dump::open(flat).unwrap();
        assert_eq!(copied.completeness().unreadable, report.unreadable.bytes, "{wire:?}");
        let expected = memory(&Dump::open(copy(&source)).unwrap());
        assert_eq!(memory(&copied), expected, "{wire:?}");
        // Put together it remembers the same.
        assert_eq!(memory(&Dump::open(copy(&copied)).unwrap()), expected, "{wire:?}");
    }
    // What the source had lost before, too.
    let mut cut = sample(Wire::LE64);
    cut.cut = Some(cut.build().len() - 0x2000);
    let source = Dump::open(cut.build()).unwrap();
    let (flat, _) = stream(&source);
    let copied = Dump::open(flat).unwrap();
    assert!(copied.completeness().missing > 0x1000);
    assert_eq!(memory(&copied), memory(&Dump::open(copy(&source)).unwrap()));
}

/// Wherever it is cut, it is not complete, and no byte of it is another.
#[test]
fn a_cut_stream_is_no_whole_core() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let (flat, _) = stream(&source);
    let mut opened = 0;
    for cut in (0..flat.len()).step_by(61).chain(flat.len() - 40..flat.len()) {
        let Ok(part) = Dump::open(&flat[..cut]) else { continue };
        opened += 1;
        assert!(!part.completeness().is_complete(), "{cut}: {:?}", part.completeness());
        let verified = verify(&part, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(!verified.is_sound(), "{cut}");
        let (mut good, mut found) = (source.reader(), part.reader());
        for paddr in (0x10_0000..0x30_5000).step_by(0x800) {
            let (mut expected, mut bytes) = ([0; 8], [0; 8]);
            let readable = good.read_phys(Paddr(paddr), &mut expected).is_ok();
            if found.read_phys(Paddr(paddr), &mut bytes).is_ok() {
                assert!(readable && bytes == expected, "{cut}: {paddr:#x}");
            }
        }
    }
    assert!(opened > 100, "{opened}");
}

#[test]
fn an_output_that_fails_is_told_with_what_it_took() {
    struct Pipe(usize);
    impl std::io::Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let format = SaveFormat::FlattenedElf(ElfOptions::default());
    for room in [0, 4096, 5000, 20_000, 50_000] {
        let failure = save_stream(&source, format, &mut Pipe(room), &mut go_on).unwrap_err();
        assert!(matches!(failure.error, Error::Io { .. }), "{failure}");
        assert!(failure.good <= room as u64 && failure.kept.is_none(), "{room}: {failure}");
        assert!(failure.good > 0 || room < 4096, "{room}: {failure}");
    }
    let failure = save_stream(&source, SaveFormat::Raw, &mut Vec::new(), &mut go_on).unwrap_err();
    assert!(matches!(failure.error, Error::Unsupported { .. }), "{failure}");
}

/// A stream is a sequence of records: they are the same for any number of threads, which take batches of other sizes.
#[test]
fn a_stream_is_the_same_for_any_number_of_threads() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        (state >> 16) as u8
    };
    // Pages that shrink, pages that do not, and zeros.
    let mut memory = vec![0_u8; 1500 * 0x1000];
    for (number, page) in memory.chunks_mut(0x1000).enumerate() {
        match number / 90 % 3 {
            0 => page.fill(number as u8 | 1),
            1 => page.iter_mut().for_each(|byte| *byte = random()),
            _ => {}
        }
    }
    let core = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
        .with(Segment::load(0x10_0000, &memory));
    let dump = Dump::open(core.build()).unwrap();
    for codec in [None, Some(Codec::Lzo)] {
        let streams = [1, 2, 3].map(|threads| {
            let mut out = Vec::new();
            let options = KdumpOptions::default().codec(codec).threads(threads);
            save_stream(&dump, SaveFormat::Flattened(options), &mut out, &mut go_on).unwrap();
            out
        });
        assert!(streams.iter().all(|stream| *stream == streams[0]), "{codec:?}");
    }
}
