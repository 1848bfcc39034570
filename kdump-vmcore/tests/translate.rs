//! Virtual addresses: PT_LOADs, the kernel's image, page tables of both depths.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dumpgen::{CoreFile, PageTableImage, Segment, Wire, note};
use kdump_elf::{Paddr, Vaddr};
use kdump_vmcore::{Dump, Error, IoError, KernelMemory, ReadAt, TableFault, TranslationCache};

const DIRECT: u64 = 0xffff_8880_0000_0000;
const IMAGE: u64 = 0xffff_ffff_8000_0000;
/// Where the image lies: a negative `phys_base` as KASLR makes it.
const PHYS_BASE: i64 = -0x100_0000;

/// 256 KiB of memory with tables at its middle; `vaddrs` of the direct map are `DIRECT`.
fn dump(tables: &PageTableImage, p_vaddr: u64, extra: &str) -> Dump<'static> {
    Dump::open(dump_file(tables, p_vaddr, extra).build()).unwrap()
}

fn dump_file(tables: &PageTableImage, p_vaddr: u64, extra: &str) -> CoreFile {
    let root_vaddr = IMAGE.wrapping_add(tables.root).wrapping_add_signed(-PHYS_BASE);
    let info = format!(
        "SYMBOL(swapper_pg_dir)={root_vaddr:x}\nNUMBER(phys_base)={PHYS_BASE}\nNUMBER(pgtable_l5_enabled)={}\n{extra}",
        i32::from(tables.levels == 5)
    );
    let load = Segment { p_vaddr, ..Segment::load(0, &tables.memory) };
    CoreFile::x86_64().with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes()))).with(load)
}

fn tables(levels: u32) -> PageTableImage {
    let mut tables = PageTableImage::new(0x4_0000, 0x2_0000, levels);
    for at in (0..0x2_0000).step_by(8) {
        tables.put(at, at);
    }
    tables
}

#[test]
fn pages_of_every_size_at_both_depths() {
    for (levels, base) in [(4, 0xffff_c900_0000_0000_u64), (5, 0xffa0_0000_0000_0000)] {
        let mut tables = tables(levels);
        tables.map(base + 0x1000, 0x5000, 1);
        tables.map(base + 0x2000, 0x3000, 1);
        tables.map(base + 0x4000_0000, 0, 2);
        tables.map(base + 0x8000_0000, 0, 3);
        let dump = dump(&tables, 0, "");
        let mut kernel = KernelMemory::new(&dump);
        assert_eq!(kernel.read_u64(Vaddr(base + 0x1008)).unwrap(), 0x5008);
        assert_eq!(kernel.read_u64(Vaddr(base + 0x4000_4010)).unwrap(), 0x4010);
        assert_eq!(kernel.read_u64(Vaddr(base + 0x8000_6018)).unwrap(), 0x6018);
        // Neighbours in virtual memory are strangers in physical memory.
        let mut bytes = [0; 16];
        kernel.read(Vaddr(base + 0x1ff8), &mut bytes).unwrap();
        assert_eq!(bytes[..8], 0x5ff8_u64.to_le_bytes());
        assert_eq!(bytes[8..], 0x3000_u64.to_le_bytes());
        let stopped = kernel.read(Vaddr(base + 0x2ff8), &mut bytes).unwrap_err();
        assert_eq!((stopped.read, stopped.at), (8, base + 0x3000));
        assert!(matches!(stopped.error, Error::NotMapped { level: 1, entry: 0, .. }));
        let far = kernel.read_u64(Vaddr(0xffff_8000_0000_0000)).unwrap_err();
        assert!(matches!(far.error, Error::NotMapped { level, .. } if u32::from(level) == levels));
        let odd = kernel.read_u64(Vaddr(0x1234_5678_9abc_def0)).unwrap_err();
        assert!(matches!(odd.error, Error::NoTranslation { .. } | Error::NotMapped { level: 5, .. }));
        assert!(kernel.read(Vaddr(u64::MAX), &mut [0; 2]).is_err());
    }
}

#[test]
fn encrypted_memory_has_a_bit_in_every_entry() {
    let mut tables = tables(4);
    tables.encryption_mask = 1 << 47;
    tables.map(0xffff_c900_0000_0000, 0x7000, 1);
    let dump = dump(&tables, 0, "NUMBER(sme_mask)=140737488355328\n");
    assert_eq!(KernelMemory::new(&dump).read_u64(Vaddr(0xffff_c900_0000_0010)).unwrap(), 0x7010);
}

/// The image at `vaddr` of the map `phys_base` tells.
fn image(at: u64) -> u64 {
    IMAGE.wrapping_add_signed(-PHYS_BASE) + at
}

#[test]
fn the_image_is_linear_where_no_tables_are_known() {
    let info = format!("NUMBER(phys_base)={PHYS_BASE}\n");
    let file = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
        .with(Segment::load(0, &tables(4).memory));
    let dump = Dump::open(file.build()).unwrap();
    assert_eq!(KernelMemory::new(&dump).read_u64(Vaddr(image(0x1230))).unwrap(), 0x1230);
}

#[test]
fn unmapped_addresses_of_the_image_are_not_mapped() {
    let mut tables = tables(4);
    tables.map(image(0x1000), 0x1000, 1);
    let dump = dump(&tables, 0, "");
    let mut kernel = KernelMemory::new(&dump);
    assert_eq!(kernel.read_u64(Vaddr(image(0x1230))).unwrap(), 0x1230);
    let stopped = kernel.read_u64(Vaddr(image(0x2230))).unwrap_err();
    assert!(matches!(stopped.error, Error::NotMapped { level: 1, entry: 0, .. }), "{stopped}");
}

#[test]
fn a_p_vaddr_counts_unless_the_page_tables_contradict_it() {
    let mut right = tables(4);
    right.map(DIRECT, 0, 3);
    let dump_right = dump(&right, DIRECT, "");
    let mut kernel = KernelMemory::new(&dump_right);
    assert!(kernel.contradicted().is_empty());
    assert_eq!(kernel.read_u64(Vaddr(DIRECT + 0x88)).unwrap(), 0x88);
    let mut wrong = tables(4);
    wrong.map(DIRECT, 0x1000, 1);
    let dump_wrong = dump(&wrong, DIRECT, "");
    let mut kernel = KernelMemory::new(&dump_wrong);
    assert_eq!(kernel.contradicted().len(), 1);
    assert_eq!(kernel.read_u64(Vaddr(DIRECT + 0x88)).unwrap(), 0x1088);
}

#[test]
fn addresses_that_stand_for_none_are_not_used() {
    for p_vaddr in [0, u64::from(u32::MAX), 0x1000] {
        let segment = Segment { p_vaddr, ..Segment::load(0x1000, &[1; 0x1000]) };
        let file = CoreFile::new(Wire { wide: false, big: false }, 3).with(segment);
        let dump = Dump::open(file.build()).unwrap();
        let found = KernelMemory::new(&dump).read_u32(Vaddr(p_vaddr));
        assert!(matches!(found.unwrap_err().error, Error::NoTranslation { .. }), "{p_vaddr:#x}");
    }
}

#[test]
fn loops_in_tables_end() {
    let mut tables = PageTableImage::new(0x2000, 0x1000, 5);
    for slot in 0..512 {
        tables.put(0x1000 + slot * 8, 0x1003);
    }
    let dump = dump(&tables, 0, "");
    let found = KernelMemory::new(&dump).translate(Vaddr(0xff00_0000_0000_0123)).unwrap();
    assert_eq!(found.paddr, Paddr(0x1123));
}

#[test]
fn entries_with_impossible_bits_are_named() {
    let mut tables = tables(5);
    // Bit 7 must be 0 in an entry of the root.
    tables.put(0x2_0000 + 0x1ff * 8, 0x2_1083);
    let dump = dump(&tables, 0, "");
    let error = KernelMemory::new(&dump).translate(Vaddr(0xffff_c900_0000_0000)).unwrap_err().error;
    let (table, cause) = (0x2_0ff8, TableFault::Entry(0x2_1083));
    assert_eq!(error, Error::PageTable { vaddr: 0xffff_c900_0000_0000, level: 5, table, cause });
}

/// Bits between the flags and the frame of a large page, of which bit 12 is a flag (PAT).
#[test]
fn large_pages_at_odd_addresses_are_impossible() {
    for (level, top) in [(2_u8, 20), (3, 29)] {
        for bit in 12..=top {
            let mut tables = tables(4);
            tables.map(VMALLOC, 1 << bit, level.into());
            let dump = dump(&tables, 0, "");
            let found = KernelMemory::new(&dump).read_u64(Vaddr(VMALLOC + 0x5008));
            if bit == 12 {
                assert_eq!(found.unwrap(), 0x5008);
                continue;
            }
            let error = found.unwrap_err().error;
            let told = matches!(
                error,
                Error::PageTable { level: at, cause: TableFault::Entry(entry), .. } if at == level && entry >> bit & 1 == 1
            );
            assert!(told, "{bit}: {error}");
        }
    }
}

#[test]
fn a_phys_base_that_is_no_number_is_named() {
    for value in ["0xzz", "", "1 2", "99999999999999999999"] {
        let text = format!("SYMBOL(swapper_pg_dir)=ffffffff82000000\nNUMBER(phys_base)={value}\n");
        let file = CoreFile::x86_64()
            .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, text.as_bytes())))
            .with(Segment::load(0, &[0; 16]));
        let dump = Dump::open(file.build()).unwrap();
        let error = KernelMemory::new(&dump).translate(Vaddr(VMALLOC)).unwrap_err().error;
        assert!(
            error.to_string().contains("the NUMBER(phys_base) of VMCOREINFO is no number"),
            "{value}: {error}"
        );
    }
}

/// Where nothing is told but by the page tables: vmalloc.
const VMALLOC: u64 = 0xffff_c900_0000_0000;
/// The table of pages for `VMALLOC`, when that is mapped first.
const LAST_TABLE: u64 = 0x2_3000;

/// A dump whose `LAST_TABLE` is what `lost` makes of its segment: the root and the levels
/// between lie in front of it, the other tables behind.
fn without_last_table(tables: &PageTableImage, p_vaddr: u64, lost: Option<Segment>) -> CoreFile {
    let whole = dump_file(tables, p_vaddr, "");
    let at = LAST_TABLE as usize;
    let part = |start: usize, end: usize| Segment {
        p_vaddr: if p_vaddr == 0 { 0 } else { p_vaddr + start as u64 },
        ..Segment::load(start as u64, &tables.memory[start..end])
    };
    let mut file = CoreFile { segments: vec![whole.segments[0].clone()], ..whole };
    file.segments.push(part(0, at));
    file.segments.extend(lost);
    file.segments.push(part(at + 0x1000, tables.memory.len()));
    file
}

fn excluded() -> Segment {
    Segment { p_memsz: Some(0x1000), ..Segment::load(LAST_TABLE, &[]) }
}

#[test]
fn why_a_page_table_is_not_there_is_not_folded_into_not_mapped() {
    let mut tables = tables(4);
    tables.map(VMALLOC, 0x5000, 1);
    let behind = Segment { p_offset: Some(1 << 40), p_filesz: Some(0x1000), ..excluded() };
    for (lost, expected) in [
        (Some(excluded()), TableFault::Excluded),
        (None, TableFault::Hole),
        (Some(behind), TableFault::Truncated),
    ] {
        let file = without_last_table(&tables, 0, lost).build();
        let dump = Dump::open(&file[..]).unwrap();
        // Zeros for excluded memory must not become entries that say "not mapped".
        for zeros in [false, true] {
            let mut kernel = KernelMemory::of(dump.reader().zero_excluded(zeros));
            let stopped = kernel.read_u64(Vaddr(VMALLOC + 8)).unwrap_err();
            let table = LAST_TABLE;
            let error = Error::PageTable { vaddr: VMALLOC + 8, level: 1, table, cause: expected };
            assert_eq!((stopped.at, stopped.error), (VMALLOC + 8, error));
            // What really is not mapped says so.
            let stopped = kernel.read_u64(Vaddr(VMALLOC + 0x20_0000)).unwrap_err();
            assert!(matches!(stopped.error, Error::NotMapped { level: 2, .. }), "{stopped}");
        }
    }
}

#[test]
fn zeros_stand_for_excluded_data_at_virtual_addresses() {
    let mut tables = tables(4);
    tables.map(VMALLOC, LAST_TABLE + 0x1000, 1);
    tables.map(VMALLOC + 0x1000, 0x5000, 1);
    let mut file = dump_file(&tables, 0, "");
    file.segments[1].bytes.truncate(LAST_TABLE as usize + 0x1000);
    file.segments[1].p_memsz = Some(tables.memory.len() as u64);
    let dump = Dump::open(file.build()).unwrap();
    let mut bytes = [7; 16];
    let stopped = KernelMemory::new(&dump).read(Vaddr(VMALLOC + 0xff8), &mut bytes).unwrap_err();
    assert_eq!(stopped.error, Error::Excluded { paddr: LAST_TABLE + 0x1ff8 });
    let mut kernel = KernelMemory::of(dump.reader().zero_excluded(true));
    kernel.read(Vaddr(VMALLOC + 0xff8), &mut bytes).unwrap();
    assert_eq!((&bytes[..8], &bytes[8..]), (&[0; 8][..], &0x5000_u64.to_le_bytes()[..]));
}

#[test]
fn a_p_vaddr_is_not_trusted_because_its_first_page_is_unmapped() {
    let mut tables = tables(4);
    // Page 0 of the PT_LOAD is not mapped; all others lie 4 KiB lower than it says.
    for page in 1..0x20 {
        tables.map(DIRECT + page * 0x1000, (page - 1) * 0x1000, 1);
    }
    let dump = dump(&tables, DIRECT, "");
    let mut kernel = KernelMemory::new(&dump);
    assert_eq!(kernel.read_u64(Vaddr(DIRECT + 0x2008)).unwrap(), 0x1008);
    assert!(matches!(
        kernel.read_u64(Vaddr(DIRECT + 8)).unwrap_err().error,
        Error::NotMapped { level: 1, .. }
    ));
}

#[test]
fn a_p_vaddr_stands_in_for_a_lost_table_only_when_others_confirm_it() {
    // The PT_LOAD begins under the lost table and goes on under one that is there.
    let p_vaddr = DIRECT + 0x20_0000 - 0x1_0000;
    let read = |shift: u64| {
        let mut tables = tables(4);
        tables.map(DIRECT, 0, 1);
        for page in [0x1_1000, 0x2_2000] {
            tables.map(p_vaddr + page, page + shift, 1);
        }
        let mut file = without_last_table(&tables, 0, Some(excluded()));
        file.segments[1].p_vaddr = p_vaddr;
        let dump = Dump::open(file.build()).unwrap();
        KernelMemory::new(&dump).read_u64(Vaddr(p_vaddr + 0x88))
    };
    assert_eq!(read(0).unwrap(), 0x88);
    let error = read(0x1000).unwrap_err().error;
    assert!(matches!(error, Error::PageTable { cause: TableFault::Excluded, .. }), "{error}");
}

/// No PT_LOAD tells of the image here.
#[test]
fn the_linear_map_of_the_image_stands_in_for_a_lost_table() {
    let mut tables = tables(4);
    tables.map(image(0), 0, 1);
    let file = without_last_table(&tables, 0, Some(excluded()));
    let dump = Dump::open(file.build()).unwrap();
    assert_eq!(KernelMemory::new(&dump).read_u64(Vaddr(image(0x1230))).unwrap(), 0x1230);
    let error = KernelMemory::new(&dump).read_u64(Vaddr(DIRECT)).unwrap_err().error;
    assert!(matches!(error, Error::NotMapped { .. }), "{error}");
}

/// A source that fails where page tables are, until it is mended.
struct Flaky<'a> {
    bytes: Vec<u8>,
    broken: &'a AtomicBool,
    tables_at: u64,
}

impl ReadAt for Flaky<'_> {
    fn size(&self) -> Result<u64, Error> {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if offset >= self.tables_at && self.broken.load(Ordering::Relaxed) {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        self.bytes.read_at(offset, buf)
    }
}

#[test]
fn a_transient_error_is_the_callers_and_is_forgotten() {
    let mut tables = tables(4);
    tables.map(DIRECT, 0x1000, 1);
    let bytes = dump_file(&tables, DIRECT, "").build();
    let tables_at = (bytes.len() - tables.memory.len() + 0x2_0000) as u64;
    let broken = AtomicBool::new(true);
    let dump = Dump::open(Flaky { bytes, broken: &broken, tables_at }).unwrap();
    let mut kernel = KernelMemory::new(&dump);
    assert!(kernel.contradicted().is_empty(), "nothing is known");
    let stopped = kernel.read_u64(Vaddr(DIRECT + 0x88)).unwrap_err();
    assert!(matches!(stopped.error, Error::Io { cause, .. } if cause.errno() == 5), "{stopped}");
    broken.store(false, Ordering::Relaxed);
    assert_eq!(kernel.read_u64(Vaddr(DIRECT + 0x88)).unwrap(), 0x1088);
    assert_eq!(kernel.contradicted().len(), 1);
    // What was found is remembered; what was not is not.
    broken.store(true, Ordering::Relaxed);
    assert_eq!(kernel.read_u64(Vaddr(DIRECT + 0x90)).unwrap(), 0x1090);
}

/// The check of a `p_vaddr` that stands in for a lost table fails: nothing comes of it, neither
/// trust nor a verdict that lasts.
#[test]
fn a_check_that_failed_confirms_nothing_and_is_made_again() {
    let p_vaddr = DIRECT + 0x20_0000 - 0x1_0000;
    for (shift, expected) in [(0, Some(0x88)), (0x1000, None)] {
        let mut tables = tables(4);
        tables.map(DIRECT, 0, 1);
        for page in [0x1_1000, 0x2_2000] {
            tables.map(p_vaddr + page, page + shift, 1);
        }
        let mut file = without_last_table(&tables, 0, Some(excluded()));
        file.segments[1].p_vaddr = p_vaddr;
        let bytes = file.build();
        // Only the table behind the lost one, which the check needs.
        let tables_at = (bytes.len() + LAST_TABLE as usize + 0x1000 - tables.memory.len()) as u64;
        let broken = AtomicBool::new(true);
        let dump = Dump::open(Flaky { bytes, broken: &broken, tables_at }).unwrap();
        let mut kernel = KernelMemory::new(&dump);
        for _ in 0..2 {
            let stopped = kernel.read_u64(Vaddr(p_vaddr + 0x88)).unwrap_err();
            assert!(matches!(stopped.error, Error::Io { cause, .. } if cause.errno() == 5), "{stopped}");
        }
        broken.store(false, Ordering::Relaxed);
        assert_eq!(kernel.read_u64(Vaddr(p_vaddr + 0x88)).ok(), expected);
        // Once confirmed, what the check read is remembered; it is never turned into trust.
        broken.store(true, Ordering::Relaxed);
        assert_eq!(kernel.read_u64(Vaddr(p_vaddr + 0x90)).ok(), expected.map(|at| at + 8));
    }
}

#[test]
fn neighbours_are_translated_without_reading_tables_again() {
    struct Counting<'a>(Vec<u8>, &'a AtomicUsize);
    impl ReadAt for Counting<'_> {
        fn size(&self) -> Result<u64, Error> {
            self.0.size()
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }
    }
    let mut tables = tables(4);
    (0..8).for_each(|page| tables.map(VMALLOC + page * 0x1000, (7 - page) * 0x1000, 1));
    let reads = AtomicUsize::new(0);
    let dump = Dump::open(Counting(dump_file(&tables, 0, "").build(), &reads)).unwrap();
    let mut kernel = KernelMemory::new(&dump);
    kernel.read_u64(Vaddr(VMALLOC)).unwrap();
    let before = reads.load(Ordering::Relaxed);
    for page in 0..8 {
        assert_eq!(kernel.read_u64(Vaddr(VMALLOC + page * 0x1000 + 8)).unwrap(), (7 - page) * 0x1000 + 8);
    }
    assert_eq!(reads.load(Ordering::Relaxed) - before, 8);
    // Of pages that lie far apart more are remembered than pieces of tables are.
    let mut sparse = self::tables(4);
    (0..128).for_each(|page| sparse.map(VMALLOC + page * 0x4_0000, page % 32 * 0x1000, 1));
    let far = Dump::open(Counting(dump_file(&sparse, 0, "").build(), &reads)).unwrap();
    let (mut cache, mut reader) = (TranslationCache::default(), far.reader());
    let root = KernelMemory::new(&far).space().page_tables().unwrap();
    let mut pass = || {
        let before = reads.load(Ordering::Relaxed);
        for page in 0..128 {
            let found = root.walk(&mut reader, &mut cache, VMALLOC + page * 0x4_0000 + 8).unwrap();
            assert_eq!(found.paddr, Paddr(page % 32 * 0x1000 + 8));
        }
        reads.load(Ordering::Relaxed) - before
    };
    let (first, second) = (pass(), pass());
    assert!(first >= 128 && second <= 64, "{first} reads, then {second}");
    // Other tables have other pages.
    let other = kernel.space().page_tables().unwrap().with_root(Paddr(0x1000));
    let (mut cache, mut reader) = (TranslationCache::default(), dump.reader());
    let root = kernel.space().page_tables().unwrap();
    assert_eq!(root.walk(&mut reader, &mut cache, VMALLOC).unwrap().paddr, Paddr(0x7000));
    assert!(other.walk(&mut reader, &mut cache, VMALLOC).is_err());
}
