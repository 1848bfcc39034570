//! What is reported of a save that ends early is what is in the file that it leaves, whatever ended it and
//! wherever.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod saving;

use core::ops::ControlFlow;

use dumpgen::Wire;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Dump, Error, Flatten, Interrupted, IoError, KdumpPlan, Progress, RawPlan, SavePlan, SaveReport,
    StoredPages, WriteAt,
};
use saving::*;

/// A file on a disk that ends at `limit`, and of which the sync after `syncs` others fails: what was
/// written since the one before is lost.
struct Disk {
    file: Vec<u8>,
    synced: Vec<u8>,
    limit: u64,
    syncs: u32,
}

impl Disk {
    fn new(limit: u64, syncs: u32) -> Self {
        Self { file: Vec::new(), synced: Vec::new(), limit, syncs }
    }
}

impl WriteAt for Disk {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = offset + bytes.len() as u64;
        if end > self.limit {
            return Err(Error::Io { offset, cause: IoError::from_errno(28) });
        }
        self.file.resize(self.file.len().max(end as usize), 0);
        self.file[offset as usize..end as usize].copy_from_slice(bytes);
        Ok(())
    }
    fn is_sparse(&self) -> bool {
        true
    }
    fn sync(&mut self) -> Result<(), Error> {
        if self.syncs == 0 {
            return Err(Error::Io { offset: 0, cause: IoError::from_errno(5) });
        }
        self.syncs -= 1;
        self.synced.clone_from(&self.file);
        Ok(())
    }
    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.file.resize(size as usize, 0);
        Ok(())
    }
}

/// Bytes of memory that can be read of a file, and pages of it.
fn readable(file: &[u8]) -> (u64, u64) {
    let dump = Dump::open(file).unwrap();
    let spans: Vec<_> = dump.spans().filter(|span| span.kind.is_readable()).collect();
    (
        spans.iter().map(|span| span.range.size()).sum(),
        pages(&dump).values().filter(|page| page.is_ok()).count() as u64,
    )
}

fn sum(stored: StoredPages) -> u64 {
    stored.zero + stored.plain + stored.compressed
}

type Copied = Result<SaveReport, Interrupted>;

fn copy(source: &Dump<'_>, format: &str, sink: &mut dyn WriteAt) -> Copied {
    match format {
        "elf" => SavePlan::elf(source).unwrap().copy(sink, &mut go_on),
        "none" => KdumpPlan::new(source, options(None, 1)).unwrap().copy(sink, &mut go_on),
        "lzo" => KdumpPlan::new(source, options(Some(Codec::Lzo), 1)).unwrap().copy(sink, &mut go_on),
        _ => KdumpPlan::new(source, options(Some(Codec::Lzo), 3)).unwrap().copy(sink, &mut go_on),
    }
}

const FORMATS: [&str; 4] = ["elf", "none", "lzo", "lzo by three"];

/// What the report of `stopped` says is what `file` has.
#[track_caller]
fn agrees(stopped: &Interrupted, file: &[u8], what: &str) -> u64 {
    let report = &stopped.report;
    let (bytes, pages) = readable(file);
    assert_eq!((report.memory, report.file_size), (bytes, stopped.good), "{what}");
    if !what.starts_with("elf") {
        assert_eq!((sum(report.stored), report.memory), (pages, pages * PAGE as u64), "{what}: {report:?}");
    }
    bytes
}

#[test]
fn a_full_disk() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    for format in FORMATS {
        let mut whole = Disk::new(u64::MAX, u32::MAX);
        let size = copy(&source, format, &mut whole).unwrap().file_size;
        let mut found = std::collections::BTreeSet::new();
        // Inside pages, at their ends and at those of batches.
        for limit in (1..100).map(|part| 0x6000 + (size - 0x6001) * part / 100).chain([size - 1]) {
            let mut disk = Disk::new(limit, u32::MAX);
            let stopped = copy(&source, format, &mut disk).unwrap_err();
            let what = format!("{format}, full at {limit} of {size}");
            if stopped.good == 0 {
                assert_eq!((stopped.report.memory, sum(stopped.report.stored)), (0, 0), "{what}");
                continue;
            }
            disk.file.resize(stopped.good as usize, 0);
            found.insert(agrees(&stopped, &disk.file, &what));
        }
        assert!(found.len() > 3, "{format}: {found:?}");
    }
}

/// What may not be on the disk is not reported as saved.
#[test]
fn a_sync_that_fails() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    for format in FORMATS {
        for syncs in 0.. {
            let mut disk = Disk::new(u64::MAX, syncs);
            let Err(stopped) = copy(&source, format, &mut disk) else {
                assert!(syncs > 2, "{format}");
                break;
            };
            let what = format!("{format}, {syncs} syncs");
            if stopped.good == 0 {
                assert_eq!((stopped.report.memory, sum(stopped.report.stored)), (0, 0), "{what}");
                continue;
            }
            disk.synced.resize(stopped.good as usize, 0);
            // Nothing says that it is unfinished when its last blocks are on their way.
            if Dump::open(disk.synced.as_slice()).is_ok_and(|dump| !dump.completeness().is_complete()) {
                agrees(&stopped, &disk.synced, &what);
            }
        }
    }
}

/// Whoever has a stream that was cut has its pages as far as their descriptors arrived.
#[test]
fn a_line_that_breaks() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    for format in FORMATS {
        let run = |limit: usize| {
            let mut bytes = Vec::new();
            let mut stream = Flatten::new(|piece: &[u8]| {
                if bytes.len() + piece.len() > limit {
                    return Err(Error::Io { offset: bytes.len() as u64, cause: IoError::from_errno(32) });
                }
                bytes.extend_from_slice(piece);
                Ok(())
            });
            let copied = copy(&source, format, &mut stream);
            (copied, bytes)
        };
        let size = run(usize::MAX).1.len();
        let mut some = 0;
        for limit in (1..60).map(|part| size * part / 60) {
            let (copied, bytes) = run(limit);
            let stopped = copied.unwrap_err();
            let what = format!("{format}, cut at {limit} of {size}");
            let memory = stopped.report.memory;
            let (spans, pages) = Dump::open(bytes.as_slice()).map_or((0, 0), |_| readable(&bytes));
            if format == "elf" {
                assert_eq!(memory, spans, "{what}");
            } else {
                assert_eq!((memory, sum(stopped.report.stored)), (pages * PAGE as u64, pages), "{what}");
            }
            some += u32::from(stopped.report.memory > 0);
        }
        assert!(some > 5, "{format}");
    }
}

/// Of a raw image, too.
#[test]
fn a_raw_image() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let plan = RawPlan::new(&source).unwrap();
    let mut batches = 0;
    let mut stop = |_: Progress| {
        batches += 1;
        if batches == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = plan.copy(&mut Disk::new(u64::MAX, 9), &mut stop).unwrap_err();
    let below = source.spans().filter(|span| span.kind.is_readable());
    let below = below.map(|span| span.range.end().min(stopped.good).saturating_sub(span.range.start()));
    assert_eq!(stopped.report.memory, below.sum::<u64>());
}
