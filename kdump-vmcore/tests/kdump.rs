//! kdump-compressed and diskdump files of every version, byte order and packing, made by
//! dumpgen, and what becomes of them when they are damaged.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use core::ops::Range;

use dumpgen::{KdumpFile, PageCodec, STATUS_INCOMPLETE, Stored, Wire, note, prstatus_x86_64};
use kdump_elf::{Arch, Class, Paddr};
use kdump_vmcore::codec::CodecError;
use kdump_vmcore::{
    Dump, Error, Flatten, KdumpOptions, KdumpPlan, PageFault, PhysMemory, ReadAt, SpanKind, verify,
};

/// Every way to lay out the headers: word size, byte order, packing.
fn layouts() -> Vec<(Wire, bool)> {
    let all = Wire::ALL.into_iter().flat_map(|wire| [(wire, false), (wire, true)]);
    all.filter(|(wire, packed)| !(wire.wide && *packed)).collect()
}

/// 700 pages: some RAM, some holes, some excluded, stored in all codecs.
fn sample(wire: Wire, packed: bool) -> KdumpFile {
    let mut file = KdumpFile::new(wire, 700);
    file.packed = packed;
    if packed && !wire.big {
        file.utsname[4] = "i586".into();
    }
    file.dump_level = 1;
    file.phys_base = 0x20_0000;
    file.ram = vec![0..160, 256..651];
    file.notes = note(wire, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    file.with_vmcoreinfo("OSRELEASE=6.1.0-test\nPAGESIZE=4096\n")
        .with_pages((3..100).chain(300..650).filter(|pfn| pfn % 9 != 4), &PageCodec::ALL)
        .with(101, Stored::Zero)
        .with(102, Stored::Zero)
}

fn open<S: ReadAt + 'static>(bytes: S) -> Dump<'static> {
    Dump::open(bytes).unwrap()
}

fn page(dump: &Dump<'_>, pfn: u64) -> Result<Vec<u8>, Error> {
    let mut page = vec![0xee; 4096];
    dump.reader().read_phys(Paddr(pfn * 4096), &mut page).map_err(|stopped| stopped.error)?;
    Ok(page)
}

/// What the generator put there, page by page.
fn check_pages(file: &KdumpFile, dump: &Dump<'_>, pfns: Range<u64>) {
    for pfn in pfns {
        let got = page(dump, pfn);
        let ram = file.ram.iter().any(|range| range.contains(&pfn));
        match file.pages.get(&pfn) {
            Some(Stored::Page(_, bytes)) => assert_eq!(&got.unwrap(), bytes, "{pfn}"),
            Some(Stored::Zero) => assert_eq!(got.unwrap(), vec![0; 4096], "{pfn}"),
            Some(other) => panic!("{other:?}"),
            None if ram => {
                assert!(matches!(got, Err(Error::Excluded { paddr }) if paddr == pfn * 4096), "{got:?}")
            }
            None => {
                let next = file.ram.iter().map(|range| range.start).find(|start| *start > pfn);
                assert_eq!(
                    got,
                    Err(Error::Hole { paddr: pfn * 4096, next: next.map(|next| next * 4096) }),
                    "{pfn}"
                );
            }
        }
    }
}

fn kinds(dump: &Dump<'_>) -> Vec<(u64, u64, &'static str)> {
    let page = |at: u64| at / 4096;
    dump.spans().map(|span| (page(span.range.start()), page(span.range.end()), span.kind.name())).collect()
}

#[test]
fn every_version_byte_order_and_packing() {
    for (wire, packed) in layouts() {
        for version in 0..=6 {
            let mut file = sample(wire, packed);
            file.version = version;
            if version < 1 {
                // Nothing tells that the zero page is shared; it is a page as any other.
                file.dump_level = 0;
                file.pages.remove(&101);
                file.pages.remove(&102);
            }
            let dump = open(file.build());
            let what = format!("{wire:?} {packed} {version}");
            assert_eq!(dump.format(), "kdump", "{what}");
            assert_eq!(dump.encoding().class == Class::Elf64, wire.wide, "{what}");
            assert_eq!(dump.arch().unwrap().class(), dump.encoding().class, "{what}");
            assert!(dump.completeness().is_complete(), "{what}: {:?}", dump.completeness());
            assert_eq!(dump.completeness().expected_size, file.build().len() as u64, "{what}");
            check_pages(&file, &dump, 0..710);
            let release = dump.vmcoreinfo().and_then(|info| info.release().map(str::to_owned));
            assert_eq!(release.is_some(), version >= 3, "{what}");
            assert_eq!(dump.notes().iter().count(), [0, 0, 0, 1, 2, 2, 2][version as usize], "{what}");
            assert_eq!(dump.page_size(), Some(4096), "{what}");
        }
    }
}

/// What is wrong with a dump, which `verify` tells too.
fn told(bytes: Vec<u8>) -> Vec<String> {
    let dump = open(bytes);
    let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    let defects = &dump.completeness().defects;
    assert!(found.defects.starts_with(defects), "{:?} {defects:?}", found.defects);
    assert!(defects.is_empty() || !(dump.completeness().is_complete() || found.is_sound()));
    defects.iter().map(ToString::to_string).collect()
}

#[test]
fn a_wrong_bit_in_the_bitmap_of_stored_pages_is_told() {
    for (wire, packed) in layouts() {
        for zeros in [0, 1] {
            let mut file = sample(wire, packed);
            file.dump_level = zeros;
            file.pages.retain(|_, page| zeros == 1 || !matches!(page, Stored::Zero));
            assert_eq!(told(file.build()), [""; 0]);
            for pfn in [0, 3, 50, 101, 103, 300, 649, 650] {
                let mut bytes = file.build();
                bytes[file.layout().bitmap_2 as usize + pfn / 8] ^= 1 << (pfn % 8);
                let told = told(bytes);
                assert!(told.iter().any(|line| line.contains("first page's data")), "{pfn}: {told:?}");
            }
        }
    }
}

#[test]
fn a_wrong_bit_is_told_of_each_part_of_a_set() {
    let file = sample(Wire::LE64, false);
    let mut parts = [0..40, 40..320, 320..700].map(|pfns| file.part(pfns).build());
    parts[0][file.layout().bitmap_2 as usize + 20] ^= 1;
    let dump = set(&parts).unwrap();
    let defects = &dump.completeness().defects;
    // The others have bitmaps of their own, by which they are read.
    let misplaced = |error: &&Error| error.to_string().contains("first page's data");
    assert_eq!(defects.iter().filter(misplaced).count(), 1, "{defects:?}");
    let told: Vec<_> = defects.iter().filter(|error| !misplaced(error)).collect();
    let pfn = 160;
    assert_eq!(told[..2], [&Error::PartBitmap { part: 2, pfn }, &Error::PartBitmap { part: 3, pfn }]);
    check_pages(&file, &dump, 40..700);
}

/// Threads may write the first pages in another order, and none of them comes 80 pages late.
#[test]
fn data_of_the_first_pages_that_lies_far_behind_is_told() {
    let file = KdumpFile::new(Wire::LE64, 100).with_pages(0..100, &[PageCodec::Raw]);
    let swapped = |first: usize, other: usize| {
        let (table, mut bytes) = (file.layout().descriptors as usize, file.build());
        for at in 0..24 {
            bytes.swap(table + first * 24 + at, table + other * 24 + at);
        }
        told(bytes)
    };
    assert_eq!(swapped(0, 40), [""; 0]);
    let told = swapped(0, 80);
    assert!(told[0].starts_with("the offset of the first page's data"), "{told:?}");
}

#[test]
fn a_wrong_length_of_the_sub_header_is_told() {
    let file = sample(Wire::LE64, false);
    for blocks in [2, 3, 5, 6] {
        let told = told(file.clone().set("sub_hdr_size", blocks).build());
        assert!(!told.is_empty(), "{blocks}");
    }
}

/// A stream as makedumpfile writes it: what pads blocks is in no record.
fn stream(file: &KdumpFile) -> dumpgen::Flattened {
    let mut flat = dumpgen::Flattened::of(&[], 1);
    let layout = file.layout();
    let (mut pieces, whole) = (file.pieces().0, file.build());
    let bitmap = file.max_mapnr.div_ceil(8);
    pieces.retain(|(at, bytes)| !bytes.is_empty() && (*at < layout.bitmap_1 || *at >= layout.descriptors));
    for at in [layout.bitmap_1, layout.bitmap_2] {
        pieces.push((at, whole[at as usize..(at + bitmap) as usize].to_vec()));
    }
    for (at, bytes) in pieces {
        for (index, piece) in bytes.chunks(5000).enumerate() {
            flat = flat.last(i64::try_from(at + index as u64 * 5000).unwrap(), piece);
        }
    }
    flat
}

#[test]
fn a_record_in_a_wrong_place_is_told() {
    for (wire, packed) in layouts() {
        let file = sample(wire, packed);
        let flat = stream(&file);
        assert_eq!(told(flat.build()), [""; 0]);
        let header = flat.records[0].bytes.clone();
        // Written again, as makedumpfile does at the end.
        assert_eq!(told(flat.clone().last(0, &header).build()), [""; 0]);
        for record in 1..flat.records.len() {
            for bit in [0, 3, 4, 9, 12, 13, 14, 16, 17, 20, 24] {
                let mut flat = flat.clone();
                flat.records[record].offset ^= 1 << bit;
                let dump = match Dump::open(flat.build()) {
                    Ok(dump) => dump,
                    // It covers the header.
                    Err(Error::UnknownFormat { .. } | Error::Corrupt { .. })
                        if flat.records[record].offset < 4096 =>
                    {
                        continue;
                    }
                    Err(error) => panic!("{record} {bit}: {error}"),
                };
                let found = &dump.completeness().defects;
                let flattened = |error: &Error| error.to_string().contains("flattened stream");
                assert!(found.iter().any(flattened), "{wire:?} {record} {bit}: {found:?}");
            }
        }
        for record in 1..flat.records.len() {
            let mut flat = flat.clone();
            flat.records.remove(record);
            assert!(!open(flat.build()).completeness().is_complete(), "{record}");
        }
    }
}

/// Bytes of a page that no record gives are no zeros of the page.
#[test]
fn pages_of_lost_records_are_missing() {
    for codecs in [&[PageCodec::Raw][..], &PageCodec::ALL] {
        let file = KdumpFile { dump_level: 1, ..KdumpFile::new(Wire::LE64, 60) };
        let file = file.with_pages(2..40, codecs).with(40, Stored::Zero).with(50, Stored::Zero);
        let (flat, data) = (stream(&file), file.layout().data as i64);
        let all = open(flat.build());
        assert_eq!(agree(&all), 0);
        let of_data = (0..flat.records.len()).filter(|index| flat.records[*index].offset >= data);
        let mut checked = 0;
        for record in of_data {
            let mut flat = flat.clone();
            let lost = flat.records.remove(record);
            // Without its last bytes the file is a shorter one.
            if flat.records.iter().all(|record| record.offset < lost.offset) {
                continue;
            }
            let dump = open(flat.build());
            assert!(!dump.completeness().is_complete(), "{record}");
            let (mut reader, mut missing) = (dump.reader(), 0);
            for (pfn, stored) in &file.pages {
                let kind = reader.kind(Paddr(pfn * 4096)).unwrap();
                assert_eq!(reader.look(Paddr(pfn * 4096)).unwrap().kind, kind, "{record} {pfn}");
                match (page(&dump, *pfn), stored) {
                    (Ok(got), Stored::Page(_, bytes)) => assert!(kind == SpanKind::Stored && &got == bytes),
                    (Ok(got), _) => assert!(kind == SpanKind::Zero && got == [0; 4096]),
                    (Err(Error::Truncated { what, .. }), _) => {
                        assert!(what.contains("flattened stream"), "{what}");
                        assert_eq!(kind, SpanKind::Missing, "{record} {pfn}");
                        let small = reader.read_phys(Paddr(pfn * 4096 + 4000), &mut [0; 8]);
                        assert!(small.is_err(), "a part of it, {record} {pfn}");
                        missing += 4096;
                    }
                    (Err(error), _) => panic!("{record} {pfn}: {error}"),
                }
            }
            assert!(missing > 0, "{record} at {:#x}", lost.offset);
            let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
            assert_eq!(found.unreadable.bytes, missing, "{record}");
            checked += 1;
        }
        assert!(checked > 5, "{checked}");
    }
}

/// Streams of ours leave out pieces of a bitmap without a bit, and nothing else.
#[test]
fn what_our_streams_leave_out_is_no_damage() {
    let piece = 8 << 16;
    let mut file = KdumpFile::new(Wire::LE64, 5 * piece).with_pages([7, piece * 2 + 9], &PageCodec::ALL);
    file.ram = vec![0..20, piece * 2..piece * 2 + 20];
    let (mut bytes, source) = (Vec::new(), open(file.build()));
    let mut sink = Flatten::new(|piece: &[u8]| {
        bytes.extend(piece);
        Ok(())
    });
    let plan = KdumpPlan::new(&source, KdumpOptions::default()).unwrap();
    let report = plan.copy(&mut sink, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.is_whole());
    assert_eq!(told(bytes.clone()), [""; 0]);
    // Each record on its own lost, to a place behind the end, or onto the one before.
    let (mut at, mut records) = (4096, 0);
    let number = |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    while number(&bytes, at) != u64::MAX {
        for moved in [1 << 29, number(&bytes, at) ^ 1 << 16, number(&bytes, at) ^ 1 << 17] {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&u64::to_be_bytes(moved));
            let Ok(dump) = Dump::open(bytes) else { continue };
            // The second record is what pads the block behind the notes.
            let harmless = records == 1 && moved == 1 << 29;
            assert_eq!(dump.completeness().is_complete(), harmless, "{records} {moved:#x}");
            if harmless {
                check_pages(&file, &dump, 0..30);
            }
        }
        (at, records) = (at + 16 + number(&bytes, at + 8) as usize, records + 1);
    }
    assert!(records > 6, "{records}");
}

#[test]
fn a_dump_that_stores_no_page_is_not_sound() {
    for (wire, packed) in layouts() {
        let mut file = sample(wire, packed);
        file.pages.clear();
        let found = told(file.build());
        assert!(found.len() == 1 && found[0].ends_with("no memory is stored"), "{found:?}");
        file.one_bitmap = true;
        assert_eq!(told(file.build()), found);
    }
}

#[test]
fn a_stored_page_that_is_no_ram_is_told() {
    // Two bits that differ leave their number as it was.
    let file = sample(Wire::LE64, false);
    let (bitmap, mut bytes) = (file.layout().bitmap_2 as usize, file.build());
    bytes[bitmap + 50 / 8] ^= 1 << (50 % 8);
    bytes[bitmap + 200 / 8] ^= 1 << (200 % 8);
    let found = told(bytes);
    assert!(found.len() == 1 && found[0].contains("second bitmap") && found[0].contains("0xc8"), "{found:?}");
    // Or RAM is not known as such.
    let mut bytes = file.build();
    bytes[file.layout().bitmap_1 as usize + 50 / 8] ^= 1 << (50 % 8);
    let found = told(bytes);
    assert!(found.len() == 1 && found[0].contains("0x32"), "{found:?}");
}

#[test]
fn spans_tell_stored_excluded_and_holes_apart() {
    let mut file = sample(Wire::LE64, false);
    file.pages.retain(|pfn, _| *pfn < 12 || *pfn > 640);
    let dump = open(file.build());
    let expected = [
        (0, 3, "excluded"),
        (3, 4, "stored"),
        (4, 5, "excluded"),
        (5, 12, "stored"),
        (12, 160, "excluded"),
        (160, 256, "hole"),
        (256, 641, "excluded"),
        (641, 643, "stored"),
        (643, 644, "excluded"),
        (644, 650, "stored"),
        (650, 651, "excluded"),
    ];
    assert_eq!(kinds(&dump), expected);
    assert_eq!(dump.memory_size(), (160 + 395) * 4096);
    for (start, end, kind) in expected {
        for pfn in start..end {
            let span = dump.span(Paddr(pfn * 4096 + 7)).unwrap();
            assert_eq!(
                (span.range.start() / 4096, span.range.end() / 4096, span.kind.name()),
                (start, end, kind)
            );
        }
    }
    assert_eq!(dump.span(Paddr(651 * 4096)), None);
    assert_eq!(dump.span(Paddr(u64::MAX)), None);
}

#[test]
fn one_bitmap_of_an_old_full_dump_lists_all_ram() {
    let mut file = KdumpFile::new(Wire::LE64, 5000).with_pages(1..4500, &[PageCodec::Raw]);
    file.signature = *b"DISKDUMP";
    file.version = 0;
    file.one_bitmap = true;
    let dump = open(file.build());
    assert_eq!(dump.format(), "diskdump");
    assert_eq!(kinds(&dump), [(1, 4500, "stored")]);
    assert_eq!(page(&dump, 4499).unwrap(), file.content(4499));
    assert!(matches!(page(&dump, 4500), Err(Error::Hole { next: None, .. })));
    // That it ends early is told once.
    let mut cut = file.build();
    cut.truncate(file.layout().bitmap_2 as usize + 100);
    let defects = open(cut).completeness().defects.clone();
    let bitmap = |error: &&Error| matches!(error, Error::Truncated { what: "bitmap", .. });
    assert_eq!(defects.iter().filter(bitmap).count(), 1, "{defects:?}");
    // The same with both bitmaps has excluded pages.
    file.one_bitmap = false;
    assert_eq!(
        kinds(&open(file.build())),
        [(0, 1, "excluded"), (1, 4500, "stored"), (4500, 5000, "excluded")]
    );
}

#[test]
fn larger_pages() {
    for block_size in [8192, 65536, 1 << 18] {
        let mut file = KdumpFile::new(Wire::ALL[1], 40);
        file.block_size = block_size;
        let file = file.with_pages(2..30, &PageCodec::ALL[..4]);
        let dump = open(file.build());
        assert_eq!(dump.page_size(), Some(block_size.into()));
        let mut got = vec![0; 28 * block_size as usize];
        dump.reader().read_phys(Paddr(2 * u64::from(block_size)), &mut got).unwrap();
        let all: Vec<u8> = (2..30).flat_map(|pfn| file.content(pfn)).collect();
        assert!(got == all, "{block_size}");
    }
}

#[test]
fn reads_of_any_size_and_place_get_the_same_bytes() {
    let file = KdumpFile::new(Wire::LE64, 64).with_pages(0..64, &PageCodec::ALL);
    let all: Vec<u8> = (0..64).flat_map(|pfn| file.content(pfn)).collect();
    let dump = open(file.build());
    let mut reader = dump.reader();
    for (at, len) in (0..400_usize).map(|step| (step * 649 % 260_000, 1 + step * step * 7 % 20_000)) {
        let len = len.min(all.len() - at);
        let mut got = vec![0xee; len];
        reader.read_phys(Paddr(at as u64), &mut got).unwrap();
        assert!(got == all[at..at + len], "{at} {len}");
    }
    // A read that leaves the stored memory tells how far it came.
    let stopped = reader.read_phys(Paddr(63 * 4096 + 96), &mut [0; 8192]).unwrap_err();
    assert_eq!((stopped.read, stopped.at), (4000, 64 * 4096));
}

#[test]
fn lost_pages_of_incomplete_dumps_are_truncated() {
    let mut file = KdumpFile::new(Wire::LE64, 20)
        .with_pages(0..10, &[PageCodec::Lzo])
        .with(10, Stored::Lost)
        .with(11, Stored::Lost);
    file.status = STATUS_INCOMPLETE | 2;
    let dump = open(file.build());
    assert!(dump.completeness().defects.contains(&Error::Incomplete));
    assert!(!dump.completeness().is_complete());
    assert_eq!(page(&dump, 9).unwrap(), file.content(9));
    assert!(matches!(page(&dump, 10), Err(Error::Truncated { have: 0, .. })));
    let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(found.unreadable.bytes, 2 * 4096);
}

#[test]
fn damaged_pages_say_which_where_and_why() {
    let good = PageCodec::Lzo.encode(&KdumpFile::new(Wire::LE64, 1).content(1));
    let base = KdumpFile::new(Wire::LE64, 20).with_pages([0], &[PageCodec::Raw]);
    let cause = |stored: Stored| {
        let dump = open(base.clone().with(1, stored).with_pages([2], &[PageCodec::Zlib]).build());
        // Neighbours are as good as ever.
        assert_eq!(page(&dump, 0).unwrap(), base.content(0));
        assert_eq!(page(&dump, 2).unwrap(), base.content(2));
        let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
        assert_eq!(found.unreadable.bytes, 4096);
        match page(&dump, 1).unwrap_err() {
            Error::Page { pfn: 1, offset, cause } => (offset, cause),
            other => panic!("{other}"),
        }
    };
    let data = base.clone().with(1, Stored::Lost).with(2, Stored::Lost).layout().data;
    assert!(
        matches!(cause(Stored::Given(2, good[..9].to_vec())), (at, PageFault::Codec(_)) if at == data + 4096)
    );
    assert!(matches!(cause(Stored::Given(1, good.clone())), (_, PageFault::Codec(_))));
    assert!(matches!(
        cause(Stored::Given(3, good)),
        (_, PageFault::Codec(CodecError::UnknownFlags { flags: 3 }))
    ));
    assert!(matches!(
        cause(Stored::Given(0, vec![1; 4095])),
        (_, PageFault::RawSize { size: 4095, page: 4096 })
    ));
    assert!(matches!(cause(Stored::Given(4, vec![])), (_, PageFault::Size { size: 0, .. })));
    assert!(matches!(cause(Stored::Descriptor(data, 4097, 2, 0)), (_, PageFault::Size { size: 4097, .. })));
    assert!(matches!(cause(Stored::Descriptor(data - 1, 4096, 0, 0)), (_, PageFault::Offset { .. })));
    // A short page must not be taken for a whole one.
    let short = PageCodec::Snappy.encode(&base.content(1)[..4000]);
    assert!(matches!(cause(Stored::Given(4, short)), (_, PageFault::Codec(CodecError::TooShort { .. }))));
}

#[test]
fn a_page_of_zeros_is_known_by_its_shared_place_only_when_it_is_zeros() {
    let mut file = sample(Wire::LE64, false);
    let at = file.layout().data as usize;
    let mut bytes = file.build();
    bytes[at + 5] = 9;
    let dump = open(bytes);
    assert_eq!(page(&dump, 101).unwrap()[5], 9);
    file.dump_level = 0;
    file.pages.retain(|pfn, _| *pfn > 300);
    check_pages(&file, &open(file.build()), 0..710);
}

#[test]
fn page_frames_beyond_32_bits() {
    /// A file of pieces with holes between them.
    struct Sparse(Vec<(u64, Vec<u8>)>, u64);
    impl ReadAt for Sparse {
        fn size(&self) -> Result<u64, Error> {
            Ok(self.1)
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
            let count = buf.len().min(self.1.saturating_sub(offset) as usize);
            buf[..count].fill(0);
            for (at, bytes) in &self.0 {
                let start = (*at).max(offset);
                let end = (at + bytes.len() as u64).min(offset + count as u64);
                if start < end {
                    buf[(start - offset) as usize..(end - offset) as usize]
                        .copy_from_slice(&bytes[(start - at) as usize..(end - at) as usize]);
                }
            }
            Ok(count)
        }
    }
    let far = 1 << 33;
    let mut file = KdumpFile::new(Wire::LE64, far + 100);
    file.ram = vec![0..10, far..far + 100];
    let file = file.with_pages([1, far + 7, far + 9], &PageCodec::ALL);
    let (pieces, size) = file.pieces();
    let dump = open(Sparse(pieces, size));
    assert_eq!(page(&dump, far + 9).unwrap(), file.content(far + 9));
    assert_eq!(page(&dump, far + 8), Err(Error::Excluded { paddr: (far + 8) * 4096 }));
    assert_eq!(page(&dump, 10), Err(Error::Hole { paddr: 40960, next: Some(far * 4096) }));
    assert_eq!(kinds(&dump)[3], (10, far, "hole"));
    // Version 5 has no place for such a number.
    let mut old = KdumpFile::new(Wire::LE64, 100).with_pages([7], &[PageCodec::Raw]);
    old.version = 5;
    assert_eq!(page(&open(old.build()), 7).unwrap(), old.content(7));
}

fn set(parts: &[Vec<u8>]) -> Result<Dump<'static>, Error> {
    Dump::open_parts(parts.iter().map(|part| Box::new(part.clone()) as Box<dyn ReadAt>).collect())
}

#[test]
fn parts_of_a_split_dump_in_any_order() {
    for (wire, packed) in layouts() {
        let file = sample(wire, packed);
        let parts = [0..40, 40..320, 320..700].map(|pfns| file.part(pfns).build());
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let dump = set(&order.map(|index: usize| parts[index].clone())).unwrap();
            check_pages(&file, &dump, 0..710);
            assert!(dump.completeness().is_complete(), "{:?}", dump.completeness());
        }
        // Parts may have no pages at all, as in the dumps of small machines.
        let empty = file.part(700..700).build();
        let all = file.part(0..700).build();
        check_pages(&file, &set(&[empty.clone(), all.clone(), empty]).unwrap(), 0..710);
        // Wherever their no pages are said to be.
        for (start, end) in [(350, 350), (5, 5), (400, 0)] {
            let empty = file.part(0..0).set("start_pfn_64", start).set("end_pfn_64", end).build();
            check_pages(&file, &set(&[all.clone(), empty.clone()]).unwrap(), 0..710);
            check_pages(
                &file,
                &set(&[parts[2].clone(), empty, parts[0].clone(), parts[1].clone()]).unwrap(),
                0..710,
            );
        }
        // A stream among them.
        let flat = dumpgen::Flattened::of(&parts[1], 900).build();
        check_pages(&file, &set(&[parts[0].clone(), flat, parts[2].clone()]).unwrap(), 0..710);
    }
}

#[test]
fn parts_that_disagree_in_their_bitmaps_are_told() {
    for (wire, packed) in layouts() {
        let file = sample(wire, packed);
        let parts = [0..40, 40..320, 320..700].map(|pfns| file.part(pfns).build());
        let layout = file.layout();
        let defects = |parts: &[Vec<u8>]| set(parts).unwrap().completeness().defects.clone();
        assert_eq!(defects(&parts), []);
        for bitmap in [layout.bitmap_1, layout.bitmap_2] {
            for pfn in [0_u64, 7, 8, 500, file.max_mapnr - 1] {
                let mut damaged = parts.clone();
                damaged[1][bitmap as usize + pfn as usize / 8] ^= 1 << (pfn % 8);
                assert_eq!(defects(&damaged), [Error::PartBitmap { part: 2, pfn }]);
                let [first, second, third] = damaged;
                // Whichever is damaged: both others differ from the part with the first page frames.
                let mut damaged = [first, second, third];
                damaged.swap(0, 1);
                assert_eq!(defects(&damaged), [Error::PartBitmap { part: 1, pfn }]);
            }
            // What pads the last byte is nobody's.
            if file.max_mapnr % 8 != 0 {
                let mut padded = parts.clone();
                padded[2][bitmap as usize + file.max_mapnr as usize / 8] ^= 0x80;
                assert_eq!(defects(&padded), []);
            }
        }
        // A part that ends inside its bitmaps.
        let mut cut = parts.clone();
        cut[2].truncate(layout.bitmap_2 as usize + 3);
        let told = defects(&cut);
        assert!(
            told.iter().any(|error| matches!(error, Error::Truncated { what: "bitmap", .. })),
            "{told:?}"
        );
    }
}

/// As makedumpfile leaves a part on a full disk: descriptors and data are there, pieces of its bitmaps are not.
#[test]
fn a_part_is_read_by_its_own_bitmap_where_another_lacks_bits() {
    for (wire, packed) in layouts() {
        let file = sample(wire, packed);
        let layout = file.layout();
        // A part that begins within a byte of the bitmap, and one at the end of it.
        for pfns in [[0..40, 40..320, 320..700], [0..41, 41..323, 323..700], [0..37, 37..39, 39..700]] {
            let mut parts = pfns.clone().map(|pfns| file.part(pfns).build());
            let bits = layout.bitmap_2 as usize;
            parts[0][bits + 60..bits + 88].fill(0);
            let dump = set(&parts).unwrap();
            let defects = &dump.completeness().defects;
            let told = |error: &&Error| matches!(error, Error::PartBitmap { part: 2 | 3, pfn: 480 });
            assert_eq!(defects.iter().filter(told).count(), 2, "{defects:?}");
            check_pages(&file, &dump, pfns[1].start..710);
            // The first part has its bits, and only their number is wrong.
            check_pages(&file, &dump, 0..pfns[1].start);
            let mut zeros = dump.reader().zero_excluded(true);
            let mut got = vec![0xee; 4096];
            zeros.read_phys(Paddr(500 * 4096), &mut got).unwrap();
            assert_eq!(got, file.content(500));
            // Of a part that is not given nobody says that its pages were left out.
            let lacking = set(&parts[..2]).unwrap();
            assert!(matches!(page(&lacking, 500), Err(Error::PartNotGiven { .. })));
            assert_eq!(lacking.span(Paddr(500 * 4096)).unwrap().kind, SpanKind::Missing);
        }
    }
}

/// What a part says of page frames of others counts for nothing, and a bitmap that is not whole for no page.
#[test]
fn damage_to_the_bitmap_of_a_part_is_its_own() {
    let file = sample(Wire::LE64, false);
    let bits = file.layout().bitmap_2 as usize;
    let parts = [0..40, 40..320, 320..700].map(|pfns| file.part(pfns).build());
    // Page 50 is of the part that is not given.
    let mut third = parts[2].clone();
    third[bits + 50 / 8] ^= 1 << (50 % 8);
    let dump = set(&[parts[0].clone(), third]).unwrap();
    assert!(matches!(page(&dump, 50), Err(Error::PartNotGiven { start: 40, end: 320 })));
    assert_eq!(dump.span(Paddr(50 * 4096)).unwrap().kind, SpanKind::Missing);
    check_pages(&file, &dump, 320..700);
    // The second part ends inside a long bitmap, of which a bit is wrong far in front of that.
    let pages = (3..90).chain(700_000..700_020).chain(1_000_000..1_000_020);
    let file = KdumpFile::new(Wire::LE64, 1_100_000).with_pages(pages, &[PageCodec::Raw]);
    let bits = file.layout().bitmap_2 as usize;
    let [first, mut second, third] =
        [0..40, 40..900_000, 900_000..1_100_000].map(|pfns| file.part(pfns).build());
    second[bits + 100 / 8] ^= 1 << (100 % 8);
    second.truncate(bits + 800_000 / 8);
    let dump = set(&[first, second, third]).unwrap();
    assert!(dump.completeness().defects.contains(&Error::PartBitmap { part: 2, pfn: 100 }));
    check_pages(&file, &dump, 0..40);
    check_pages(&file, &dump, 999_990..1_000_030);
}

/// The disk of one was full.
#[test]
fn one_part_that_was_not_finished_makes_the_set_incomplete() {
    let file = sample(Wire::LE64, false);
    for unfinished in 0..3 {
        let mut parts = [0..40, 40..320, 320..700].map(|pfns| file.part(pfns));
        parts[unfinished].status |= STATUS_INCOMPLETE;
        let dump = set(&parts.map(|part| part.build())).unwrap();
        assert_eq!(dump.completeness().defects, [Error::Incomplete], "{unfinished}");
        check_pages(&file, &dump, 0..710);
    }
    // Any other bit of it is as good as any field.
    let mut other = file.part(40..700);
    other.status |= 2;
    assert!(matches!(set(&[file.part(0..40).build(), other.build()]), Err(Error::Part { part: 2, .. })));
}

#[test]
fn a_part_that_is_not_given_is_told() {
    let file = sample(Wire::LE64, false);
    let parts = [0..40, 40..320, 320..700].map(|pfns| file.part(pfns).build());
    let missing = Error::PartNotGiven { start: 40, end: 320 };
    let dump = set(&[parts[2].clone(), parts[0].clone()]).unwrap();
    assert_eq!(dump.completeness().defects, [missing]);
    assert!(!dump.completeness().is_complete());
    assert_eq!(page(&dump, 50), Err(missing));
    assert_eq!(page(&dump, 39).unwrap(), file.content(39));
    check_pages(&file, &dump, 320..700);
    assert_eq!(dump.span(Paddr(50 * 4096)).unwrap().kind, SpanKind::Missing);
    let pages = file.pages.range(40..320).count() as u64;
    assert_eq!(dump.completeness().missing, pages * 4096);
    // One part alone lacks the others.
    let dump = open(parts[1].clone());
    let gaps = [Error::PartNotGiven { start: 0, end: 40 }, Error::PartNotGiven { start: 320, end: 700 }];
    assert_eq!(dump.completeness().defects, gaps);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let file = sample(Wire::LE64, false);
    let part = |pfns| file.part(pfns).build();
    let reason = |parts: &[Vec<u8>]| match set(parts).unwrap_err() {
        Error::Part { part, reason, .. } => (part, reason),
        other => panic!("{other}"),
    };
    let (number, text) = reason(&[part(0..40), part(40..700), part(0..40)]);
    assert!(number == 3 && text.contains("once"), "{text}");
    let (number, text) = reason(&[part(0..40), part(39..700)]);
    assert!(number == 2 && text.contains("has too"), "{text}");
    let mut other = file.clone();
    other.timestamp += 1;
    let (number, text) = reason(&[part(0..40), other.part(40..700).build()]);
    assert!(number == 2 && text.contains("another dump"), "{text}");
    let (number, text) =
        reason(&[part(0..40), part(40..400).clone(), file.part(400..700).set("phys_base", 7).build()]);
    assert!(number == 3 && text.contains("phys_base"), "{text}");
    let (number, text) = reason(&[part(0..40), file.part(40..700).set("dump_level", 0).build()]);
    assert!(number == 2 && text.contains("dump_level"), "{text}");
    // Another crash of the same machine, in every byte of its notes.
    for at in (0..file.notes.len()).step_by(9).chain([file.notes.len() - 1]) {
        let mut other = file.clone();
        other.notes[at] ^= 1;
        let (number, text) = reason(&[part(0..40), other.part(40..700).build()]);
        assert!(number == 2 && text.contains("another dump: its notes"), "{text}");
    }
    let mut other = file.clone();
    other.notes.extend(note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [2; 27])));
    assert!(reason(&[part(0..40), other.part(40..700).build()]).1.contains("notes"));
    // Of version 3 the text is in no note.
    let old = KdumpFile { version: 3, ..file.clone() };
    let mut other = old.clone();
    *other.notes.last_mut().unwrap() ^= 1;
    other.notes[old.vmcoreinfo.start + 10] ^= 1;
    assert!(reason(&[old.part(0..40).build(), other.part(40..700).build()]).1.contains("notes"));
    let (number, text) = reason(&[part(0..40), file.build()]);
    assert!(number == 2 && text.contains("whole"), "{text}");
    let elf = dumpgen::CoreFile::x86_64().build();
    assert!(matches!(set(&[part(0..40), elf]), Err(Error::UnknownFormat { .. })));
}

#[test]
fn a_header_field_that_cannot_be_right_is_named() {
    let bad =
        |name: &'static str, value: u64| match Dump::open(sample(Wire::LE64, false).set(name, value).build())
        {
            Err(Error::Corrupt { what, value: found, .. } | Error::TooLarge { what, value: found, .. }) => {
                assert_eq!((what, found), (name, value));
            }
            other => panic!("{name}: {other:?}"),
        };
    for value in [0, 1, 4095, 6000, 2 << 20, 0x10_0000, 0x8000_0000] {
        bad("block_size", value);
    }
    bad("sub_hdr_size", 0);
    bad("sub_hdr_size", 0xffff_ffff);
    bad("bitmap_blocks", 0);
    bad("max_mapnr", 0);
    bad("header_version", 0x7700_7700);
    let dump = open(sample(Wire::LE64, false).set("max_mapnr_64", 1 << 50).build());
    assert!(matches!(dump.completeness().defects[..], [Error::Corrupt { what: "max_mapnr_64", .. }]));
    check_pages(&sample(Wire::LE64, false), &dump, 0..710);
    let huge = sample(Wire::LE64, false).set("max_mapnr", 0xffff_ffff).set("bitmap_blocks", 0xffff_ffff);
    assert!(matches!(
        Dump::open(huge.set("max_mapnr_64", 1 << 40).build()),
        Err(Error::TooLarge { what: "max_mapnr", .. })
    ));
}

#[test]
fn no_value_of_any_header_field_stops_the_reader() {
    for (wire, packed) in layouts() {
        let mut file = sample(wire, packed);
        file.pages.retain(|pfn, _| pfn % 40 == 5);
        for name in file.members().into_iter().filter(|name| *name != "signature") {
            for value in [0, 1, 2, 5, 0xffff, 0x10_0000, 0x7fff_ffff, 0xffff_ffff, 1 << 40, 1 << 62, u64::MAX]
            {
                let Ok(dump) = Dump::open(file.clone().set(name, value).build()) else { continue };
                let mut reader = dump.reader();
                for pfn in (0..720).step_by(61) {
                    let _ = reader.read_phys(Paddr(pfn * 4096), &mut [0; 64]);
                }
                assert!(dump.spans().take(2000).count() <= 2000);
                let _ = (dump.cpus().count(), dump.notes().iter().count(), dump.facts().details.len());
            }
        }
    }
}

#[test]
fn cut_anywhere_a_page_is_right_or_truncated() {
    for (wire, packed) in layouts() {
        let file = sample(wire, packed);
        let whole = file.build();
        let mut opened = 0;
        for step in 0..200 {
            let cut = whole.len() * step / 200;
            let dump = match Dump::open(whole[..cut].to_vec()) {
                Ok(dump) => dump,
                Err(Error::Truncated { .. }) => continue,
                Err(error) => panic!("cut at {cut}: {error}"),
            };
            opened += 1;
            assert!(!dump.completeness().is_complete(), "cut at {cut}");
            let mut lost = 0;
            for (pfn, stored) in &file.pages {
                match (page(&dump, *pfn), stored) {
                    (Ok(got), Stored::Page(_, bytes)) => assert!(got == *bytes, "{pfn} cut at {cut}"),
                    (Ok(got), _) => assert!(got == [0; 4096], "{pfn} cut at {cut}"),
                    (Err(Error::Truncated { .. }), _) => {
                        lost += 1;
                        let kind = dump.span(Paddr(pfn * 4096)).unwrap().kind;
                        assert_eq!(kind, SpanKind::Missing, "{pfn} cut at {cut}");
                    }
                    (Err(error), _) => panic!("{pfn} cut at {cut}: {error}"),
                }
            }
            assert!(lost > 0, "cut at {cut}");
            assert!(dump.completeness().missing > 0, "cut at {cut}");
        }
        assert!(opened > 150, "{opened}");
    }
}

/// What the headers and the descriptors tell of a dump and what reading all of it finds are the same.
fn agree(dump: &Dump<'_>) -> u64 {
    let found = verify(dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    let state = dump.completeness();
    assert_eq!(state.missing + state.unreadable, found.unreadable.bytes);
    assert_eq!(state.is_complete(), found.is_sound(), "{state:?} {found:?}");
    let mut reader = dump.reader();
    let lost = reader.looks().filter(|span| span.kind.is_lost()).map(|span| span.range.size());
    assert_eq!(lost.sum::<u64>(), found.unreadable.bytes);
    state.missing
}

/// Pages of zeros share a place in the front of the file, whatever is cut off behind.
#[test]
fn zeros_do_not_hide_that_a_file_is_cut() {
    let data = |pfns: Range<u64>| pfns.map(|pfn| (pfn, Stored::Page(PageCodec::Lzo, vec![]))).collect();
    let zeros = |pfns: Range<u64>| pfns.map(|pfn| (pfn, Stored::Zero)).collect::<Vec<_>>();
    let front: Vec<(u64, Stored)> = data(0..300);
    for pages in [
        // The last ones, fewer and more than are looked at together.
        [front.clone(), zeros(300..370), vec![]],
        [front.clone(), zeros(300..9000), vec![]],
        // In the middle, so that a search in halves meets nothing else.
        [data(0..200), zeros(200..9000), data(9000..9100)],
        [zeros(0..9000), data(9000..9300), zeros(9300..9400)],
    ] {
        let mut file = KdumpFile::new(Wire::LE64, 9400);
        file.dump_level = 1;
        for (pfn, stored) in pages.concat() {
            let content = file.content(pfn);
            file.pages.insert(
                pfn,
                match stored {
                    Stored::Page(codec, _) => Stored::Page(codec, content),
                    other => other,
                },
            );
        }
        let (whole, start) = (file.build(), file.layout().data as usize + 4096);
        assert_eq!(agree(&open(whole.clone())), 0);
        for step in 0..40 {
            let cut = start + (whole.len() - start) * step / 40;
            let dump = open(whole[..cut].to_vec());
            assert!(agree(&dump) > 0, "cut at {cut}");
            assert!(dump.completeness().expected_size == whole.len() as u64, "cut at {cut}");
            for (pfn, stored) in file.pages.iter().step_by(7) {
                let got = page(&dump, *pfn);
                assert!(got.is_ok() || matches!(stored, Stored::Page(..)), "{pfn} cut at {cut}: {got:?}");
            }
        }
        let dump = open(whole[..whole.len() - 1].to_vec());
        assert_eq!(agree(&dump), 4096);
    }
}

/// The end of the bitmap is not there; descriptors and pages are.
#[test]
fn pages_whose_bits_are_lost_are_missing_and_the_others_are_read() {
    let file = KdumpFile::new(Wire::LE64, 60_000).with_pages((1..60_000).step_by(13), &[PageCodec::Zlib]);
    let lost = file.layout().bitmap_2 as usize + 4096;
    let mut flat = dumpgen::Flattened::of(&file.build(), 2048);
    flat.records.retain(|record| !(lost..lost + 4096).contains(&usize::try_from(record.offset).unwrap()));
    flat.end = false;
    let dump = open(flat.build());
    assert_eq!(agree(&dump), (60_000 - 32_768) * 4096);
    check_pages(&file, &dump, 0..100);
    check_pages(&file, &dump, 32_700..32_768);
    let mut reader = dump.reader();
    let rest = dump.span(Paddr(32_768 * 4096)).unwrap();
    assert_eq!((rest.range.start(), rest.range.end()), (32_768 * 4096, 60_000 * 4096));
    for pfn in [32_768, 32_769, 40_002, 59_999] {
        assert_eq!(reader.look(Paddr(pfn * 4096)), Some(rest), "{pfn}");
        assert_eq!(reader.kind(Paddr(pfn * 4096)), Some(SpanKind::Missing), "{pfn}");
        assert!(matches!(page(&dump, pfn), Err(Error::Truncated { what: "bitmap", .. })), "{pfn}");
    }
}

/// A run of pages that ends inside a word of both bitmaps, of which the file has different parts.
#[test]
fn cut_anywhere_every_page_of_a_span_gives_that_span() {
    let file = KdumpFile::new(Wire::LE64, 20).with_pages(0..6, &[PageCodec::Raw]);
    let whole = file.build();
    // The second bitmap lies behind the first one, in the same blocks.
    for cut in (0..whole.len()).chain([whole.len()]) {
        let Ok(dump) = Dump::open(whole[..cut].to_vec()) else { continue };
        for span in dump.spans() {
            for at in [span.range.start(), span.range.last()] {
                assert_eq!(dump.span(Paddr(at)), Some(span), "{at:#x} cut at {cut}");
            }
        }
    }
}

#[test]
fn qemu_leaves_out_names_and_time() {
    let file = sample(Wire::LE64, false).qemu();
    let dump = open(dumpgen::Flattened::of(&file.build(), 300).build());
    check_pages(&file, &dump, 0..710);
    let details: Vec<_> = dump.facts().details.iter().map(|(name, text)| format!("{name}={text}")).collect();
    assert!(details.iter().any(|line| line.starts_with("writer=QEMU")), "{details:?}");
    assert!(details.iter().any(|line| line.starts_with("flattened=")), "{details:?}");
}

#[test]
fn a_machine_without_a_name_is_known_by_what_its_cpus_left() {
    let cases = [
        (Wire::LE64, 392, Some(Arch::Arm64)),
        (Wire::LE64, 336, Some(Arch::X86_64)),
        (Wire { big: true, ..Wire::LE64 }, 336, Some(Arch::S390x)),
        (Wire::LE64, 504, Some(Arch::Ppc64)),
        (Wire { big: true, ..Wire::LE64 }, 392, None),
        (Wire::LE64, 391, None),
    ];
    for (wire, size, arch) in cases {
        let mut file = KdumpFile::new(wire, 16).with_pages(0..4, &[PageCodec::Raw]).qemu();
        file.utsname[4] = "Unknown".into();
        file.notes = note(wire, "CORE", 1, &vec![0; size]);
        assert_eq!(open(file.build()).arch(), arch, "{size}");
        file.utsname[4] = "riscv64".into();
        assert_eq!(open(file.build()).arch(), Some(Arch::Riscv64), "its name comes first");
        file.utsname[4] = String::new();
        assert_eq!(open(file.build()).arch(), arch, "no name, {size}");
        // An architecture that is not known is none of those that are.
        file.utsname[4] = "mips64".into();
        assert_eq!(open(file.build()).arch(), None, "{size}");
    }
}

#[test]
fn details_name_codecs_level_and_what_was_erased() {
    let mut file = sample(Wire::LE64, false);
    file.dump_level = 31;
    file.erase_info = "erase key size 32\n".into();
    let dump = open(file.build());
    assert!(dump.completeness().is_complete(), "{:?}", dump.completeness());
    let find = |name| {
        dump.facts().details.iter().find(|(other, _)| *other == name).map(|(_, text)| text.clone()).unwrap()
    };
    assert!(find("codecs").contains("zstd"), "{}", find("codecs"));
    assert!(find("dump level").contains("31 (leaves out: zero, cache, cache-private, user, free)"));
    assert_eq!(find("erase info"), "erase key size 32");
}

#[test]
fn a_look_tells_what_the_descriptors_say() {
    let file = KdumpFile::new(Wire::LE64, 30)
        .with_pages(0..10, &[PageCodec::Lzo])
        .with(10, Stored::Zero)
        .with(11, Stored::Zero)
        .with(12, Stored::Lost)
        .with(13, Stored::Given(3, vec![1; 9]))
        .with(14, Stored::Descriptor(1 << 40, 4096, 0, 0))
        .with_pages([20], &[PageCodec::Raw]);
    #[allow(clippy::single_range_in_vec_init, reason = "RAM is a list of ranges")]
    let file = KdumpFile { ram: vec![0..21], dump_level: 1, ..file };
    let dump = open(file.build());
    let mut reader = dump.reader();
    let page = |at: u64| at / 4096;
    let kinds: Vec<_> = reader
        .looks()
        .map(|span| (page(span.range.start()), page(span.range.end()), span.kind.name()))
        .collect();
    let expected = [
        (0, 10, "stored"),
        (10, 12, "zero"),
        (12, 13, "missing"),
        (13, 14, "corrupt"),
        (14, 15, "missing"),
        (15, 20, "excluded"),
        (20, 21, "stored"),
    ];
    assert_eq!(kinds, expected);
    // What is a corrupt place for the one is so for the other.
    for (start, end, kind) in expected {
        for pfn in start..end {
            let got = reader.read_phys(Paddr(pfn * 4096), &mut [0; 4096]).map_err(|stopped| stopped.error);
            let fits = match kind {
                "stored" | "zero" => got.is_ok(),
                "missing" => matches!(got, Err(Error::Truncated { .. })),
                "corrupt" => matches!(got, Err(Error::Page { .. })),
                _ => matches!(got, Err(Error::Excluded { .. })),
            };
            assert!(fits, "{pfn} {kind} {got:?}");
            assert_eq!(reader.kind(Paddr(pfn * 4096 + 5)).unwrap().name(), kind, "{pfn}");
        }
    }
}

#[test]
fn saved_as_elf_it_reads_the_same() {
    for (wire, packed) in layouts() {
        let file = sample(wire, packed);
        let dump = open(file.build());
        let dir = std::env::temp_dir().join(format!("kdump-save-{}-{wire:?}-{packed}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        kdump_vmcore::save(&dump, &dir.join("dump.elf"), kdump_vmcore::SaveOptions::default(), &mut |_| {
            core::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let saved = Dump::open(std::fs::File::open(dir.join("dump.elf")).unwrap()).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(saved.format(), "elf");
        check_pages(&file, &saved, 0..651);
        assert_eq!(kinds(&saved), kinds(&dump));
        assert_eq!(saved.notes().iter().count(), 2);
        assert_eq!(saved.arch(), dump.arch());
    }
}

#[test]
fn the_writer_is_told_by_what_it_leaves() {
    let writer = |file: KdumpFile| {
        let dump = open(file.build());
        let text = dump.facts().details.iter().find(|(name, _)| *name == "writer").unwrap().1.clone();
        (dump.format(), text)
    };
    let file = sample(Wire::LE64, false);
    let diskdump = KdumpFile { signature: *b"DISKDUMP", ..file.clone() };
    assert_eq!(writer(diskdump), ("diskdump", "diskdump".to_owned()));
    assert_eq!(writer(file.clone()), ("kdump", "makedumpfile, or what writes as it does".to_owned()));
    assert_eq!(writer(file.qemu()), ("kdump", "QEMU, by the names it leaves out".to_owned()));
}

#[test]
fn texts_of_the_sub_header_have_sizes_that_can_be() {
    // Of version 3 the text of VMCOREINFO is all there is of notes.
    let old = KdumpFile { version: 3, ..sample(Wire::LE64, false) };
    assert!(told(old.build()).is_empty());
    let large = Dump::open(old.set("size_vmcoreinfo", (1 << 20) + 1).build()).unwrap();
    let error = Error::TooLarge { what: "size_vmcoreinfo", value: (1 << 20) + 1, limit: 1 << 20 };
    assert!(large.completeness().defects.contains(&error), "{:?}", large.completeness().defects);
    // Where nothing is there is no end of it.
    let none = Dump::open(sample(Wire::LE64, false).set("offset_eraseinfo", 1 << 40).build()).unwrap();
    assert!(none.completeness().is_complete(), "{:?}", none.completeness());
}
