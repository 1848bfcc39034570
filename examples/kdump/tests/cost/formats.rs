//! Dumps in makedumpfile's formats whose bitmaps, descriptors and records ask for more than the
//! file is worth.

use dumpgen::{Flattened, KdumpFile, PageCodec, Stored, Wire};

/// Pages whose two bitmaps and little else are a file of 1 MB. A program that is not optimised takes
/// minutes for as many: it gets fewer.
const PAGES: u64 = if cfg!(debug_assertions) { 480_000 } else { 3_800_000 };
const INFO: &str = "OSRELEASE=6.1.0\nPAGESIZE=4096\n";

fn empty(pages: u64) -> KdumpFile {
    let file = KdumpFile::new(Wire::LE64, pages).with_vmcoreinfo(INFO);
    KdumpFile { ram: vec![], ..file }
}

/// A file with both bitmaps filled.
fn bitmaps(pages: u64, ram: u8, stored: u8) -> Vec<u8> {
    let file = empty(pages);
    let layout = file.layout();
    let mut bytes = file.build();
    let (first, second) = (layout.bitmap_1 as usize, layout.bitmap_2 as usize);
    bytes[first..second].fill(ram);
    bytes[second..second + layout.bitmap_size as usize].fill(stored);
    bytes
}

/// A file whose descriptors are all `descriptor`, in front of `data`: offset of it in the data,
/// size, flags.
fn descriptors(count: u64, block_size: u32, (at, size, flags): (u64, u32, u32), data: &[u8]) -> Vec<u8> {
    let mut file = KdumpFile { block_size, ..empty(count) };
    file.pages.extend((0..count).map(|pfn| (pfn, Stored::Lost)));
    let place = Stored::Descriptor(file.layout().data + at, size, flags, 0);
    file.pages.values_mut().for_each(|page| *page = place.clone());
    file.ram.push(0..count);
    [file.build(), data.to_vec()].concat()
}

/// Bitmaps in which no two neighbours are alike, and descriptors that all mean the same bytes.
pub(crate) fn kdumps() -> Vec<(&'static str, Vec<u8>)> {
    let packed = PageCodec::Zlib.encode(&vec![0x5a; 4096]);
    let large = PageCodec::Zlib.encode(&vec![0x5a; 65536]);
    let one = |data: &[u8]| (0, data.len() as u32, PageCodec::Zlib.flag());
    vec![
        ("stored", bitmaps(PAGES, 0xff, 0x55)),
        ("ram", bitmaps(PAGES, 0x55, 0)),
        ("both", bitmaps(PAGES, 0x33, 0x55)),
        ("full", bitmaps(PAGES, 0xff, 0xff)),
        ("corrupt", descriptors(40_000, 4096, (1, 5000, 1), &[])),
        ("lost", descriptors(40_000, 4096, (0, 0, 0), &[])),
        ("behind", descriptors(40_000, 4096, (1 << 40, 4096, 0), &[])),
        ("raw", descriptors(40_000, 4096, (0, 4096, 0), &[0x5a; 8192])),
        ("packed", descriptors(10_000, 4096, one(&packed), &packed)),
        ("large", descriptors(2_000, 65536, one(&large), &large)),
    ]
}

/// The beginning of a file that is zero up to the second number: bitmaps of 2^32 pages.
pub(crate) fn endless_bitmaps() -> (Vec<u8>, u64) {
    beginning(&KdumpFile { one_bitmap: true, ..empty(1 << 32) })
}

/// What stands in front of the bitmaps, and where they end.
fn beginning(file: &KdumpFile) -> (Vec<u8>, u64) {
    let layout = file.layout();
    let mut bytes = KdumpFile { max_mapnr: 0, ..file.clone() }.build();
    let (pieces, _) = file.pieces();
    for (at, piece) in pieces.into_iter().filter(|(at, _)| *at < layout.bitmap_1) {
        let end = at as usize + piece.len();
        bytes.resize(bytes.len().max(end), 0);
        bytes[at as usize..end].copy_from_slice(&piece);
    }
    (bytes, layout.data)
}

/// A file of 2^36 pages that ends in front of its bitmaps, or among their first bytes.
pub(crate) fn cut_bitmaps() -> Vec<(&'static str, Vec<u8>)> {
    let file = empty(1 << 36);
    let (mut head, _) = beginning(&file);
    head.resize(file.layout().bitmap_1 as usize, 0);
    let some = |len: usize| [head.clone(), vec![0xff; len]].concat();
    vec![("at", some(0)), ("in", some(3808))]
}

/// The four quarters of a file of few pages, told to be of many.
pub(crate) fn parts() -> Vec<Vec<u8>> {
    let file = empty(PAGES / 4);
    let quarter = PAGES / 16;
    let parts = (0..4).map(|n| {
        let part = file.part(n * quarter..(n + 1) * quarter);
        let layout = part.layout();
        let mut bytes = part.build();
        bytes[layout.bitmap_1 as usize..layout.bitmap_2 as usize].fill(0xff);
        bytes[layout.bitmap_2 as usize..(layout.bitmap_2 + layout.bitmap_size) as usize].fill(0x55);
        bytes
    });
    parts.collect()
}

/// Streams of an ELF core in records of one byte, in reverse order, of nothing, on top of each
/// other, or far apart.
pub(crate) fn streams(core: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = &core[..core.len().min(50_000)];
    let single = Flattened::of(bytes, 1);
    let mut reversed = single.clone();
    reversed.records.reverse();
    let of = |at: &dyn Fn(i64) -> i64, len: usize, count: i64| {
        (0..count).fold(Flattened::of(bytes, 4096), |stream, n| stream.last(at(n), &vec![0x5a; len]))
    };
    let behind = i64::try_from(bytes.len()).unwrap();
    let mut lying = single.clone();
    lying.records.iter_mut().skip(1000).for_each(|record| record.size = Some(0));
    vec![
        ("single", single.build()),
        ("reversed", reversed.build()),
        ("shuffled", single.clone().shuffled(7).build()),
        ("same", of(&|_| behind, 16, 50_000).build()),
        ("stairs", of(&|n| behind + n, 64, 20_000).build()),
        ("apart", of(&|n| behind + n * 16_000, 1, 50_000).build()),
        ("lying", lying.build()),
        ("cut", Flattened { cut: Some(300_000), ..single }.build()),
    ]
}
