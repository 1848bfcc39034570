//! The memory of a machine whose kernel says of each page what it is (Documentation/mm/memory-model.rst:
//! SPARSEMEM with a page array at addresses of its own).

use crate::{CoreFile, Segment, Wire, note};

const PAGE: usize = 4096;
const LINEAR: u64 = 0xffff_8880_0000_0000;
const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
const ROOTS: usize = 0x10_0000;
const SECTION: usize = 0x10_1000;
const ARRAY: usize = 0x20_0000;
/// Bytes of a record.
const RECORD: usize = 64;

/// What a record of a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRecord {
    /// `flags`.
    pub flags: u64,
    /// `mapping`.
    pub mapping: u64,
    /// `_mapcount`, or the type of the page.
    pub mapcount: i32,
    /// `private`: the order of a free block.
    pub private: u64,
}

impl PageRecord {
    /// A page that the kernel uses.
    pub const KERNEL: Self = Self { flags: 0, mapping: 0, mapcount: -1, private: 0 };
    /// Of a process.
    pub const USER: Self = Self { flags: 1 << 4, mapping: LINEAR | 0x1001, mapcount: 0, private: 0 };
    /// Of the page cache.
    pub const CACHE: Self = Self { flags: 1 << 4, mapping: LINEAR | 0x1000, mapcount: 0, private: 0 };

    /// The first page of a free block.
    #[must_use]
    pub const fn free(order: u64) -> Self {
        Self { flags: 0, mapping: 0, mapcount: -129, private: order }
    }
}

/// A machine of 4 MiB and more, all of it RAM from address 0 on. The tables of the kernel stand in it.
#[derive(Clone, Debug)]
pub struct PageArray {
    /// The memory.
    pub memory: Vec<u8>,
    /// VMCOREINFO.
    pub info: String,
    /// Bytes of RAM that the core lists, if not those of the memory.
    pub ram: Option<u64>,
}

impl PageArray {
    /// Pages that `record` tells of; `pages` from 0x400 to 0x8000.
    #[must_use]
    pub fn new(pages: u64, record: impl Fn(u64) -> PageRecord) -> Self {
        let mut memory: Vec<u8> = (0..pages as usize * PAGE).map(|at| (at / PAGE) as u8 | 1).collect();
        memory[ROOTS..ROOTS + PAGE].fill(0);
        memory[SECTION..SECTION + PAGE].fill(0);
        memory[ROOTS..ROOTS + 8].copy_from_slice(&(LINEAR + SECTION as u64).to_le_bytes());
        memory[SECTION..SECTION + 8].copy_from_slice(&(VMEMMAP | 0x2f).to_le_bytes());
        let mut this = Self { memory, info: Self::keys(), ram: None };
        (0..pages).for_each(|pfn| this.put(pfn, record(pfn)));
        this
    }

    /// Says something else of a page.
    pub fn put(&mut self, pfn: u64, record: PageRecord) {
        let PageRecord { flags, mapping, mapcount, private } = record;
        let mut bytes = [0; RECORD];
        bytes[..8].copy_from_slice(&flags.to_le_bytes());
        bytes[24..32].copy_from_slice(&mapping.to_le_bytes());
        bytes[40..48].copy_from_slice(&private.to_le_bytes());
        bytes[48..52].copy_from_slice(&mapcount.to_le_bytes());
        let at = Self::record_at(pfn);
        self.memory[at..at + RECORD].copy_from_slice(&bytes);
    }

    /// Where in the memory the record of a page stands.
    #[must_use]
    pub fn record_at(pfn: u64) -> usize {
        ARRAY + pfn as usize * RECORD
    }

    /// All sections of memory have the records that the first one has.
    pub fn repeat_sections(&mut self) {
        for entry in self.memory[ROOTS..ROOTS + PAGE].chunks_mut(8) {
            entry.copy_from_slice(&(LINEAR + SECTION as u64).to_le_bytes());
        }
        for entry in self.memory[SECTION..SECTION + PAGE].chunks_mut(16) {
            entry[..8].copy_from_slice(&(VMEMMAP | 0x2f).to_le_bytes());
        }
    }

    /// As an ELF core.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let array = self.memory.len() / PAGE * RECORD;
        CoreFile { align: 0x1000, ..CoreFile::x86_64() }
            .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, self.info.as_bytes())))
            .with(Segment { p_vaddr: LINEAR, p_memsz: self.ram, ..Segment::load(0, &self.memory) })
            .with(Segment {
                p_vaddr: VMEMMAP,
                ..Segment::load(ARRAY as u64, &self.memory[ARRAY..ARRAY + array])
            })
            .build()
    }

    fn keys() -> String {
        format!(
            "OSRELEASE=6.1\nPAGESIZE=4096\nSIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\n\
            OFFSET(page._mapcount)=48\nOFFSET(page.private)=40\nOFFSET(page.compound_head)=8\nNUMBER(PG_lru)=4\n\
            NUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=19\nNUMBER(PG_slab)=9\n\
            NUMBER(PG_hwpoison)=23\nLENGTH(zone.free_area)=11\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n\
            SIZE(mem_section)=16\nOFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=27\n\
            NUMBER(MAX_PHYSMEM_BITS)=46\nLENGTH(mem_section)=2048\nSYMBOL(mem_section)={:x}\n",
            LINEAR + ROOTS as u64
        )
    }
}
