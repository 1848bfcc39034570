//! What opening and reading a kdump-compressed file asks of its source.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

use dumpgen::{KdumpFile, PageCodec, Wire};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, PhysMemory, ReadAt, ReadOptions, SavePlan};

/// What was asked of a file.
#[derive(Debug, Default)]
struct Asked {
    reads: AtomicUsize,
    bytes: AtomicUsize,
    /// The longest read.
    longest: AtomicUsize,
}

impl Asked {
    /// Reads, their bytes, and the longest of them, since this was last called.
    fn take(&self) -> (usize, usize, usize) {
        (self.reads.swap(0, Relaxed), self.bytes.swap(0, Relaxed), self.longest.swap(0, Relaxed))
    }
}

struct Watched(Vec<u8>, Arc<Asked>);

impl ReadAt for Watched {
    fn size(&self) -> Result<u64, Error> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.1.reads.fetch_add(1, Relaxed);
        self.1.bytes.fetch_add(buf.len(), Relaxed);
        self.1.longest.fetch_max(buf.len(), Relaxed);
        self.0.read_at(offset, buf)
    }

    fn is_cacheable(&self) -> bool {
        true
    }
}

fn open(bytes: Vec<u8>) -> (Dump<'static>, Arc<Asked>) {
    let asked = Arc::new(Asked::default());
    let dump = Dump::open(Watched(bytes, Arc::clone(&asked))).unwrap();
    (dump.read_options(ReadOptions::default().threads(1)), asked)
}

fn raw(pages: u64) -> KdumpFile {
    KdumpFile::new(Wire::LE64, pages).with_pages(0..pages, &[PageCodec::Raw])
}

/// The table has 24 bytes for each page.
#[test]
fn few_descriptors_are_read_of_a_cut_file_and_none_for_a_plan() {
    let file = raw(6000);
    let (layout, bytes) = (file.layout(), file.build());
    let table = (layout.data - layout.descriptors) as usize;
    // Where the file ends is found by halves, and what lies behind is lost without a look.
    let (dump, asked) = open(bytes[..layout.data as usize + 40 * 4096].to_vec());
    assert_eq!(dump.completeness().missing, (6000 - 40) * 4096);
    let (reads, all, _) = asked.take();
    assert!(reads <= 60 && all < table / 3, "{reads} reads of {all} bytes of a cut file");
    // How a dump that lacks nothing is to be saved stands in its headers.
    let (dump, asked) = open(bytes);
    asked.take();
    SavePlan::elf(&dump).unwrap();
    let (reads, all, _) = asked.take();
    assert!(reads <= 8 && all < table / 3, "{reads} reads of {all} bytes for a plan");
}

#[test]
fn descriptors_are_kept_in_blocks_and_none_are_read_behind_the_last() {
    let (dump, asked) = open(raw(200).build());
    let mut reader = dump.reader();
    let mut page = vec![0; 4096];
    let mut cost = |pfn: u64| {
        asked.take();
        reader.read_phys(Paddr(pfn * 4096), &mut page).unwrap();
        asked.take()
    };
    let block = 64 * 24;
    assert_eq!([cost(3), cost(70)], [(2, block + 4096, 4096); 2]);
    assert_eq!([cost(9), cost(90), cost(4)], [(1, 4096, 4096); 3]);
    let (dump, asked) = open(raw(2).build());
    let mut reader = dump.reader();
    asked.take();
    reader.read_phys(Paddr(4096), &mut [0; 8]).unwrap();
    assert_eq!(asked.take(), (2, 24 + 8, 24));
}

/// A page that is kept has all that is wanted of it, also at the moment it is read.
#[test]
fn a_page_that_is_wanted_again_is_read_once() {
    let (dump, asked) = open(raw(200).build());
    let mut reader = dump.reader();
    let mut cost = |pfn: u64| {
        asked.take();
        reader.read_phys(Paddr(pfn * 4096 + 64), &mut [0; 8]).unwrap();
        asked.take()
    };
    cost(7);
    assert_eq!([cost(5), cost(5), cost(5)], [(1, 8, 8), (1, 4096, 4096), (0, 0, 0)]);
}

/// Whoever copies all of a dump wants each page once.
#[test]
fn whole_pages_take_no_room_from_those_that_are_kept() {
    let file = KdumpFile::new(Wire::LE64, 400).with_pages(0..400, &[PageCodec::Lzo]);
    let (dump, asked) = open(file.build());
    let mut reader = dump.reader();
    let mut page = vec![0; 4096];
    for pfn in [7, 300, 7, 301] {
        reader.read_phys(Paddr(pfn * 4096), &mut page).unwrap();
        assert_eq!(page, file.content(pfn));
    }
    asked.take();
    reader.read_phys(Paddr(7 * 4096 + 64), &mut [0; 8]).unwrap();
    assert!(asked.take().0 > 0, "page 7 was kept");
}

/// Bitmaps that are put together from those of several parts are read by the piece, but where parts meet.
#[test]
fn the_bitmaps_of_a_set_are_few_reads() {
    let file = KdumpFile::new(Wire::LE64, 8000).with_pages((3..100).chain(300..650), &[PageCodec::Raw]);
    let mut parts = [0..40, 40..320, 320..8000].map(|pfns| file.part(pfns).build());
    let bits = file.layout().bitmap_2 as usize;
    parts[0][bits + 60..bits + 80].fill(0);
    let asked = Arc::new(Asked::default());
    let parts = parts.map(|part| Box::new(Watched(part, Arc::clone(&asked))) as Box<dyn ReadAt>);
    let dump = Dump::open_parts(parts.into()).unwrap();
    let mut page = [0; 4096];
    dump.reader().read_phys(Paddr(500 * 4096), &mut page).unwrap();
    assert_eq!(page[..], file.content(500));
    let (reads, ..) = asked.take();
    assert!(reads < 400, "{reads} reads");
}
