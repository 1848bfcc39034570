//! What a crafted ELF core may list, and what a read of a sound dump asks of its file.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

use dumpgen::{CoreFile, KdumpFile, PageCodec, Segment, Stored, Wire};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, PhysMemory, ReadAt};

/// A file of nothing but program headers of a type nobody knows, `count` of them, with their number in
/// section header 0, for `e_phnum` cannot hold it.
fn headers(count: u32) -> Vec<u8> {
    let mut file = CoreFile { e_phnum: Some(0xffff), ..CoreFile::x86_64() }.build();
    file.truncate(64);
    file[32..40].copy_from_slice(&128_u64.to_le_bytes());
    file[40..48].copy_from_slice(&64_u64.to_le_bytes());
    file[58..62].copy_from_slice(&[64, 0, 1, 0]);
    file.resize(128, 0);
    file[64 + 44..64 + 48].copy_from_slice(&count.to_le_bytes());
    let mut entry = [0; 56];
    entry[3] = 0x6f;
    file.extend_from_slice(&entry.repeat(count as usize));
    file
}

#[test]
fn program_headers_in_use_are_counted() {
    const MOST: u32 = 1 << 19;
    let dump = Dump::open(headers(MOST)).unwrap();
    assert_eq!(dump.phdrs().len(), MOST as usize);
    let error = Dump::open(headers(MOST + 1)).unwrap_err();
    let what = "number of program headers in use, not all counted,";
    assert_eq!(error, Error::TooLarge { what, value: u64::from(MOST) + 1, limit: u64::from(MOST) });
}

/// A machine's memory may be listed in pieces that no reader has a use for.
#[test]
fn pieces_that_go_on_in_memory_and_in_the_file_are_one() {
    let pieces = (0..64_u64).fold(CoreFile { align: 1, ..CoreFile::x86_64() }, |file, at| {
        file.with(Segment::load(at * 0x1000, &[at as u8; 0x1000]))
    });
    // One that lies elsewhere in the file is another.
    let dump = Dump::open(pieces.with(Segment::load(0x4_1000, &[7; 0x1000])).build()).unwrap();
    let ends: Vec<_> = dump.spans().map(|span| span.range.end()).collect();
    assert_eq!(ends, [0x4_0000, 0x4_1000, 0x4_2000]);
}

/// Few bytes are not the memory of a large machine.
#[test]
fn one_byte_is_not_listed_for_many_addresses() {
    let memory = vec![7; 16 << 20];
    let listed = |times: u64| {
        let file = CoreFile { align: 1, ..CoreFile::x86_64() }.with(Segment::load(0, &memory));
        let again = (1..times).fold(file, |file, time| {
            let size = Some(memory.len() as u64);
            let bytes = Segment::load(time << 32, &[]);
            file.with(Segment { p_offset: Some(0), p_filesz: size, p_memsz: size, ..bytes })
        });
        Dump::open(again.build()).map(|dump| dump.memory_size())
    };
    assert_eq!(listed(16), Ok(256 << 20), "as much as is taken in any case");
    let error = listed(18).unwrap_err();
    let what = "memory that the PT_LOADs list, many times over the same bytes of the file,";
    assert!(matches!(error, Error::TooLarge { what: found, .. } if found == what), "{error}");
}

/// A file that remembers the longest read.
struct Watched {
    bytes: Vec<u8>,
    longest: Arc<AtomicUsize>,
}

impl ReadAt for Watched {
    fn size(&self) -> Result<u64, Error> {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.longest.fetch_max(buf.len(), Relaxed);
        self.bytes.read_at(offset, buf)
    }

    fn is_cacheable(&self) -> bool {
        true
    }
}

/// What is wanted once is read alone, and nothing is read behind the end of the file.
#[test]
fn a_word_that_is_wanted_once_costs_a_word() {
    let mut bytes = CoreFile::x86_64().with(Segment::load(0x10_0000, &[7; 0x8000])).build();
    bytes.truncate(bytes.len() - 100);
    let longest = Arc::new(AtomicUsize::new(0));
    let dump = Dump::open(Watched { bytes, longest: Arc::clone(&longest) }).unwrap();
    let mut reader = dump.reader();
    let mut cost = |at: u64| {
        longest.store(0, Relaxed);
        let mut word = [0; 8];
        reader.read_phys(Paddr(at), &mut word).unwrap();
        assert_eq!(word, [7; 8]);
        longest.load(Relaxed)
    };
    assert_eq!((cost(0x10_1800), cost(0x10_1800), cost(0x10_1800)), (8, 4096, 0));
    // The last block is not whole.
    let last = 0x10_8000 - 100 - 16;
    assert_eq!([cost(last), cost(last), cost(last)], [8; 3]);
}

/// Of a page that is kept nothing is read again.
#[test]
fn a_page_that_is_kept_costs_nothing() {
    let raw = Stored::Page(PageCodec::Raw, vec![7; 4096]);
    let bytes = KdumpFile::new(Wire::LE64, 64).with(3, raw.clone()).with(4, raw).build();
    let longest = Arc::new(AtomicUsize::new(0));
    let dump = Dump::open(Watched { bytes, longest: Arc::clone(&longest) }).unwrap();
    let mut reader = dump.reader();
    let mut cost = |pfn: u64| {
        longest.store(0, Relaxed);
        let mut word = [0; 8];
        reader.read_phys(Paddr(pfn * 4096 + 64), &mut word).unwrap();
        assert_eq!(word, [7; 8]);
        longest.load(Relaxed)
    };
    // The first reads are of descriptors, too.
    assert!(cost(4) > 0 && cost(3) < 4096);
    assert_eq!([cost(3), cost(3), cost(3)], [4096, 0, 0]);
}
