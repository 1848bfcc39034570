//! Virtual addresses: PT_LOADs, the kernel's image, page tables of both depths.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, PageTableImage, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, Error, KernelMemory};

const DIRECT: u64 = 0xffff_8880_0000_0000;
const IMAGE: u64 = 0xffff_ffff_8000_0000;
/// Where the image lies: a negative `phys_base` as KASLR makes it.
const PHYS_BASE: i64 = -0x100_0000;

/// 256 KiB of memory with tables at its middle; `vaddrs` of the direct map are `DIRECT`.
fn dump(tables: &PageTableImage, p_vaddr: u64, extra: &str) -> Dump<'static> {
    let root_vaddr = IMAGE.wrapping_add(tables.root).wrapping_add_signed(-PHYS_BASE);
    let info = format!(
        "SYMBOL(swapper_pg_dir)={root_vaddr:x}\nNUMBER(phys_base)={PHYS_BASE}\nNUMBER(pgtable_l5_enabled)={}\n{extra}",
        i32::from(tables.levels == 5)
    );
    let load = Segment { p_vaddr, ..Segment::load(0, &tables.memory) };
    let file = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
        .with(load);
    Dump::open(file.build()).unwrap()
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
        assert_eq!(kernel.read_u64(base + 0x1008).unwrap(), 0x5008);
        assert_eq!(kernel.read_u64(base + 0x4000_4010).unwrap(), 0x4010);
        assert_eq!(kernel.read_u64(base + 0x8000_6018).unwrap(), 0x6018);
        // Neighbours in virtual memory are strangers in physical memory.
        let mut bytes = [0; 16];
        kernel.read(base + 0x1ff8, &mut bytes).unwrap();
        assert_eq!(bytes[..8], 0x5ff8_u64.to_le_bytes());
        assert_eq!(bytes[8..], 0x3000_u64.to_le_bytes());
        let stopped = kernel.read(base + 0x2ff8, &mut bytes).unwrap_err();
        assert_eq!((stopped.read, stopped.at), (8, base + 0x3000));
        assert!(matches!(stopped.error, Error::NotMapped { level: 1, entry: 0, .. }));
        let far = kernel.read_u64(0xffff_8000_0000_0000).unwrap_err();
        assert!(matches!(far.error, Error::NotMapped { level, .. } if u32::from(level) == levels));
        let odd = kernel.read_u64(0x1234_5678_9abc_def0).unwrap_err();
        assert!(matches!(odd.error, Error::NoTranslation { .. } | Error::NotMapped { level: 5, .. }));
        assert!(kernel.read(u64::MAX, &mut [0; 2]).is_err());
    }
}

#[test]
fn encrypted_memory_has_a_bit_in_every_entry() {
    let mut tables = tables(4);
    tables.encryption_mask = 1 << 47;
    tables.map(0xffff_c900_0000_0000, 0x7000, 1);
    let dump = dump(&tables, 0, "NUMBER(sme_mask)=140737488355328\n");
    assert_eq!(KernelMemory::new(&dump).read_u64(0xffff_c900_0000_0010).unwrap(), 0x7010);
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
    assert_eq!(KernelMemory::new(&dump).read_u64(image(0x1230)).unwrap(), 0x1230);
}

#[test]
fn unmapped_addresses_of_the_image_are_not_mapped() {
    let mut tables = tables(4);
    tables.map(image(0x1000), 0x1000, 1);
    let dump = dump(&tables, 0, "");
    let mut kernel = KernelMemory::new(&dump);
    assert_eq!(kernel.read_u64(image(0x1230)).unwrap(), 0x1230);
    let stopped = kernel.read_u64(image(0x2230)).unwrap_err();
    assert!(matches!(stopped.error, Error::NotMapped { level: 1, entry: 0, .. }), "{stopped}");
}

#[test]
fn a_p_vaddr_counts_unless_the_page_tables_contradict_it() {
    let mut right = tables(4);
    right.map(DIRECT, 0, 3);
    let dump_right = dump(&right, DIRECT, "");
    let mut kernel = KernelMemory::new(&dump_right);
    assert!(kernel.contradicted().is_empty());
    assert_eq!(kernel.read_u64(DIRECT + 0x88).unwrap(), 0x88);
    let mut wrong = tables(4);
    wrong.map(DIRECT, 0x1000, 1);
    let dump_wrong = dump(&wrong, DIRECT, "");
    let mut kernel = KernelMemory::new(&dump_wrong);
    assert_eq!(kernel.contradicted().len(), 1);
    assert_eq!(kernel.read_u64(DIRECT + 0x88).unwrap(), 0x1088);
}

#[test]
fn addresses_that_stand_for_none_are_not_used() {
    for p_vaddr in [0, u64::from(u32::MAX), 0x1000] {
        let segment = Segment { p_vaddr, ..Segment::load(0x1000, &[1; 0x1000]) };
        let file = CoreFile::new(Wire { wide: false, big: false }, 3).with(segment);
        let dump = Dump::open(file.build()).unwrap();
        let found = KernelMemory::new(&dump).read_u32(p_vaddr);
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
    let found = KernelMemory::new(&dump).translate(0xff00_0000_0000_0123).unwrap();
    assert_eq!(found.paddr, Paddr(0x1123));
}
