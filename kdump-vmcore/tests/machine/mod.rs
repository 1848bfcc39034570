//! A made-up machine, whose kernel keeps an array of `struct page`.
#![allow(dead_code, reason = "not every test uses all of it")]

use dumpgen::{CoreFile, Segment, Wire, note};

pub(crate) const PAGE: usize = 4096;
pub(crate) const PAGES: u64 = 0x2000;
/// The memory of the machine, from address 0 on; the tables of the kernel stand in it.
pub(crate) const LINEAR: u64 = 0xffff_8880_0000_0000;
/// The page array, seen through addresses of its own.
pub(crate) const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
pub(crate) const ROOTS: u64 = 0x10_0000;
pub(crate) const SECTION: u64 = 0x10_1000;
pub(crate) const ARRAY: u64 = 0x20_0000;

/// A machine whose pages are what `kind` says: flags, mapping, `_mapcount`, private.
pub(crate) fn machine(kind: impl Fn(u64) -> (u64, u64, i32, u64)) -> Vec<u8> {
    let mut memory: Vec<u8> = (0..PAGES as usize * PAGE).map(|at| (at / PAGE) as u8 | 1).collect();
    let mut put =
        |at: u64, bytes: &[u8]| memory[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    put(ROOTS, &[0; PAGE]);
    put(ROOTS, &(LINEAR + SECTION).to_le_bytes());
    put(SECTION, &[0; PAGE]);
    // Flags of Linux 6.15 stand in the lowest bits.
    put(SECTION, &(VMEMMAP | 0x2f).to_le_bytes());
    for pfn in 0..PAGES {
        let (flags, mapping, kind, private) = kind(pfn);
        let mut page = [0; 64];
        page[..8].copy_from_slice(&flags.to_le_bytes());
        page[24..32].copy_from_slice(&mapping.to_le_bytes());
        page[40..48].copy_from_slice(&private.to_le_bytes());
        page[48..52].copy_from_slice(&kind.to_le_bytes());
        put(ARRAY + pfn * 64, &page);
    }
    memory
}

pub(crate) fn info() -> String {
    let keys = "OSRELEASE=6.1\nPAGESIZE=4096\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\n\
        OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(page.compound_head)=8\nNUMBER(PG_lru)=4\n\
        NUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=19\nNUMBER(PG_slab)=9\n\
        NUMBER(PG_hwpoison)=23\nLENGTH(zone.free_area)=11\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n\
        SIZE(mem_section)=16\nOFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=27\n\
        NUMBER(MAX_PHYSMEM_BITS)=46\nLENGTH(mem_section)=2048\n";
    format!("{keys}SYMBOL(mem_section)={:x}\n", LINEAR + ROOTS)
}

pub(crate) fn dump(memory: &[u8], info: &str, array: usize) -> Vec<u8> {
    let at = ARRAY as usize;
    CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
        .with(Segment { p_vaddr: LINEAR, ..Segment::load(0, memory) })
        .with(Segment { p_vaddr: VMEMMAP, ..Segment::load(ARRAY, &memory[at..at + array]) })
        .build()
}

/// Free blocks, user memory and cache in turns, from page 0x400 on.
pub(crate) fn usual(pfn: u64) -> (u64, u64, i32, u64) {
    match (pfn, pfn / 256 % 4) {
        (..0x400, _) => (0, 0, -1, 0),
        (_, 0) if pfn % 256 == 0 => (0, 0, -129, 8),
        (_, 1) => (1 << 4, LINEAR | 0x1001, 0, 0),
        (_, 2) => (1 << 4, LINEAR | 0x1000, 0, 0),
        _ => (0, 0, -1, 0),
    }
}
