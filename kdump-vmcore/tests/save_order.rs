//! What is on the medium when the power goes: what was synced, and of the rest any part.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::ops::ControlFlow;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::{
    Dump, Error, Interrupted, IoError, KdumpOptions, KdumpPlan, PhysMemory, Progress, SavePlan, WriteAt,
    verify,
};

const SECTOR: usize = 512;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A disk with a cache that is written back in any order.
struct Cached {
    disk: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
    /// What may be found after a loss of power: before each sync a part of what was pending.
    images: Vec<Vec<u8>>,
    /// Whether `images` are wanted.
    watched: bool,
}

impl Cached {
    fn new(disk: Vec<u8>, watched: bool) -> Self {
        Self { disk, pending: Vec::new(), images: Vec::new(), watched }
    }

    fn with(&self, chosen: impl Fn(usize, usize) -> bool) -> Vec<u8> {
        let mut disk = self.disk.clone();
        for (index, (at, sector)) in self.pending.iter().enumerate() {
            if chosen(index, *at) {
                disk[*at..at + sector.len()].copy_from_slice(sector);
            }
        }
        disk
    }

    fn watch(&mut self) {
        for one in 0..if self.watched { self.pending.len() } else { 0 } {
            self.images.push(self.with(|index, _| index == one));
            self.images.push(self.with(|index, _| index != one));
        }
    }
}

impl WriteAt for Cached {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let sectors = (offset as usize..).step_by(SECTOR).zip(bytes.chunks(SECTOR));
        self.pending.extend(sectors.map(|(at, sector)| (at, sector.to_vec())));
        Ok(())
    }

    fn is_sparse(&self) -> bool {
        false
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.watch();
        for (at, sector) in self.pending.drain(..) {
            self.disk[at..at + sector.len()].copy_from_slice(&sector);
        }
        Ok(())
    }

    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        self.watch();
        self.sync()
    }
}

fn file(memory: &[u8]) -> Vec<u8> {
    CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
        .with(Segment::load(0x10_0000, memory))
        .build()
}

/// Every byte that `copy` gives is one of `source`.
#[track_caller]
fn only_memory_of(source: &Dump<'_>, copy: &Dump<'_>) {
    for span in copy.spans().filter(|span| span.kind.is_readable()) {
        let mut both = [vec![0; span.range.size() as usize], vec![1; span.range.size() as usize]];
        copy.reader().read_phys(Paddr(span.range.start()), &mut both[0]).unwrap();
        source.reader().read_phys(Paddr(span.range.start()), &mut both[1]).unwrap();
        assert!(both[0] == both[1], "{span:?}");
    }
}

#[track_caller]
fn is_unfinished(copy: &Dump<'_>) {
    assert!(copy.completeness().is_unfinished() && !copy.completeness().is_complete());
    assert!(!verify(copy, &mut go_on).unwrap().is_sound());
}

#[test]
fn the_cache_of_a_disk_may_lose_any_write() {
    let whole = file(&[7; 0x6000]);
    // Of a source that lacks memory the note stays, and is the last but one to be written.
    for source in [&whole[..], &whole[..whole.len() - 0x1800]] {
        let source = Dump::open(source).unwrap();
        let plan = SavePlan::elf(&source).unwrap();
        let mut older = Vec::new();
        let larger = file(&[0xee; 0x1_0000]);
        SavePlan::elf(&Dump::open(larger).unwrap()).unwrap().copy(&mut older, &mut go_on).unwrap();
        let noise = vec![0xee; older.len()];
        for old in [older, noise] {
            let mut disk = Cached::new(old.clone(), true);
            plan.copy(&mut disk, &mut go_on).unwrap();
            let finished = disk.disk;
            assert!(disk.images.len() > 100);
            for image in disk.images.into_iter().filter(|image| *image != old && *image != finished) {
                let copy = Dump::open(image).unwrap();
                is_unfinished(&copy);
                only_memory_of(&source, &copy);
            }
            let copy = Dump::open(finished).unwrap();
            assert_eq!(copy.completeness().is_complete(), source.completeness().is_complete());
            only_memory_of(&source, &copy);
        }
    }
}

/// A checkpoint says how much memory is good: it is on the medium first.
#[test]
fn a_checkpoint_comes_behind_the_memory_it_vouches_for() {
    let source = Dump::open(file(&vec![7; 70 << 20])).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut disk = Cached::new(vec![0xee; plan.size() as usize], false);
    let stop = |state: Progress| {
        if state.done > 66 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    plan.copy(&mut disk, &mut { stop }).unwrap_err();
    let head = plan.size() as usize - (70 << 20);
    let copy = Dump::open(disk.with(|_, at| at < head)).unwrap();
    is_unfinished(&copy);
    assert!(copy.spans().any(|span| span.kind.is_readable() && span.range.size() > 64 << 20));
    only_memory_of(&source, &copy);
}

/// A disk that loses what it was given since the last sync, says so at the next one, and then goes on.
struct Loses {
    disk: Vec<u8>,
    kept: Vec<u8>,
    syncs: usize,
    bad: usize,
    behind: usize,
}

impl Loses {
    fn at(bad: usize) -> Self {
        Self { disk: Vec::new(), kept: Vec::new(), syncs: 0, bad, behind: 0 }
    }
}

impl WriteAt for Loses {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.behind += usize::from(self.syncs > self.bad);
        self.disk.write_all_at(offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.syncs += 1;
        if self.syncs == self.bad + 1 {
            self.disk = self.kept.clone();
            return Err(Error::File { action: "sync the file", cause: IoError::from_errno(5) });
        }
        self.kept = self.disk.clone();
        Ok(())
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.disk.finish(size)
    }
}

/// A way to save to such a disk.
type Saves<'a> = &'a dyn Fn(&mut Loses) -> Result<(), Interrupted>;

#[test]
fn behind_a_failed_sync_nothing_is_vouched_for() {
    let memory: Vec<u8> = (0..140_usize << 20).map(|at| (at >> 12) as u8 | 1).collect();
    let source = Dump::open(file(&memory)).unwrap();
    let copies: [Saves<'_>; 2] =
        [&|disk| SavePlan::elf(&source).unwrap().copy(disk, &mut go_on).map(drop), &|disk| {
            let plan = KdumpPlan::new(&source, KdumpOptions::default()).unwrap();
            plan.copy(disk, &mut go_on).map(drop)
        }];
    for copy in copies {
        let mut vouched = Vec::new();
        for bad in 0.. {
            let mut disk = Loses::at(bad);
            let Err(stopped) = copy(&mut disk) else {
                assert!(bad >= 6, "{bad} syncs: two to begin, two checkpoints and two to end");
                break;
            };
            assert_eq!((disk.behind, disk.syncs), (0, bad + 1), "sync {bad} fails, and ends it");
            assert!(stopped.good <= disk.disk.len() as u64, "sync {bad}: {stopped}");
            vouched.push(stopped.good);
            let Ok(copy) = Dump::open(disk.disk) else { continue };
            assert!(!copy.completeness().is_complete(), "sync {bad}");
            only_memory_of(&source, &copy);
        }
        assert_eq!(vouched[..2], [0, 0]);
        assert!(vouched.is_sorted() && vouched[3] > 64 << 20 && vouched[3] < 72 << 20, "{vouched:?}");
    }
}
