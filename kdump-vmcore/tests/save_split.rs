//! A set of files that a dump is saved as is that dump, whatever became of one of them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod saving;

use core::ops::ControlFlow;
use std::path::PathBuf;

use dumpgen::{CoreFile, Segment, Wire};
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Dump, Error, Interrupted, IoError, KdumpOptions, KdumpPlan, ReadAt, SaveReport, SpanKind, WriteAt,
    save_split,
};
use saving::*;

type Outcome = Result<SaveReport, Interrupted>;

fn split(source: &Dump<'_>, options: KdumpOptions, count: usize) -> (Vec<Vec<u8>>, Vec<Outcome>) {
    let mut files = vec![Vec::new(); count];
    let outcomes = KdumpPlan::new(source, options).unwrap().copy_split(&mut files, &mut go_on).unwrap();
    (files, outcomes)
}

fn opened(files: &[Vec<u8>]) -> Dump<'static> {
    let parts = files.iter().rev().map(|file| Box::new(file.clone()) as Box<dyn ReadAt>);
    Dump::open_parts(parts.collect()).unwrap()
}

#[test]
fn the_parts_are_the_dump() {
    for wire in Wire::ALL {
        let source = Dump::open(sample(wire).build()).unwrap();
        for codec in [None, Some(Codec::Lzo), Some(Codec::Zlib)] {
            for count in [1, 2, 3, 7] {
                let (files, outcomes) = split(&source, options(codec, 1), count);
                let reports: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
                assert!(reports.iter().all(SaveReport::is_whole));
                for (file, report) in files.iter().zip(&reports) {
                    assert_eq!(file.len() as u64, report.file_size);
                    let share = (PAGES + 3) * PAGE / count;
                    assert!(report.memory.abs_diff(share as u64) <= PAGE as u64, "{report:?}");
                }
                let copy = opened(&files);
                assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
                same(&copy, &source);
                assert_eq!(copy.notes().iter().count(), source.notes().iter().count());
                // The same for any number of threads, which only look at records.
                assert!(split(&source, options(codec, 5), count).0 == files);
                if count > 1 {
                    let rest = opened(&files[1..]);
                    assert!(
                        rest.completeness().missing >= reports[0].memory / 2,
                        "{:?}",
                        rest.completeness()
                    );
                    let told = &rest.completeness().defects;
                    assert!(
                        told.iter().any(|defect| matches!(defect, Error::PartNotGiven { .. })),
                        "{told:?}"
                    );
                }
                // A whole file of the parts.
                let mut whole = Vec::new();
                KdumpPlan::new(&copy, options(codec, 1)).unwrap().copy(&mut whole, &mut go_on).unwrap();
                let mut direct = Vec::new();
                KdumpPlan::new(&source, options(codec, 1)).unwrap().copy(&mut direct, &mut go_on).unwrap();
                same(&Dump::open(whole).unwrap(), &Dump::open(direct).unwrap());
            }
        }
    }
}

#[test]
fn more_parts_than_pages_and_than_there_may_be() {
    let core = CoreFile::new(Wire::LE64, 62).with(Segment::load(0x1000, &[3; 2 * PAGE]));
    let source = Dump::open(core.build()).unwrap();
    let (files, _) = split(&source, options(None, 1), 5);
    same(&opened(&files), &source);
    let plan = KdumpPlan::new(&source, options(None, 1)).unwrap();
    assert_eq!(plan.split(2).unwrap(), [0..2, 2..3]);
    assert!(matches!(plan.split(257), Err(Error::TooLarge { value: 257, limit: 256, .. })));
}

#[test]
fn all_parts_remember_what_one_could_not_read() {
    let bytes = sample(Wire::LE64).build();
    let at = offset_of(&bytes, AT);
    let bad: Vec<u64> = [1, 5, 6, 300, 699].map(|page| at + page * PAGE as u64).into();
    let source = Dump::open(Failing { bytes, bad }).unwrap();
    let (files, outcomes) = split(&source, options(Some(Codec::Lzo), 1), 3);
    let lost: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().unreadable.bytes).collect();
    assert_eq!(lost, [3, 1, 1].map(|pages| pages * PAGE as u64));
    let copy = opened(&files);
    assert!(!copy.completeness().is_complete());
    assert_eq!(copy.completeness().unreadable, 5 * PAGE as u64);
    same(&copy, &source);
    for file in &files {
        let alone = opened(core::slice::from_ref(file));
        let unreadable = alone.spans().filter(|span| span.kind == SpanKind::Unreadable).count();
        assert_eq!(unreadable, 4, "each says what none of them has");
    }
}

/// A file that takes so many writes.
struct Stops {
    file: Vec<u8>,
    left: usize,
}

impl WriteAt for Stops {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or(Error::Io { offset, cause: IoError::from_errno(28) })?;
        self.file.write_all_at(offset, bytes)
    }
    fn is_sparse(&self) -> bool {
        true
    }
    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.file.finish(size)
    }
}

#[test]
fn a_part_that_fails_costs_the_others_nothing() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let expected = pages(&source);
    let plan = KdumpPlan::new(&source, options(None, 1)).unwrap();
    let shares = plan.split(3).unwrap();
    for stops in 0..3 {
        let mut opens = 0;
        for left in 0.. {
            let mut sinks: Vec<Stops> = (0..3).map(|_| Stops { file: vec![], left: usize::MAX }).collect();
            sinks[stops].left = left;
            let outcomes = plan.copy_split(&mut sinks, &mut go_on).unwrap();
            let failed: Vec<usize> = (0..3).filter(|&index| outcomes[index].is_err()).collect();
            if failed.is_empty() {
                break;
            }
            assert_eq!(failed, [stops], "write {left}");
            let good = outcomes[stops].as_ref().unwrap_err().good;
            if good == 0 {
                continue;
            }
            sinks[stops].file.truncate(good as usize);
            let files: Vec<Vec<u8>> = sinks.into_iter().map(|sink| sink.file).collect();
            let copy = opened(&files);
            opens += 1;
            assert!(!copy.completeness().is_complete(), "part {stops}, write {left}");
            for (paddr, page) in pages(&copy) {
                let own = shares[stops].contains(&(paddr / PAGE as u64));
                match page {
                    Ok(bytes) => assert!(expected[&paddr].as_ref() == Ok(&bytes), "{paddr:#x}"),
                    Err(reason) => {
                        let known = expected[&paddr] == Err(reason);
                        assert!(known || own && reason == "missing", "{stops} {left}: {paddr:#x} {reason}");
                    }
                }
            }
        }
        assert!(opens > 3, "part {stops}: {opens}");
    }
}

#[test]
fn who_is_told_may_end_it() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let plan = KdumpPlan::new(&source, options(Some(Codec::Zlib), 1)).unwrap();
    let mut files = vec![Slow(vec![]), Slow(vec![])];
    let outcomes = plan.copy_split(&mut files, &mut |_| ControlFlow::Break(())).unwrap();
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().error, Error::Cancelled);
    }
}

/// A file that takes its time.
#[derive(Clone)]
struct Slow(Vec<u8>);

impl WriteAt for Slow {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        std::thread::sleep(core::time::Duration::from_millis(60));
        self.0.write_all_at(offset, bytes)
    }
    fn is_sparse(&self) -> bool {
        true
    }
    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.0.finish(size)
    }
}

#[test]
fn files_get_their_names_when_they_are_whole() {
    let directory = std::env::temp_dir().join(format!("kdump-split-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let names: Vec<PathBuf> = (1..=3).map(|index| directory.join(format!("dst-{index}"))).collect();
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let report = save_split(&source, &names, options(Some(Codec::Lzo), 1), &mut go_on).unwrap();
    let files: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(name).unwrap()).collect();
    assert_eq!(report.file_size, files.iter().map(|file| file.len() as u64).sum::<u64>());
    assert_eq!(report.memory, ((PAGES + 3) * PAGE) as u64);
    same(&opened(&files), &source);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 3);

    let (mut refused, new) = (Vec::new(), directory.join("new"));
    for names in [&[new.clone(), new][..], &[]] {
        let failure = save_split(&source, names, options(None, 1), &mut go_on).unwrap_err();
        assert_eq!((failure.destination, failure.failure.kept), (None, None));
        refused.push(failure.failure.error);
    }
    let reasons = ["two parts of one dump would be the same file", "a set of parts has one file at least"];
    assert_eq!(refused, reasons.map(|reason| Error::Refused { reason }));
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 3);
    // A part of the source is never written over.
    let parts =
        names.iter().map(|name| Box::new(kdump_vmcore::open_dump_file(name).unwrap()) as Box<dyn ReadAt>);
    let set = Dump::open_parts(parts.collect()).unwrap();
    let failure = save_split(&set, &names[2..], options(None, 1), &mut go_on).unwrap_err();
    assert!(matches!(failure.failure.error, Error::Refused { .. }), "{failure}");
    assert_eq!(failure.destination.as_ref(), Some(&names[2]));
    // What fails keeps its part; what does not is in its place.
    std::fs::remove_file(&names[1]).unwrap();
    std::fs::create_dir(&names[1]).unwrap();
    let failure = save_split(&source, &names, options(None, 1), &mut go_on).unwrap_err();
    assert_eq!((failure.destination.as_ref(), failure.failure.kept), (Some(&names[1]), None));
    std::fs::remove_dir_all(&directory).unwrap();
}
