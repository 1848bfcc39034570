//! Where the kernel keeps the `struct page` of a page: SPARSEMEM (`include/linux/mmzone.h` is not
//! exported; Documentation/mm/memory-model.rst and VMCOREINFO tell).

use kdump_elf::Vaddr;

use super::told::Told;
use crate::error::{Error, Stopped};
use crate::kernel::KernelMemory;
use crate::source::PhysMemory;

/// Bit 1 of `section_mem_map`: there are `struct page`s.
const HAS_MAP: u64 = 2;
/// The lowest bits are flags; the array is aligned to more than that.
const FLAGS: u64 = 0x3f;
const WORD: u64 = 8;

/// The sections of a machine's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sections {
    /// Virtual address of the array of roots, or of all sections.
    table: u64,
    /// Sections of a root; `None` where all are in one array.
    per_root: Option<u64>,
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
    pub(super) fn new(info: &Told<'_>, page_size: u64, page: u64) -> Result<Self, Error> {
        let missing = |key| Error::MissingKey { key };
        let power = |key, usual: u32| {
            let told = info.number(key).and_then(|bits| u32::try_from(bits).ok());
            told.unwrap_or(usual)
        };
        let five = info.number("pgtable_l5_enabled") == Some(1);
        // What x86_64 has had since Linux 2.6.31 where nothing is told.
        let section = power("SECTION_SIZE_BITS", 27);
        let memory = power("MAX_PHYSMEM_BITS", if five { 52 } else { 46 });
        let bytes = 1_u64.checked_shl(section).filter(|bytes| *bytes >= page_size);
        let bytes = bytes.ok_or(missing("NUMBER(SECTION_SIZE_BITS)"))?;
        let count = memory.checked_sub(section).filter(|bits| *bits < 40).map(|bits| 1_u64 << bits);
        let count = count.ok_or(missing("NUMBER(MAX_PHYSMEM_BITS)"))?;
        let size = info.size("mem_section").filter(|size| (WORD..=page_size).contains(size));
        let size = size.ok_or(missing("SIZE(mem_section)"))?;
        let word = info.offset("mem_section.section_mem_map");
        let per_root = page_size.checked_div(size).unwrap_or(1).max(1);
        let roots = count.div_ceil(per_root);
        let per_root = match info.length("mem_section") {
            None => Some(per_root),
            Some(length) if length == roots => Some(per_root),
            Some(length) if length == count => None,
            Some(_) => return Err(missing("LENGTH(mem_section)")),
        };
        Ok(Self {
            table: info.symbol("mem_section").ok_or(missing("SYMBOL(mem_section)"))?,
            per_root,
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
    ) -> Result<Option<u64>, Stopped> {
        if number >= self.count {
            return Ok(None);
        }
        let (table, index) = match self.per_root {
            None => (self.table, number),
            Some(per_root) => {
                let root = number.checked_div(per_root).unwrap_or(0).wrapping_mul(WORD);
                let table = memory.read_u64(Vaddr(self.table.wrapping_add(root)))?;
                (table, number.checked_rem(per_root).unwrap_or(0))
            }
        };
        if table == 0 {
            return Ok(None);
        }
        let entry = table.wrapping_add(index.wrapping_mul(self.size)).wrapping_add(self.word);
        let word = memory.read_u64(Vaddr(entry))?;
        Ok((word & HAS_MAP != 0).then_some(word & !FLAGS))
    }

    /// Virtual address of the `struct page` of page `pfn` in a section with that `map`.
    pub(super) fn page(&self, map: u64, pfn: u64) -> u64 {
        map.wrapping_add(pfn.wrapping_mul(self.page))
    }
}
