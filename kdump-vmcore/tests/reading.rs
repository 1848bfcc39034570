//! Caches and helping threads change how fast memory is read, and nothing else.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, IoError, PhysMemory, ReadAt, ReadOptions, Reader, Scratch, Stopped};

const PAGE: u64 = 4096;
/// Of what is kept a quarter is descriptors: this is one page.
const ONE_PAGE: u64 = 5500;

/// A file whose bytes the test changes while it is read, and that counts its reads.
#[derive(Clone)]
struct Live(Arc<Inner>);

struct Inner {
    bytes: Mutex<Vec<u8>>,
    reads: AtomicUsize,
    fails: AtomicBool,
    is_cacheable: bool,
}

impl Live {
    fn new(bytes: Vec<u8>, is_cacheable: bool) -> Self {
        let (reads, fails) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { bytes: Mutex::new(bytes), reads, fails, is_cacheable }))
    }

    fn reads(&self) -> usize {
        self.0.reads.load(Relaxed)
    }
}

impl ReadAt for Live {
    fn size(&self) -> Result<u64, Error> {
        self.0.bytes.lock().unwrap().size()
    }

    fn is_cacheable(&self) -> bool {
        self.0.is_cacheable
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.reads.fetch_add(1, Relaxed);
        if self.0.fails.load(Relaxed) {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        self.0.bytes.lock().unwrap().read_at(offset, buf)
    }
}

/// 600 pages in all codecs, some excluded, some of zeros, some lost, some damaged in every way.
fn sample() -> KdumpFile {
    let mut file = KdumpFile::new(Wire::LE64, 640)
        .with_pages((3..600).filter(|pfn| pfn % 17 != 4 && !(300..330).contains(pfn)), &PageCodec::ALL);
    file.dump_level = 1;
    file.ram = core::iter::once(0..610).collect();
    file.with(101, Stored::Zero)
        .with(200, Stored::Lost)
        .with(201, Stored::Given(1, vec![7; 60]))
        .with(202, Stored::Given(2, vec![0; 60]))
        .with(420, Stored::Given(0x20, vec![1; 60]))
        .with(421, Stored::Descriptor(1 << 40, 100, 2, 0))
}

fn open(bytes: &[u8], cache_size: u64, threads: usize) -> Dump<'_> {
    Dump::open(bytes).unwrap().read_options(ReadOptions::default().cache_size(cache_size).threads(threads))
}

/// Good bytes, and how it ended.
fn read(reader: &mut Reader<'_>, at: u64, len: usize) -> (Vec<u8>, Result<(), Stopped>) {
    let mut buf = vec![0xee; len];
    let outcome = reader.read_phys(Paddr(at), &mut buf);
    buf.truncate(outcome.map_or_else(|stopped| stopped.read, |()| len));
    (buf, outcome)
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

#[test]
fn a_cache_of_any_size_gives_what_none_gives() {
    let bytes = sample().build();
    let truth = open(&bytes, 0, 1);
    for cache_size in [1, ONE_PAGE, 5 * ONE_PAGE, 40 * ONE_PAGE, 64 << 20] {
        let dump = open(&bytes, cache_size, 1);
        for zero_excluded in [false, true] {
            let mut plain = truth.reader().zero_excluded(zero_excluded);
            let mut cached = dump.reader().zero_excluded(zero_excluded);
            let mut state = 0x9E37_79B9_7F4A_7C15;
            for step in 0..6000 {
                // Near each other half of the time, so that small caches have something to give.
                let pfn =
                    if step % 2 == 0 { random(&mut state) % 630 } else { 195 + random(&mut state) % 12 };
                let at = pfn * PAGE + random(&mut state) % PAGE;
                let len = [1, 8, 100, 4096, 5000][random(&mut state) as usize % 5];
                assert_eq!(
                    read(&mut cached, at, len),
                    read(&mut plain, at, len),
                    "{cache_size} {at:#x} {len}"
                );
            }
        }
    }
}

#[test]
fn every_number_of_threads_reads_the_same_and_stops_at_the_same_byte() {
    let file = sample();
    let bytes = file.build();
    let truth = open(&bytes, 64 << 20, 1);
    for threads in [0, 2, 3, 16] {
        let dump = open(&bytes, 64 << 20, threads);
        let (mut alone, mut helped) = (truth.reader(), dump.reader());
        // Whole, ended by damage, by what was excluded, by a hole; aligned and not.
        for (at, len) in [
            (330 * PAGE, 85 * 4096),
            (330 * PAGE + 5, 85 * 4096 + 3),
            (100 * PAGE, 300 * 4096),
            (203 * PAGE, 400 * 4096),
            (300 * PAGE, 90 * 4096),
            (425 * PAGE + 77, 190 * 4096),
        ] {
            for zero_excluded in [false, true] {
                alone = alone.zero_excluded(zero_excluded);
                helped = helped.zero_excluded(zero_excluded);
                let expected = read(&mut alone, at, len);
                assert_eq!(read(&mut helped, at, len), expected, "{threads} {at:#x} {len}");
            }
        }
        let (all, outcome) = read(&mut helped, 205 * PAGE, 90 * 4096);
        assert!(outcome.is_ok(), "with zeros for what was excluded: {outcome:?}");
        for (pfn, page) in (205..).zip(all.chunks(4096)) {
            let expected = if file.pages.contains_key(&pfn) { file.content(pfn) } else { vec![0; 4096] };
            assert!(page == expected, "{pfn}");
        }
    }
}

/// A file that gives nothing to a thread alone, once it is told so.
#[derive(Default)]
struct Meeting {
    bytes: Vec<u8>,
    wanted: AtomicBool,
    came: Mutex<HashSet<ThreadId>>,
    more: Condvar,
}

impl ReadAt for &Meeting {
    fn size(&self) -> Result<u64, Error> {
        self.bytes.as_slice().size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if self.wanted.load(Relaxed) {
            let mut came = self.came.lock().unwrap();
            came.insert(thread::current().id());
            self.more.notify_all();
            let wait = self.more.wait_timeout_while(came, Duration::from_secs(20), |came| came.len() < 2);
            if wait.unwrap().1.timed_out() {
                return Err(Error::Cancelled);
            }
        }
        self.bytes.as_slice().read_at(offset, buf)
    }
}

#[test]
fn a_large_read_has_helpers() {
    let file = KdumpFile::new(Wire::LE64, 256).with_pages(0..256, &PageCodec::ALL);
    let source = Meeting { bytes: file.build(), ..Meeting::default() };
    let dump = Dump::open(&source).unwrap().read_options(ReadOptions::default().threads(2));
    source.wanted.store(true, Relaxed);
    let (bytes, outcome) = read(&mut dump.reader(), 0, 256 * 4096);
    assert_eq!(outcome, Ok(()), "no other thread came");
    assert_eq!(bytes[255 * 4096..], file.content(255));
}

#[test]
fn helpers_decompress_no_large_page_twice() {
    let size = 1_u64 << 18;
    let mut file = KdumpFile::new(Wire::LE64, 40);
    file.block_size = 1 << 18;
    let file = file.with_pages(2..30, &PageCodec::ALL[1..4]);
    let all: Vec<u8> = (2..30).flat_map(|pfn| file.content(pfn)).collect();
    let calls = |threads| {
        let live = Live::new(file.build(), false);
        let dump = Dump::open(live.clone()).unwrap();
        let dump = dump.read_options(ReadOptions::default().threads(threads));
        let before = live.reads();
        assert!(read(&mut dump.reader(), 2 * size, all.len()).0 == all);
        live.reads() - before
    };
    // One for the descriptors, one for each page, and those that threads read ahead of each other.
    assert!(calls(3) <= 2 * 28 + 4, "{}", calls(3));
}

#[test]
fn without_a_cache_every_read_sees_the_file_as_it_is() {
    let (raw, packed) = (1, 2);
    let file = |first, second| {
        let file = KdumpFile::new(Wire::LE64, 64).with(raw, Stored::Page(PageCodec::Raw, vec![first; 4096]));
        file.with(packed, Stored::Page(PageCodec::Lzo, vec![second; 4096])).build()
    };
    let (old, new) = (file(0x11, 0x22), file(0xaa, 0xbb));
    assert_eq!(old.len(), new.len(), "only bytes of pages differ");
    for (cache_size, sees) in [(0, true), (1 << 20, false)] {
        let live = Live::new(old.clone(), true);
        let options = ReadOptions::default().cache_size(cache_size).threads(1);
        let dump = Dump::open(live.clone()).unwrap().read_options(options);
        let mut reader = dump.reader();
        let mut word = |pfn: u64| read(&mut reader, pfn * PAGE + 64, 8).0;
        // A page that is stored as it is is kept when it is wanted again.
        let before = [word(raw), word(raw), word(packed)];
        assert_eq!(before, [[0x11; 8], [0x11; 8], [0x22; 8]]);
        live.0.bytes.lock().unwrap().clone_from(&new);
        let after = [word(raw), word(packed)];
        let expected = if sees { [[0xaa; 8], [0xbb; 8]] } else { [[0x11; 8], [0x22; 8]] };
        assert_eq!(after, expected, "{cache_size}");
    }
}

fn core(pages: usize) -> Vec<u8> {
    let memory: Vec<u8> = (0..pages * 4096).map(|at| (at / 7 % 251) as u8).collect();
    CoreFile::x86_64().with(Segment::load(0x10_0000, &memory)).build()
}

#[test]
fn a_hot_set_of_a_file_costs_no_calls_and_what_changes_is_never_kept() {
    let bytes = core(40);
    let truth = open(&bytes, 0, 1);
    for (is_cacheable, cache_size) in [(true, 64 << 20), (true, 0), (false, 64 << 20)] {
        let live = Live::new(bytes.clone(), is_cacheable);
        let options = ReadOptions::default().cache_size(cache_size).threads(1);
        let dump = Dump::open(live.clone()).unwrap().read_options(options);
        let (mut reader, mut plain) = (dump.reader(), truth.reader());
        let mut pass = || {
            for at in (0x10_0000..0x10_0000 + 38 * PAGE).step_by(997) {
                assert_eq!(read(&mut reader, at, 8), read(&mut plain, at, 8), "{at:#x}");
            }
        };
        (0..4).for_each(|_| pass());
        let before = live.reads();
        pass();
        let calls = live.reads() - before;
        if is_cacheable && cache_size != 0 {
            // Words in two blocks are not kept.
            assert!(calls < 3, "{calls}");
            continue;
        }
        assert!(calls > 150, "{calls}");
        let last = live.0.bytes.lock().unwrap().len() - 4096;
        live.0.bytes.lock().unwrap()[last..].fill(0xcc);
        assert_eq!(read(&mut reader, 0x10_0000 + 39 * PAGE, 8).0, [0xcc; 8], "{is_cacheable}");
    }
}

#[test]
fn reads_in_order_take_few_calls_and_give_the_same() {
    // Two ranges that follow each other in the file and not in memory; a tail that is no whole page.
    let memory = |len: usize| (0..len).map(|at| (at / 7 % 251) as u8).collect::<Vec<u8>>();
    let bytes = CoreFile::x86_64()
        .with(Segment::load(0x10_0000, &memory(100 * 4096)))
        .with(Segment::load(0x20_0000, &memory(50 * 4096 + 77)))
        .build();
    let truth = open(&bytes, 0, 1);
    for (cache_size, is_cacheable, few) in
        [(64 << 20, true, true), (0, true, false), (64 << 20, false, false)]
    {
        for len in [4096, 4000, 10_000] {
            let live = Live::new(bytes.clone(), is_cacheable);
            let options = ReadOptions::default().cache_size(cache_size).threads(1);
            let dump = Dump::open(live.clone()).unwrap().read_options(options);
            let (mut reader, mut plain) = (dump.reader(), truth.reader());
            let before = live.reads();
            let mut reads = 0;
            for start in [0x10_0000, 0x20_0000] {
                for at in (start..start + 101 * PAGE).step_by(len) {
                    assert_eq!(read(&mut reader, at, len), read(&mut plain, at, len), "{at:#x} {len}");
                    reads += usize::from(at < 0x10_0000 + 100 * PAGE || start == 0x20_0000 && at < 0x23_2000);
                }
            }
            let calls = live.reads() - before;
            assert_eq!(calls < reads / 2, few, "{calls} of {reads}, {len} {cache_size} {is_cacheable}");
            // A file that is cut meanwhile gives what was read, and no byte more.
            live.0.bytes.lock().unwrap().truncate(bytes.len() - 20 * 4096);
            live.0.fails.store(true, Relaxed);
            let far = read(&mut reader, 0x20_0000 + 45 * PAGE, len);
            let good = (read(&mut plain, 0x20_0000 + 45 * PAGE, len).0, Ok(()));
            assert!(far == good || matches!(far.1, Err(Stopped { error: Error::Io { .. }, .. })), "{far:?}");
        }
    }
}

/// Reading remembers what a page of zeros looks like; one that only looks similar is another.
#[test]
fn pages_of_zeros_are_zeros_and_what_looks_like_them_is_not() {
    let (zeros, other) = (vec![0; 4096], [0, 0, 0, 0, 0, 0, 0, 1].repeat(512));
    for codec in PageCodec::ALL {
        let mut file = KdumpFile::new(Wire::LE64, 64);
        for pfn in 1..30 {
            let page = if pfn % 4 == 3 { &other } else { &zeros };
            file = file.with(pfn, Stored::Page(codec, page.clone()));
        }
        if codec != PageCodec::Raw {
            // As long as that of the zeros, and damaged in one bit.
            let Stored::Page(_, _) = file.pages[&5] else { panic!() };
            let flag = [0, 1, 2, 4, 0x20][PageCodec::ALL.iter().position(|other| *other == codec).unwrap()];
            for (pfn, bit) in (40..56).zip(0_usize..) {
                let mut block = codec.encode(&zeros);
                let at = block.len() * bit / 16;
                block[at] ^= 1 << (bit % 8);
                file = file.with(pfn, Stored::Given(flag, block));
            }
        }
        let bytes = file.build();
        for cache_size in [0, 1, ONE_PAGE, 1 << 20] {
            // What a reader says that has met no page of zeros before.
            let fresh = |pfn: u64, inside, len| {
                let dump = open(&bytes, cache_size, 1);
                read(&mut dump.reader(), pfn * PAGE + inside, len)
            };
            let dump = open(&bytes, cache_size, 1);
            let mut reader = dump.reader();
            for pfn in (1..30).chain(40..56).chain(1..30) {
                for (inside, len) in [(0, 4096), (4088, 8), (4088, 8), (0, 8)] {
                    let got = read(&mut reader, pfn * PAGE + inside, len);
                    assert_eq!(got, fresh(pfn, inside, len), "{codec:?} {cache_size} {pfn} {inside}");
                    if pfn < 30 {
                        let page = if pfn % 4 == 3 { &other } else { &zeros };
                        assert_eq!(got.0, page[inside as usize..][..len], "{codec:?} {pfn}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_end_of_a_cut_core_is_not_made_longer() {
    let mut bytes = core(8);
    bytes.truncate(bytes.len() - 4096 - 100);
    let dump = Dump::open(Live::new(bytes.clone(), true)).unwrap();
    let truth = open(&bytes, 0, 1);
    let (mut reader, mut plain) = (dump.reader(), truth.reader());
    for at in (0x10_5000..0x10_8010).chain(0x10_5000..0x10_8010) {
        assert_eq!(read(&mut reader, at, 8), read(&mut plain, at, 8), "{at:#x}");
    }
}

#[test]
fn an_error_that_passes_is_not_kept() {
    let kdump = KdumpFile::new(Wire::LE64, 320).with_pages(256..300, &PageCodec::ALL).build();
    for bytes in [kdump, core(40)] {
        let truth = open(&bytes, 0, 1);
        let live = Live::new(bytes.clone(), true);
        let dump = Dump::open(live.clone()).unwrap();
        let (mut reader, mut plain) = (dump.reader(), truth.reader());
        for at in (0x10_0000..0x10_0000 + 30 * PAGE).step_by(2048).flat_map(|at| [at, at, at]) {
            live.0.fails.store(true, Relaxed);
            if let Err(stopped) = read(&mut reader, at, 8).1 {
                assert!(matches!(stopped.error, Error::Io { .. }), "{stopped}");
            }
            live.0.fails.store(false, Relaxed);
            assert_eq!(read(&mut reader, at, 8), read(&mut plain, at, 8), "{at:#x}");
        }
        // Nothing is left that could answer in the place of a file that fails.
        live.0.fails.store(true, Relaxed);
        let far = 0x10_0000 + 38 * PAGE;
        assert_eq!(read(&mut reader, far, 8).1.is_err(), read(&mut plain, far, 8).1.is_ok());
    }
}

#[test]
fn a_damaged_page_is_damaged_every_time_and_costs_no_other() {
    let file = sample();
    let bytes = file.build();
    let dump = open(&bytes, ONE_PAGE, 1);
    let mut reader = dump.reader();
    for _ in 0..3 {
        assert_eq!(read(&mut reader, 203 * PAGE, 16).0, file.content(203)[..16]);
        for damaged in [201, 202, 420] {
            let error = read(&mut reader, damaged * PAGE + 8, 16).1.unwrap_err().error;
            assert!(matches!(error, Error::Page { pfn, .. } if pfn == damaged), "{error}");
        }
        let error = read(&mut reader, 421 * PAGE + 8, 16).1.unwrap_err().error;
        assert!(matches!(error, Error::Truncated { .. }), "{error}");
    }
}

#[test]
fn a_page_that_fails_half_way_leaves_nothing_of_itself_in_others() {
    // All of the page comes out before the end of the block turns out to be missing.
    let mut block = PageCodec::Lzo.encode(&[9; 4096]);
    block.truncate(block.len() - 3);
    let good = |pfn| vec![pfn as u8; 4096];
    let mut file = KdumpFile::new(Wire::LE64, 64).with(60, Stored::Given(2, block));
    for pfn in 1..8 {
        file = file.with(pfn, Stored::Page(PageCodec::Lzo, good(pfn)));
    }
    let bytes = file.build();
    for cache_size in [1, ONE_PAGE, 1 << 20] {
        let dump = open(&bytes, cache_size, 1);
        let mut reader = dump.reader();
        for pfn in (1..8).chain(1..8).chain(1..8) {
            for _ in 0..3 {
                assert_eq!(read(&mut reader, pfn * PAGE, 64), (vec![pfn as u8; 64], Ok(())), "{cache_size}");
                assert!(read(&mut reader, 60 * PAGE, 8).1.is_err(), "{cache_size}");
            }
        }
    }
}

#[test]
fn what_one_dump_left_is_not_anothers() {
    let file = |byte| KdumpFile::new(Wire::LE64, 8).with(3, Stored::Page(PageCodec::Lzo, vec![byte; 4096]));
    let (first, second) = (file(1).build(), file(2).build());
    let (first, second) = (open(&first, 1 << 20, 1), open(&second, 1 << 20, 1));
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        assert_eq!(read(&mut first.reader_with(&mut scratch), 3 * PAGE, 8).0, [1; 8]);
        assert_eq!(read(&mut second.reader_with(&mut scratch), 3 * PAGE, 8).0, [2; 8]);
        assert_eq!(read(&mut second.reader_with(&mut scratch), 3 * PAGE + 8, 8).0, [2; 8]);
    }
}

/// The image mapping of a live arm64 kernel lacks pages that the memory itself has, and zeros stand for
/// them. What differs otherwise is damage, and so are the zeros in a file.
#[test]
fn what_a_live_kernel_does_not_map_is_no_damage() {
    let memory: Vec<u8> = (0..0x9000_u32).map(|at| (at >> 4) as u8 | 1).collect();
    let mut text = memory.clone();
    text[..0x1000].fill(0);
    let core = |text: &[u8]| {
        CoreFile::x86_64()
            .with(Segment::load(0x10_0000, text))
            .with(Segment::load(0x10_0000, &memory))
            .build()
    };
    let defects = |bytes: Vec<u8>, is_cacheable| {
        Dump::open(Live::new(bytes, is_cacheable)).unwrap().completeness().defects.len()
    };
    assert_eq!((defects(core(&memory), false), defects(core(&memory), true)), (0, 0));
    assert_eq!((defects(core(&text), false), defects(core(&text), true)), (0, 1));
    text[..0x1000].fill(2);
    assert_eq!(defects(core(&text), false), 1);
}
