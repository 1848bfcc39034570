//! What a hostile file of a few bytes can make opening and reading allocate.
#![allow(unsafe_code, reason = "counts what the allocator hands out")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use dumpgen::{CoreFile, Flattened, KdumpFile, PageCodec, Segment, Wire, note, prstatus_x86_64};
use kdump_elf::Paddr;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{Dump, Error, KdumpOptions, KdumpPlan, PhysMemory, ReadOptions, WriteAt};

/// The system's allocator, and the most that was in use at one time.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(USED.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the rules for us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the rules for us.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Held by a test that counts: there is one count.
static ALONE: Mutex<()> = Mutex::new(());

/// The most that `work` had in use at one time, in bytes beyond what was in use before.
fn peak(work: impl FnOnce()) -> usize {
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed).saturating_sub(before)
}

/// Opens the dump and asks for all there is.
fn exercise(bytes: &[u8]) {
    let Ok(dump) = Dump::open(bytes) else { return };
    let mut reader = dump.reader();
    let mut buf = [0; 64];
    for span in dump.spans().take(50) {
        for at in [span.range.start(), span.range.last()] {
            let _ = reader.read_phys(Paddr(at), &mut buf);
        }
    }
    let _ = (reader.looks().take(50).count(), dump.cpus().count(), dump.notes().iter().count());
}

const EXTREMES: [u64; 9] =
    [0, 1, 6, 0x1_0000, 0x4_0000, 0x7fff_ffff, 0xffff_ffff, 1 << 36, 0x7fff_ffff_ffff_ffff];

/// kdump-compressed files of every layout with one member of a header made extreme.
fn kdumps() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for wire in Wire::ALL {
        let mut file = KdumpFile::new(wire, 60);
        file.dump_level = 1;
        file.notes = note(wire, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
        let file = file.with_vmcoreinfo("OSRELEASE=6.1.0\n").with_pages(2..12, &PageCodec::ALL);
        for name in file.members() {
            for value in EXTREMES {
                let file = file.clone().set(name, value);
                let diskdump = KdumpFile { signature: *b"DISKDUMP", ..file.clone() };
                all.push((format!("kdump {wire:?} {name} {value:#x}"), file.build()));
                all.push((format!("diskdump {wire:?} {name} {value:#x}"), diskdump.build()));
            }
        }
    }
    all
}

fn elves() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for wire in Wire::ALL {
        for value in EXTREMES {
            let segment = |change: fn(&mut Segment, u64)| {
                let mut segment = Segment::load(0x1000, &[1; 64]);
                change(&mut segment, value);
                let notes = Segment { p_type: 4, ..segment.clone() };
                let file = CoreFile { align: 1, ..CoreFile::new(wire, 62) };
                file.with(segment).with(notes).build()
            };
            let name = |field| format!("elf {wire:?} {field} {value:#x}");
            all.push((name("p_filesz"), segment(|segment, value| segment.p_filesz = Some(value))));
            all.push((name("p_memsz"), segment(|segment, value| segment.p_memsz = Some(value))));
            all.push((name("p_offset"), segment(|segment, value| segment.p_offset = Some(value))));
            let e_phnum = Some(value as u16);
            let file = CoreFile { e_phnum, align: 1, ..CoreFile::new(wire, 62) };
            all.push((name("e_phnum"), file.with(Segment::load(0, &[1; 64])).build()));
        }
    }
    all
}

/// A reader takes what it may keep, no more, and then nothing with any read.
fn reads_allocate_nothing_once_they_are_warm() {
    let file = KdumpFile::new(Wire::LE64, 400).with_pages(0..400, &PageCodec::ALL).build();
    for (cache_size, most) in [(0, 0), (100_000, 100_000), (64 << 20, 400 * 4096 + 400 * 24)] {
        let options = ReadOptions::default().cache_size(cache_size).threads(1);
        let dump = Dump::open(file.as_slice()).unwrap().read_options(options);
        let mut reader = dump.reader();
        let mut buf = [0; 4096];
        let mut pass = |len: usize| {
            for step in 0..4000_u64 {
                let at = step * 7919 % 399 * 4096 + step % 4096;
                reader.read_phys(Paddr(at), &mut buf[..len]).unwrap();
            }
        };
        let warm = peak(|| (pass(8), pass(4096)).1);
        // Decoders, read-ahead and tables besides the cache.
        assert!(warm <= most + (400 << 10), "{cache_size}: {warm} bytes");
        let more = peak(|| (pass(8), pass(4096)).1);
        assert_eq!(more, 0, "{cache_size}");
    }
}

// One test: what other threads allocate would count.
#[test]
fn few_bytes_cost_little_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Whatever is allocated once is not the file's doing.
    exercise(&KdumpFile::new(Wire::LE64, 60).with_pages(2..12, &PageCodec::ALL).build());
    let kept = vec![0_u8; 3 << 20];
    assert!(peak(|| drop(kept.clone())) >= 3 << 20, "the count counts");
    for (name, bytes) in kdumps().into_iter().chain(elves()) {
        let head = &bytes[..bytes.len().min(200)];
        let used = peak(|| exercise(head));
        assert!(used <= 1 << 20, "200 bytes of {name}: {used} bytes");
        // Not 200, but whole headers: what they say of sizes must be there to cost anything.
        let used = peak(|| exercise(&bytes));
        assert!(used <= 1 << 20, "{} bytes of {name}: {used} bytes", bytes.len());
        let stream = Flattened::of(&bytes, 4096).last(1 << 29, b"far").build();
        let used = peak(|| exercise(&stream[..stream.len().min(200)]));
        assert!(used <= 1 << 20, "200 bytes of a stream of {name}: {used} bytes");
    }
    reads_allocate_nothing_once_they_are_warm();
    // Each record begins before all in front of it end.
    let mut flat = Flattened::of(&[], 1);
    let records = 20_000_u32;
    for at in 0..records {
        flat = flat.last(at.into(), &[7; 9]);
    }
    let stream = flat.build();
    let used = peak(|| assert!(kdump_vmcore::Flattened::open(stream.as_slice()).is_ok()));
    assert!(used <= 160 * usize::try_from(records).unwrap(), "{used} bytes for {records} records");
}

/// Saving holds batches, never the memory of the machine, whatever is left out and however it is packed.
#[test]
fn saving_takes_a_few_mebibytes_a_thread() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let size = 96 << 20;
    let memory: Vec<u8> =
        (0..size).map(|at: usize| if at & 0x1000 == 0 { 0 } else { (at >> 5) as u8 }).collect();
    let info = note(Wire::LE64, "VMCOREINFO", 0, b"PAGESIZE=4096\n");
    let file = CoreFile::x86_64().with(Segment::notes(&info)).with(Segment::load(0x10_0000, &memory)).build();
    drop(memory);
    let dump = Dump::open(file).unwrap();
    struct Nowhere;
    impl WriteAt for Nowhere {
        fn write_all_at(&mut self, _: u64, _: &[u8]) -> Result<(), Error> {
            Ok(())
        }
        fn is_sparse(&self) -> bool {
            true
        }
        fn finish(&mut self, _: u64) -> Result<(), Error> {
            Ok(())
        }
    }
    let go_on = &mut |_| core::ops::ControlFlow::Continue(());
    let mut packed = Vec::new();
    let options = KdumpOptions::default().codec(Some(Codec::Zstd));
    KdumpPlan::new(&dump, options).unwrap().copy(&mut packed, go_on).unwrap();
    // How the dump is to be read otherwise is not how it is saved.
    let packed = Dump::open(packed).unwrap().read_options(ReadOptions::default().threads(8));
    for source in [&dump, &packed] {
        for codec in [None, Some(Codec::Lzo), Some(Codec::Zstd)] {
            for threads in [1, 2, 4] {
                let options = KdumpOptions::default().codec(codec).threads(threads);
                let peak = peak(|| {
                    let plan = KdumpPlan::new(source, options).unwrap();
                    plan.copy(&mut Nowhere, go_on).unwrap();
                });
                let limit = usize::from(threads) * (5 << 20) + (3 << 20);
                let what = source.format();
                assert!(peak <= limit, "{what} to {codec:?} with {threads} threads: {peak} bytes of {limit}");
                assert!(peak > 1 << 18, "what is counted here? {peak}");
                // What a capture kernel does, which has little memory.
                let capture = source.format() == "elf" && (codec, threads) == (Some(Codec::Lzo), 1);
                assert!(!capture || peak <= 576 << 10, "{peak} bytes for what a capture kernel does");
            }
        }
    }
}

/// Threads that have nothing to do take nothing.
#[test]
fn saving_a_small_dump_takes_little_whatever_threads_are_asked_for() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let memory: Vec<u8> = (0..2 << 20).map(|at: usize| (at >> 5) as u8 | 1).collect();
    let file = CoreFile::x86_64().with(Segment::load(0x10_0000, &memory)).build();
    let dump = Dump::open(file).unwrap();
    let mut out = Vec::with_capacity(4 << 20);
    for codec in [None, Some(Codec::Lzo)] {
        let options = KdumpOptions::default().codec(codec).threads(1000);
        out.clear();
        let peak = peak(|| {
            let plan = KdumpPlan::new(&dump, options).unwrap();
            plan.copy(&mut out, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
        });
        // Eight batches, each with what compresses it.
        assert!(peak <= 8 << 20, "to {codec:?}: {peak} bytes");
        assert!(peak > 1 << 18, "what is counted here? {peak}");
        let mut buf = vec![0; memory.len()];
        Dump::open(out.as_slice()).unwrap().reader().read_phys(Paddr(0x10_0000), &mut buf).unwrap();
        assert!(buf == memory, "{codec:?}");
    }
}
