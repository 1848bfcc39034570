//! Where the kernel keeps the `struct page` of a page: SPARSEMEM, or FLATMEM (`include/linux/mmzone.h` is not
//! exported; Documentation/mm/memory-model.rst and VMCOREINFO tell).

use core::ops::Range;

use kdump_elf::Vaddr;

use super::told::Told;
use crate::error::{Error, Stopped};
use crate::kernel::KernelMemory;
use crate::source::PhysMemory;

/// Bit 1 of `section_mem_map`: there are `struct page`s.
const HAS_MAP: u64 = 2;
/// The lowest bits are flags; the array is aligned to more than that.
const FLAGS: u64 = 0x3f;
/// Pages that are taken for a section where there are none.
const FLAT: u64 = 1 << 15;

/// What a machine says of its sections where VMCOREINFO does not: bits of an address inside of one, and of all.
pub(super) type Usual = (u32, u32);

/// How the page array is found.
#[derive(Clone, Copy, Debug)]
enum Model {
    /// FLATMEM: one array, at the address that the table is; where its memory ends as the kernel's node of memory says.
    Flat { start: Option<u64>, spanned: Option<u64> },
    /// Roots with so many sections each.
    Roots(u64),
    /// All sections are in one array.
    Array,
}

/// The sections of a machine's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sections {
    /// Virtual address of the array of roots, or of all sections, or of the pointer to the one array of pages.
    table: u64,
    model: Model,
    /// Bytes of a word of the machine, and all bits of one.
    word_size: u64,
    mask: u64,
    /// Bytes of a section's entry, and where in it the word is.
    size: u64,
    word: u64,
    /// Number of sections.
    count: u64,
    /// Pages of a section.
    pub(super) pages: u64,
    /// Bytes of a `struct page`.
    page: u64,
}

impl Sections {
    /// As `info` tells, of a machine with pages of `page_size` bytes.
    ///
    /// # Errors
    /// [`Error::MissingKey`] where the kernel has no sections, or does not tell where; also for a number of
    /// them that is neither that of all nor that of their roots: it would be read as what it is not.
    pub(super) fn new(
        info: &Told<'_>,
        page_size: u64,
        page: u64,
        word_size: u64,
        usual: Option<Usual>,
    ) -> Result<Self, Error> {
        let missing = |key| Error::MissingKey { key };
        let mask = if word_size == 4 { u64::from(u32::MAX) } else { u64::MAX };
        if let (None, Some(table)) = (info.symbol("mem_section"), info.symbol("mem_map")) {
            let node = |name| Some(info.symbol("contig_page_data")?.wrapping_add(info.offset(name)?));
            let model = Model::Flat {
                start: node("pglist_data.node_start_pfn"),
                spanned: node("pglist_data.node_spanned_pages"),
            };
            let pages = FLAT;
            return Ok(Self {
                table,
                model,
                word_size,
                mask,
                size: 0,
                word: 0,
                count: u64::MAX,
                pages,
                page,
            });
        }
        let power = |key, usual: Option<u32>| {
            let told = info.number(key).and_then(|bits| u32::try_from(bits).ok());
            told.or(usual).ok_or(missing(key))
        };
        let section = power("SECTION_SIZE_BITS", usual.map(|(section, _)| section))
            .map_err(|_| missing("NUMBER(SECTION_SIZE_BITS)"))?;
        let memory = power("MAX_PHYSMEM_BITS", usual.map(|(_, memory)| memory))
            .map_err(|_| missing("NUMBER(MAX_PHYSMEM_BITS)"))?;
        let bytes = 1_u64.checked_shl(section).filter(|bytes| *bytes >= page_size);
        let bytes = bytes.ok_or(missing("NUMBER(SECTION_SIZE_BITS)"))?;
        let count = memory.checked_sub(section).filter(|bits| *bits < 40).map(|bits| 1_u64 << bits);
        let count = count.ok_or(missing("NUMBER(MAX_PHYSMEM_BITS)"))?;
        let size = info.size("mem_section").filter(|size| (word_size..=page_size).contains(size));
        let size = size.ok_or(missing("SIZE(mem_section)"))?;
        let word = info.offset("mem_section.section_mem_map");
        let per_root = page_size.checked_div(size).unwrap_or(1).max(1);
        let roots = count.div_ceil(per_root);
        let model = match info.length("mem_section") {
            None => Model::Roots(per_root),
            Some(length) if length == roots => Model::Roots(per_root),
            Some(length) if length == count => Model::Array,
            Some(_) => return Err(missing("LENGTH(mem_section)")),
        };
        Ok(Self {
            table: info.symbol("mem_section").ok_or(missing("SYMBOL(mem_section)"))?,
            model,
            word_size,
            mask,
            size,
            word: word.ok_or(missing("OFFSET(mem_section.section_mem_map)"))?,
            count,
            pages: bytes.checked_div(page_size).unwrap_or(1).max(1),
            page,
        })
    }

    /// Virtual address of what would be the `struct page` of page 0 if section `number` had it; that of
    /// page N lies N times its size behind. `None` when the section has none.
    pub(super) fn map<M: PhysMemory>(
        &self,
        number: u64,
        memory: &mut KernelMemory<M>,
    ) -> Result<Option<(u64, Range<u64>)>, Stopped> {
        if number >= self.count {
            return Ok(None);
        }
        let (table, index) = match self.model {
            Model::Flat { start, spanned } => return self.flat(start.zip(spanned), memory),
            Model::Array => (self.table, number),
            Model::Roots(per_root) => {
                let root = number.checked_div(per_root).unwrap_or(0).wrapping_mul(self.word_size);
                let table = self.read(self.table.wrapping_add(root), memory)?;
                (table, number.checked_rem(per_root).unwrap_or(0))
            }
        };
        if table == 0 {
            return Ok(None);
        }
        let entry = table.wrapping_add(index.wrapping_mul(self.size)).wrapping_add(self.word);
        let word = self.read(entry, memory)?;
        Ok((word & HAS_MAP != 0).then_some((word & !FLAGS, 0..u64::MAX)))
    }

    /// The array of FLATMEM, and the pages of the node of all memory: what stands in front of the first record and behind
    /// the last one is none.
    fn flat<M: PhysMemory>(
        &self,
        node: Option<(u64, u64)>,
        memory: &mut KernelMemory<M>,
    ) -> Result<Option<(u64, Range<u64>)>, Stopped> {
        let known = match node {
            Some((start, spanned)) => {
                let start = self.read(start, memory)?;
                start..start.saturating_add(self.read(spanned, memory)?)
            }
            None => 0..u64::MAX,
        };
        self.read(self.table, memory).map(|map| (map != 0).then_some((map, known)))
    }

    /// A word of the kernel's.
    fn read<M: PhysMemory>(&self, vaddr: u64, memory: &mut KernelMemory<M>) -> Result<u64, Stopped> {
        let vaddr = Vaddr(vaddr & self.mask);
        if self.word_size == 4 { memory.read_u32(vaddr).map(u64::from) } else { memory.read_u64(vaddr) }
    }

    /// Virtual address of the `struct page` of page `pfn` in a section with that `map`.
    pub(super) fn page(&self, map: u64, pfn: u64) -> u64 {
        map.wrapping_add(pfn.wrapping_mul(self.page)) & self.mask
    }
}
