//! What is saved as a kdump-compressed file reads like what it was saved from, whatever went wrong.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod saving;

use core::ops::ControlFlow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::thread::ThreadId;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Dump, Error, Flatten, Interrupted, IoError, KdumpOptions, KdumpPlan, Progress, RawPlan, ReadAt,
    ReadOptions, SavePlan, SaveReport, SpanKind, WriteAt,
};
use saving::*;

fn saved(dump: &Dump<'_>, options: KdumpOptions) -> (Vec<u8>, SaveReport) {
    let mut file = Vec::new();
    let report = KdumpPlan::new(dump, options).unwrap().copy(&mut file, &mut go_on).unwrap();
    assert_eq!(file.len() as u64, report.file_size);
    (file, report)
}

#[test]
fn every_codec_and_every_machine() {
    for wire in Wire::ALL {
        let source = Dump::open(sample(wire).build()).unwrap();
        for codec in [None].into_iter().chain(Codec::ALL.map(Some)) {
            let (file, report) = saved(&source, options(codec, 1));
            assert!(report.is_whole(), "{report:?}");
            for threads in [2, 3, 7] {
                assert!(saved(&source, options(codec, threads)).0 == file, "{codec:?} by {threads} threads");
            }
            let size = file.len();
            let copy = Dump::open(file).unwrap();
            assert_eq!((copy.format(), copy.encoding()), ("kdump", source.encoding()));
            assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
            same(&copy, &source);
            assert_eq!(
                copy.vmcoreinfo().map(|info| info.as_bytes()),
                source.vmcoreinfo().map(|info| info.as_bytes())
            );
            assert_eq!(
                copy.notes().iter().count(),
                source.notes().iter().count(),
                "a whole copy has no note of ours"
            );
            assert_eq!(copy.page_size(), Some(4096));
            // A quarter is zeros, which share a page; noise is not made larger.
            let stored = report.memory as usize * 3 / 4;
            assert!(
                size <= if codec.is_some() { stored / 2 + 0x20000 } else { stored + 0x20000 + PAGE },
                "{codec:?}: {size}"
            );
            // What is not compressed stands as it is in memory, but for the first page.
            assert!(codec.is_some() || size % PAGE == 0, "{size}");
            // A copy of the copy.
            let (again, _) = saved(&copy, options(codec, 2));
            same(&Dump::open(again).unwrap(), &source);
        }
    }
}

#[test]
fn what_cannot_be_read_is_told_for_ever() {
    let bytes = sample(Wire::LE64).build();
    let at = offset_of(&bytes, AT);
    let bad: Vec<u64> = [0, 1, 5, 400, 699].map(|page| at + page * PAGE as u64).into();
    let source = Failing { bytes, bad };
    let source = Dump::open(source).unwrap();
    for codec in [None, Some(Codec::Lzo)] {
        let (file, report) = saved(&source, options(codec, 1));
        assert_eq!(report.unreadable.bytes, 5 * PAGE as u64, "{:?}", report.unreadable);
        assert!(!report.is_whole());
        assert!(saved(&source, options(codec, 3)).0 == file);
        let copy = Dump::open(file).unwrap();
        assert!(!copy.completeness().is_complete());
        assert_eq!((copy.completeness().missing, copy.completeness().unreadable), (0, 5 * PAGE as u64));
        same(&copy, &source);
        let kinds = |dump: &Dump<'_>| {
            dump.spans()
                .filter(|span| span.kind == SpanKind::Unreadable)
                .map(|span| span.range)
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&copy).len(), 4, "{:?}", kinds(&copy));
        // And for a copy of the copy, in which it is known beforehand.
        let (again, report) = saved(&copy, options(codec, 2));
        assert_eq!(report.unreadable.bytes, 5 * PAGE as u64);
        let again = Dump::open(again).unwrap();
        same(&again, &source);
        assert_eq!(kinds(&again), kinds(&copy));
        // Back to ELF.
        let mut elf = Vec::new();
        let report = SavePlan::elf(&copy).unwrap().copy(&mut elf, &mut go_on).unwrap();
        assert_eq!(report.unreadable.bytes, 5 * PAGE as u64);
        same(&Dump::open(elf).unwrap(), &copy);
    }
}

#[test]
fn vmcoreinfo_is_where_its_note_is() {
    let wire = Wire::LE64;
    // Looking for this text in these notes would take minutes.
    let mut text = vec![b'A'; 64 << 10];
    text.extend_from_slice(b"=1\nPAGESIZE=4096\n");
    let mut notes = note(wire, "OTHER", 7, &vec![b'A'; 2 << 20]);
    notes.extend(note(wire, "VMCOREINFO", 9, &text));
    notes.extend(note(wire, "VMCOREINFO", 0, &text));
    notes.extend(note(wire, "VMCOREINFO", 0, b"PAGESIZE=8192\n"));
    let file = CoreFile::x86_64().with(Segment::notes(&notes)).with(Segment::load(AT, &[1; PAGE])).build();
    let source = Dump::open(file).unwrap();
    let (file, _) = saved(&source, options(None, 1));
    // `offset_vmcoreinfo` and `size_vmcoreinfo` of `struct kdump_sub_header`.
    let number = |at: usize| u64::from_le_bytes(file[PAGE + at..PAGE + at + 8].try_into().unwrap());
    let (at, size) = (number(32) as usize, number(40) as usize);
    assert!(file[at..at + size] == text, "{at:#x} {size:#x}");
    assert_eq!(file[at - 16..at], *b"\0\0\0\0VMCOREINFO\0\0", "that of type 0");
    let copy = Dump::open(file).unwrap();
    assert!(copy.vmcoreinfo().unwrap().as_bytes() == text);
}

#[test]
fn a_cut_source_stays_cut() {
    let whole = sample(Wire::LE64).build();
    let at = offset_of(&whole, AT) as usize;
    // At a page and inside one.
    for cut in [at + 300 * PAGE, at + 300 * PAGE + 100] {
        let source = Dump::open(whole[..cut].to_vec()).unwrap();
        let (file, report) = saved(&source, options(Some(Codec::Zlib), 2));
        let inside = (cut - at) % PAGE;
        assert_eq!(report.missing, ((PAGES - 300) * PAGE + PAGE - inside) as u64);
        assert_eq!(report.given_up, inside as u64, "a page that is there in part is not stored");
        let copy = Dump::open(file).unwrap();
        assert!(copy.completeness().missing >= report.missing);
        let (copy, source) = (pages(&copy), pages(&source));
        assert_eq!(copy.len(), source.len());
        let edge = AT + 300 * PAGE as u64;
        for (paddr, page) in &source {
            let expected = if *paddr == edge { &Err("missing") } else { page };
            assert!(copy[paddr] == *expected, "{paddr:#x}: {:?}", copy[paddr].as_ref().err());
        }
    }
}

/// Fails at a write, of which it does a part.
struct Stops {
    file: Vec<u8>,
    sparse: bool,
    left: usize,
}

impl WriteAt for Stops {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.left == 0 {
            self.file.write_all_at(offset, &bytes[..bytes.len() / 2])?;
            return Err(Error::Io { offset, cause: IoError::from_errno(28) });
        }
        self.left -= 1;
        self.file.write_all_at(offset, bytes)
    }
    fn is_sparse(&self) -> bool {
        self.sparse
    }
    fn finish(&mut self, size: u64) -> Result<(), Error> {
        if self.sparse { self.file.finish(size) } else { Ok(()) }
    }
}

/// Whatever the file says is memory is memory of the source, and it does not say that it is whole.
#[track_caller]
fn truly_unfinished(
    file: Vec<u8>,
    source: &BTreeMap<u64, Result<Vec<u8>, &'static str>>,
    what: &str,
) -> usize {
    // What does not open claims nothing.
    let Ok(copy) = Dump::open(file) else { return 0 };
    assert!(!copy.completeness().is_complete(), "{what}");
    let (mut good, mut torn) = (0, 0);
    for (paddr, page) in pages(&copy) {
        match page {
            Ok(bytes) => {
                assert!(source[&paddr].as_ref() == Ok(&bytes), "{what}: {paddr:#x} is not of the machine");
                good += 1;
            }
            // A write may end inside a descriptor.
            Err("corrupt") => torn += 1,
            Err(reason) => assert!(["missing", "excluded"].contains(&reason), "{what}: {paddr:#x} {reason}"),
        }
    }
    assert!(torn <= 1, "{what}: {torn} torn");
    good
}

#[test]
fn stopped_anywhere_it_says_so() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let expected = pages(&source);
    // An older dump of other pages stands where the new one is written.
    let other = sample(Wire::LE64).with(Segment::load(0x8000_0000, &[9; 9 * PAGE])).build();
    let older = saved(&Dump::open(other).unwrap(), options(None, 1)).0;
    for (sparse, codec) in [(true, None), (true, Some(Codec::Lzo)), (false, None), (false, Some(Codec::Zstd))]
    {
        let plan = KdumpPlan::new(&source, options(codec, 1)).unwrap();
        let mut most = 0;
        for left in 0.. {
            let file = if sparse { vec![] } else { older.clone() };
            let mut sink = Stops { file, sparse, left };
            match plan.copy(&mut sink, &mut go_on) {
                Ok(_) => {
                    assert!(Dump::open(sink.file).unwrap().completeness().is_complete());
                    break;
                }
                Err(Interrupted { good, .. }) => {
                    let what = format!("stopped at write {left}");
                    let stored = truly_unfinished(sink.file.clone(), &expected, &what);
                    most = most.max(stored);
                    if sparse && good > 0 {
                        // As the file is left.
                        sink.file.truncate(good as usize);
                        assert_eq!(truly_unfinished(sink.file, &expected, &what), stored, "{what}");
                    }
                }
            }
        }
        assert!(most > PAGES / 2, "an interrupted save has what was written: {most}");
    }
}

#[test]
fn cancelled_with_threads() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    for threads in [1, 4] {
        let plan = KdumpPlan::new(&source, options(Some(Codec::Zlib), threads)).unwrap();
        let mut file = Vec::new();
        let mut left = 2;
        let stopped = plan.copy(&mut file, &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped.unwrap_err().error, Error::Cancelled);
        let good = truly_unfinished(file, &pages(&source), "cancelled");
        // One thread takes smaller ones.
        let batch = if threads == 1 { 8 } else { 64 };
        assert_eq!(good, 2 * batch, "the batches that were written are there");
    }
}

/// Many small batches for each thread.
fn long() -> Dump<'static> {
    Dump::open(sample(Wire::LE64).with(Segment::load(0x1000_0000, &vec![7; 16 << 20])).build()).unwrap()
}

/// What `work` makes, which must not take minutes: a thread that waits for ever ends the test.
#[track_caller]
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(core::time::Duration::from_secs(60)).unwrap()
}

/// Panics at a write.
struct Panics(usize);

impl WriteAt for Panics {
    fn write_all_at(&mut self, _: u64, _: &[u8]) -> Result<(), Error> {
        assert_ne!(self.0, 0, "of the sink");
        self.0 -= 1;
        Ok(())
    }
    fn is_sparse(&self) -> bool {
        true
    }
    fn finish(&mut self, _: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// Knows which threads have read it.
struct Watched {
    bytes: Vec<u8>,
    readers: Mutex<HashSet<ThreadId>>,
}

impl ReadAt for Watched {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.bytes.len() as u64)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.readers.lock().unwrap().insert(std::thread::current().id());
        self.bytes.as_slice().read_at(offset, buf)
    }
}

#[test]
fn no_thread_reads_but_those_that_were_asked_for() {
    let (bytes, _) = saved(&long(), options(Some(Codec::Lzo), 1));
    let source = Watched { bytes, readers: Mutex::default() };
    let dump = Dump::open(&source).unwrap().read_options(ReadOptions::default().threads(8));
    for threads in [1, 2] {
        source.readers.lock().unwrap().clear();
        saved(&dump, options(None, threads));
        let readers = source.readers.lock().unwrap().len();
        assert!((1..=usize::from(threads)).contains(&readers), "{readers} instead of {threads}");
    }
}

#[test]
fn a_panic_of_the_caller_ends_all_threads() {
    for threads in [2, 3] {
        let ended = in_time(move || {
            let source = long();
            let plan = KdumpPlan::new(&source, options(Some(Codec::Lzo), threads)).unwrap();
            let copy = || plan.copy(&mut Vec::new(), &mut |_| panic!("of the progress"));
            std::panic::catch_unwind(core::panic::AssertUnwindSafe(copy)).is_err()
        });
        assert!(ended, "the panic is passed on");
        for writes in [8, 10, 20] {
            let ended = in_time(move || {
                let source = long();
                let plan = KdumpPlan::new(&source, options(None, threads)).unwrap();
                let copy = || plan.copy(&mut Panics(writes), &mut go_on);
                std::panic::catch_unwind(core::panic::AssertUnwindSafe(copy)).is_err()
            });
            assert!(ended, "write {writes}: the panic is passed on");
        }
    }
}

#[test]
fn stopped_anywhere_with_threads_it_says_so() {
    let file = sample(Wire::LE64).build();
    let expected = pages(&Dump::open(file.clone()).unwrap());
    for threads in [2, 4] {
        for left in 0.. {
            let file = file.clone();
            let (written, ended) = in_time(move || {
                let source = Dump::open(file).unwrap();
                let plan = KdumpPlan::new(&source, options(Some(Codec::Lzo), threads)).unwrap();
                let mut sink = Stops { file: vec![], sparse: true, left };
                let ended = plan.copy(&mut sink, &mut go_on).map_err(|stopped| stopped.error);
                (sink.file, ended.map(drop))
            });
            if ended.is_ok() {
                assert!(left > 10 && Dump::open(written).unwrap().completeness().is_complete());
                break;
            }
            assert!(matches!(ended, Err(Error::Io { .. })), "{ended:?}");
            truly_unfinished(written, &expected, &format!("stopped at write {left} of {threads} threads"));
        }
    }
}

fn stream(source: &Dump<'_>, options: KdumpOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = Flatten::new(|bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    });
    KdumpPlan::new(source, options).unwrap().copy(&mut sink, &mut go_on).unwrap();
    out
}

#[test]
fn a_stream_gives_every_byte_once_and_tells_its_end() {
    let bytes = sample(Wire::LE64).build();
    let at = offset_of(&bytes, AT);
    let failing = Failing { bytes: bytes.clone(), bad: vec![at + 5 * PAGE as u64] };
    for source in [Dump::open(bytes).unwrap(), Dump::open(failing).unwrap()] {
        let flat = stream(&source, options(Some(Codec::Lzo), 2));
        let mut places: Vec<(u64, u64)> = Vec::new();
        let mut rest = &flat[4096..];
        loop {
            let (head, tail) = rest.split_at(16);
            rest = tail;
            let number = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().unwrap());
            if number(0) == u64::MAX {
                assert!(rest.is_empty() && number(8) == u64::MAX);
                break;
            }
            places.push((number(0), number(0) + number(8)));
            rest = &rest[number(8) as usize..];
        }
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0), "crash takes either of two records");
        let copy = Dump::open(flat.clone()).unwrap();
        same(&copy, &source);
        assert_eq!(copy.completeness().is_complete(), copy.completeness().unreadable == 0);
        let expected = pages(&source);
        let mut most = 0;
        for cut in (0..flat.len()).step_by(9973) {
            most = truly_unfinished(flat[..cut].to_vec(), &expected, &format!("cut at {cut}"));
        }
        assert!(most > PAGES / 4, "what arrived can be used: {most}");
    }
}

#[test]
fn a_torn_stream_gets_nothing_behind_the_tear() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    for threads in [1, 3] {
        let whole = stream(&source, options(Some(Codec::Lzo), threads));
        for tear in 0.. {
            let (mut out, mut given) = (Vec::new(), 0);
            let mut sink = Flatten::new(|bytes: &[u8]| {
                given += 1;
                if given == tear + 1 {
                    out.extend_from_slice(&bytes[..bytes.len() / 2]);
                    return Err(Error::Io { offset: 0, cause: IoError::from_errno(5) });
                }
                out.extend_from_slice(bytes);
                Ok(())
            });
            let plan = KdumpPlan::new(&source, options(Some(Codec::Lzo), threads)).unwrap();
            let copied = plan.copy(&mut sink, &mut go_on);
            assert!(
                whole.starts_with(&out),
                "what follows the half of piece {tear} is taken for the other half"
            );
            if copied.is_ok() {
                assert!(tear > 10 && out == whole);
                break;
            }
            assert_eq!(given, tear + 1, "torn at piece {tear}");
        }
    }
}

/// A stream may leave out 1 GiB: bitmaps of 544 MiB, which are empty but for a bit, are more.
#[test]
fn a_stream_with_large_bitmaps_opens() {
    let far = 544 << 35;
    let bytes = CoreFile::x86_64().with(Segment::load(far, &[7; PAGE])).build();
    let source = Dump::open(bytes).unwrap();
    let flat = stream(&source, options(None, 1));
    assert!((64 << 20..66 << 20).contains(&flat.len()), "{} bytes: no more than needed", flat.len());
    let copy = Dump::open(flat).unwrap();
    assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
    same(&copy, &source);
    // A machine has less, and nothing is added for it.
    let bytes = CoreFile::x86_64().with(Segment::load(1 << 43, &[7; PAGE])).build();
    let source = Dump::open(bytes).unwrap();
    let flat = stream(&source, options(None, 1));
    assert!(flat.len() < 1 << 20, "{} bytes", flat.len());
    same(&Dump::open(flat).unwrap(), &source);
}

#[test]
fn what_the_format_cannot_have_is_refused() {
    let no_size = CoreFile::new(Wire::LE64, 183).with(Segment::load(AT, &[1; PAGE])).build();
    let error = KdumpPlan::new(&Dump::open(no_size).unwrap(), options(None, 1)).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    // s390x, whose addresses are not judged.
    let far =
        CoreFile::new(Wire { wide: true, big: true }, 22).with(Segment::load(1 << 60, &[1; PAGE])).build();
    let error = KdumpPlan::new(&Dump::open(far).unwrap(), options(None, 1)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { what: "number of pages", .. }), "{error}");
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let level = options(Some(Codec::Zlib), 1).level(Some(99));
    assert!(KdumpPlan::new(&source, level).is_err());
}

/// Sizes that were only planned are no report of what was done.
#[test]
fn a_save_that_ends_early_reports_what_it_did() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    for format in ["elf", "raw", "kdump"] {
        let (mut done, mut file) = (0, Vec::new());
        let mut stop = |state: Progress| {
            done = state.done;
            if done >= 1 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let outcome = match format {
            "elf" => SavePlan::elf(&source).unwrap().copy(&mut file, &mut stop),
            "raw" => RawPlan::new(&source).unwrap().copy(&mut file, &mut stop),
            _ => KdumpPlan::new(&source, options(None, 1)).unwrap().copy(&mut file, &mut stop),
        };
        let stopped = outcome.unwrap_err();
        let report = &stopped.report;
        assert_eq!((report.memory, report.file_size), (done, stopped.good), "{format}");
        assert!(
            report.memory < (PAGES * PAGE) as u64 && stopped.good < stopped.size,
            "{format}: {stopped:?}"
        );
        // Nor is that of one which never began.
        let mut full = Full;
        let early =
            KdumpPlan::new(&source, options(None, 1)).unwrap().copy(&mut full, &mut go_on).unwrap_err();
        assert_eq!((early.report.memory, early.report.file_size, early.report.written), (0, 0, 0));
    }
}

/// A disk without room.
struct Full;

impl WriteAt for Full {
    fn write_all_at(&mut self, offset: u64, _: &[u8]) -> Result<(), Error> {
        Err(Error::Io { offset, cause: IoError::from_errno(28) })
    }
    fn is_sparse(&self) -> bool {
        true
    }
    fn finish(&mut self, _: u64) -> Result<(), Error> {
        Ok(())
    }
}
