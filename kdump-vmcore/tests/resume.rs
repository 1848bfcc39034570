//! A save that goes on gives the file that one without a break gives, and trusts nothing it has not compared.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod machine;
mod place;

use core::ops::ControlFlow;
use std::fs;

use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, Draft, Dump, ElfOptions, Error, KdumpOptions, KdumpPlan, Progress, ReadAt, SaveFailure,
    SaveFormat, SaveOptions, SaveOrder, SavePlan, SaveReport, WriteAt, save,
};
use machine::*;
use place::Place;

impl Place {
    /// Saves, and stops once so many bytes of memory are done.
    fn save(&self, source: &Dump<'_>, options: SaveOptions, stop: u64) -> Result<SaveReport, SaveFailure> {
        save(source, &self.at("copy"), options, &mut |state: Progress| {
            if state.done >= stop && state.done < state.total {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    fn left(&self) -> Vec<u8> {
        fs::read(self.at("copy.incomplete")).unwrap()
    }
}

/// Memory with zeros in between, that some pages cannot be read of.
struct Patchy(Vec<u8>);

impl ReadAt for Patchy {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let bad = |page: u64| page % 1000 == 700;
        let page = offset / PAGE as u64;
        if bad(page) {
            return Err(Error::Io { offset, cause: kdump_vmcore::IoError::from_errno(5) });
        }
        // As the kernel does: first what is good.
        let next = (page..).find(|page| bad(*page)).unwrap() * PAGE as u64 - offset;
        let len = buf.len().min(next as usize);
        self.0.read_at(offset, &mut buf[..len])
    }
}

fn bytes() -> Vec<u8> {
    let mut memory = machine(usual);
    memory[0x180_0000..0x190_0000].fill(0);
    memory[0x120_1000..0x120_3000].fill(0);
    dump(&memory, &info(), PAGES as usize * 64)
}

fn formats() -> Vec<SaveFormat> {
    let kdump = KdumpOptions::default();
    let zlib = kdump.codec(Some(Codec::Zlib)).level(Some(1));
    vec![
        SaveFormat::default(),
        SaveFormat::Kdump(kdump),
        SaveFormat::Kdump(zlib.threads(2)),
        SaveFormat::Kdump(zlib.exclude(Classes::from_level(8)).order(SaveOrder::KernelFirst).threads(3)),
    ]
}

fn of(format: SaveFormat) -> SaveOptions {
    SaveOptions::default().format(format)
}

#[test]
fn the_file_is_that_of_a_save_without_a_break() {
    let whole = Dump::open(bytes()).unwrap();
    let patchy = Dump::open(Patchy(bytes())).unwrap();
    for (index, source) in [whole, patchy].iter().enumerate() {
        for format in formats() {
            let place = Place::new("resume-same");
            let undisturbed = place.save(source, of(format), u64::MAX).unwrap();
            assert_eq!((undisturbed.resumed, undisturbed.is_whole()), (0, index == 0));
            let expected = fs::read(place.at("copy")).unwrap();
            fs::remove_file(place.at("copy")).unwrap();
            for stops in [[0, 1 << 20], [9 << 20, 9 << 20], [5 << 20, 17 << 20], [22 << 20, 4 << 20]] {
                let mut told = 0;
                for (index, stop) in stops.into_iter().enumerate() {
                    let stopped = place.save(source, of(format).resume(true), stop).unwrap_err();
                    assert_eq!(stopped.error, Error::Cancelled, "{format:?}");
                    // However far it comes, it is no less than before.
                    assert!(stopped.good >= told, "{format:?} {stops:?}: {stopped}");
                    assert_eq!(stopped.report.resumed > 0, index > 0, "{format:?} {stops:?}");
                    told = stopped.good;
                    let left = Dump::open(place.left()).unwrap();
                    assert!(left.completeness().is_unfinished());
                }
                let report = place.save(source, of(format).resume(true), u64::MAX).unwrap();
                assert!(report.resumed > 0 && !report.removed_leftover, "{format:?}");
                assert!(report.resumed + report.written <= expected.len() as u64 + (2 << 20));
                assert!(fs::read(place.at("copy")).unwrap() == expected, "{format:?} {stops:?}");
                assert_eq!(report.unreadable.bytes, undisturbed.unreadable.bytes);
                assert!(!place.at("copy.incomplete").exists());
                fs::remove_file(place.at("copy")).unwrap();
            }
        }
    }
}

/// What is behind the place that the file vouches for is none of it, and what is in front of it is compared.
#[test]
fn nothing_is_taken_on_trust() {
    let source = Dump::open(bytes()).unwrap();
    for format in formats() {
        let place = Place::new("resume-trust");
        place.save(&source, of(format), u64::MAX).unwrap();
        let expected = fs::read(place.at("copy")).unwrap();
        let stopped = place.save(&source, of(format), 12 << 20).unwrap_err();
        let (good, left) = (stopped.good as usize, place.left());
        assert_eq!(good, left.len());
        let behind = [left.clone(), vec![0xee; 3 << 20]].concat();
        fs::write(place.at("copy.incomplete"), behind).unwrap();
        place.save(&source, of(format).resume(true), u64::MAX).unwrap();
        assert!(fs::read(place.at("copy")).unwrap() == expected, "{format:?}");
        let page = |at: usize, fill: u8| {
            let mut bytes = left.clone();
            bytes[at..at + 512].fill(fill);
            bytes
        };
        let last = good - 700;
        let mut bad =
            vec![page(last, 0), page(last, 0xee), page(good - 30_000, 0), page(good - 30_000, 0xee)];
        if let SaveFormat::Kdump(options) = format {
            let table = KdumpPlan::new(&source, options).unwrap().size() as usize - 24 * 6000;
            bad.push(page(table, 0xee));
            // A descriptor that is not there is one that was not written yet.
            fs::write(place.at("copy.incomplete"), page(table, 0)).unwrap();
            place.save(&source, of(format).resume(true), u64::MAX).unwrap();
            assert!(fs::read(place.at("copy")).unwrap() == expected, "{format:?}");
        }
        for bad in bad.into_iter().filter(|bad| *bad != left) {
            fs::write(place.at("copy.incomplete"), &bad).unwrap();
            let failure = place.save(&source, of(format).resume(true), u64::MAX).unwrap_err();
            let Error::Differs { offset } = failure.error else { panic!("{failure}") };
            let first = bad.iter().zip(&left).position(|(bad, left)| bad != left).unwrap();
            assert_eq!(offset, first as u64, "{format:?}: {failure}");
            assert!(place.left() == bad, "{format:?}: what is there stays as it is");
            assert!(failure.kept.is_none() && failure.good == 0, "nothing of this dump is saved: {failure}");
            assert!(failure.to_string().contains("differs at offset"), "{failure}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_stays() {
    let source = Dump::open(bytes()).unwrap();
    let other = String::from_utf8_lossy(b"OSRELEASE=6.1").into_owned();
    let other = info().replace(&other, "OSRELEASE=6.2");
    let other = Dump::open(dump(&machine(usual), &other, PAGES as usize * 64)).unwrap();
    let kdump = KdumpOptions::default();
    let zlib = kdump.codec(Some(Codec::Zlib));
    let elf = SaveFormat::default();
    let free = Classes::from_level(16);
    let [kdump_format, zlib_format] = [kdump, zlib].map(SaveFormat::Kdump);
    let rows: [(SaveFormat, &Dump<'_>, SaveFormat, &str); 9] = [
        (elf, &source, kdump_format, "another format"),
        (kdump_format, &source, elf, "another format"),
        (kdump_format, &source, zlib_format, "compressed otherwise"),
        (elf, &other, elf, "other notes"),
        (kdump_format, &other, kdump_format, "of another machine or crash"),
        (elf, &source, SaveFormat::Elf(ElfOptions::default().exclude(free)), "of another"),
        (kdump_format, &source, SaveFormat::Kdump(kdump.exclude(free)), "other pages are left out"),
        (kdump_format, &source, SaveFormat::Kdump(kdump.order(SaveOrder::KernelFirst)), "differs at offset"),
        (zlib_format, &source, SaveFormat::Kdump(zlib.level(Some(9))), "differs at offset"),
    ];
    for (begun, source_then, then, part) in rows {
        let place = Place::new("resume-refused");
        place.save(&source, of(begun), 20 << 20).unwrap_err();
        let left = place.left();
        let failure = place.save(source_then, of(then).resume(true), u64::MAX).unwrap_err();
        assert!(failure.to_string().contains(part), "{part}: {failure}");
        assert!(place.left() == left && !place.at("copy").exists(), "{part}");
    }
    // Nothing in these tells how far they are.
    let flattened = [SaveFormat::Flattened(kdump), SaveFormat::FlattenedElf(ElfOptions::default())];
    for format in [SaveFormat::Raw].into_iter().chain(flattened) {
        let place = Place::new("resume-refused");
        fs::write(place.at("copy.incomplete"), b"something").unwrap();
        let failure = place.save(&source, of(format).resume(true), u64::MAX).unwrap_err();
        assert!(matches!(failure.error, Error::Unsupported { .. }), "{failure}");
        assert_eq!(place.left(), b"something");
    }
    // What is no dump is not removed for being in the way.
    let place = Place::new("resume-refused");
    fs::write(place.at("copy.incomplete"), b"something").unwrap();
    let failure = place.save(&source, of(elf).resume(true), u64::MAX).unwrap_err();
    assert!(matches!(failure.error, Error::Refused { .. }), "{failure}");
    assert_eq!(place.left(), b"something");
    fs::remove_file(place.at("copy.incomplete")).unwrap();
    let _draft = Draft::create(&place.at("copy"), &[]).unwrap();
    let failure = place.save(&source, of(elf).resume(true), u64::MAX).unwrap_err();
    assert!(failure.to_string().contains("another process"), "{failure}");
}

#[test]
fn where_there_is_nothing_it_begins() {
    let source = Dump::open(bytes()).unwrap();
    for format in formats() {
        let place = Place::new("resume-nothing");
        assert_eq!(place.save(&source, of(format).resume(true), u64::MAX).unwrap().resumed, 0);
        let expected = fs::read(place.at("copy")).unwrap();
        let damaged = {
            place.save(&source, of(format), 0).unwrap_err();
            let mut stub = place.left();
            stub.truncate(512);
            stub[48..].fill(0xee);
            stub
        };
        // As a process leaves it that was killed before it wrote.
        for left in [vec![], vec![0; 4096]] {
            fs::write(place.at("copy.incomplete"), left).unwrap();
            let report = place.save(&source, of(format).resume(true), u64::MAX).unwrap();
            assert_eq!(report.resumed, 0, "{format:?}");
            assert!(fs::read(place.at("copy")).unwrap() == expected, "{format:?}");
        }
        fs::write(place.at("copy.incomplete"), &damaged).unwrap();
        assert!(
            place.save(&source, of(format).resume(true), u64::MAX).is_err(),
            "a damaged header says nothing"
        );
    }
}

/// A file in memory that can become full.
#[derive(Clone)]
struct Full {
    bytes: Vec<u8>,
    writes: usize,
    /// After so many writes there is no room.
    room: usize,
}

impl WriteAt for Full {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.writes == self.room {
            return Err(Error::Cancelled);
        }
        self.writes += 1;
        self.bytes.write_all_at(offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        if self.writes == self.room {
            return Err(Error::Cancelled);
        }
        self.bytes.finish(size)
    }
}

/// What a process leaves that is killed behind all memory, and before the file has its name.
#[test]
fn what_lacks_its_name_alone_gets_it() {
    let whole = Dump::open(bytes()).unwrap();
    let patchy = Dump::open(Patchy(bytes())).unwrap();
    let copy = |source: &Dump<'_>, format, sink: &mut Full| {
        let go_on = &mut |_| ControlFlow::Continue(());
        match format {
            SaveFormat::Kdump(options) => KdumpPlan::new(source, options).unwrap().copy(sink, go_on).is_ok(),
            _ => SavePlan::elf(source).unwrap().copy(sink, go_on).is_ok(),
        }
    };
    for source in [&whole, &patchy] {
        for format in formats() {
            let place = Place::new("named");
            let mut sink = Full { bytes: vec![], writes: 0, room: usize::MAX };
            assert!(copy(source, format, &mut sink));
            let (expected, writes) = (sink.bytes, sink.writes);
            // The last writes: the note, the header, its first block; and all of them.
            for room in writes - 3..=writes {
                let mut sink = Full { bytes: vec![], writes: 0, room };
                assert!(!copy(source, format, &mut sink));
                fs::write(place.at("copy.incomplete"), &sink.bytes).unwrap();
                let report = place.save(source, of(format).resume(true), u64::MAX).unwrap();
                let there = report.resumed as usize;
                assert!(there > expected.len() / 2 || room < writes, "{format:?} {room}: {there}");
                assert!(fs::read(place.at("copy")).unwrap() == expected, "{format:?} {room}");
                assert!(!place.at("copy.incomplete").exists(), "{format:?} {room}");
                fs::remove_file(place.at("copy")).unwrap();
            }
            // It was compared: a byte that differs ends it, and stays.
            fs::write(place.at("copy.incomplete"), &expected).unwrap();
            assert!(place.save(source, of(format).resume(true), u64::MAX).unwrap().resumed > 0);
            let mut other = expected.clone();
            let last = other.iter().rposition(|byte| *byte != 0).unwrap();
            other[last] ^= 1;
            fs::write(place.at("copy.incomplete"), &other).unwrap();
            let failure = place.save(source, of(format).resume(true), u64::MAX).unwrap_err();
            assert_eq!(failure.error, Error::Differs { offset: last as u64 }, "{format:?}");
            assert!(place.left() == other, "{format:?}");
            // So does one that nobody waits for.
            fs::write(place.at("copy.incomplete"), &expected).unwrap();
            let stopped = place.save(source, of(format).resume(true), 9 << 20).unwrap_err();
            assert_eq!((stopped.error, stopped.good), (Error::Cancelled, expected.len() as u64));
            assert!(place.left() == expected, "{format:?}");
        }
    }
    // Finished, and of another machine.
    let other =
        Dump::open(dump(&machine(usual), &info().replace("=6.1", "=6.2"), PAGES as usize * 64)).unwrap();
    for format in formats() {
        let place = Place::new("named");
        place.save(&other, of(format), u64::MAX).unwrap();
        fs::rename(place.at("copy"), place.at("copy.incomplete")).unwrap();
        let left = place.left();
        let failure = place.save(&whole, of(format).resume(true), u64::MAX).unwrap_err();
        assert!(matches!(failure.error, Error::Refused { .. }), "{failure}");
        assert!(place.left() == left && !place.at("copy").exists(), "{format:?}");
    }
}
