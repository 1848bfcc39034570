//! Page tables as a radix tree: one walker for every architecture whose tables are one.

use kdump_elf::{Endian, Paddr, Vaddr};

use super::cache::TranslationCache;
use crate::error::{Error, TableFault};
use crate::source::PhysMemory;

/// Which bits of a virtual address are the index into the tables of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// The lowest of them; an entry maps `1 << shift` bytes.
    pub(super) shift: u32,
    /// How many they are.
    pub(super) bits: u32,
}

/// What an entry of a table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing is mapped.
    Absent,
    /// The physical address of the table of the next level.
    Table(u64),
    /// The physical address of a page, large above the last level. Bits below its size are
    /// not looked at.
    Page(u64),
    /// Bits no entry of its level can have.
    Impossible,
}

/// An entry as it stands in memory, and where it was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    /// The entry.
    pub(super) bits: u64,
    /// 1 in the tables of pages, one more in each level above.
    pub(super) level: u8,
    /// The address that is translated.
    pub(super) vaddr: u64,
    /// What the row of the architecture keeps for its entries ([`Radix::ignored`]).
    pub(super) ignored: u64,
}

/// Page tables and where they begin.
#[derive(Clone, Copy, Debug)]
pub struct Radix {
    /// Physical address of the root table.
    pub(super) root: u64,
    /// From the root to the tables of pages.
    pub(super) levels: &'static [Level],
    /// Bytes of an entry: 4 or 8.
    pub(super) entry_size: u64,
    /// Byte order of entries.
    pub(super) endian: Endian,
    /// Bits of an entry's address that are no part of it on this machine, as the one that
    /// marks encrypted memory.
    pub(super) ignored: u64,
    /// Where the tables themselves say how deep they are: how many of `levels` lie above the
    /// root, by the first entry of the root.
    pub(super) above: Option<fn(u64) -> usize>,
    /// Reads an entry.
    pub(super) entry: fn(Raw) -> Entry,
    /// Whether an address can be mapped by tables of these levels at all.
    pub(super) canonical: fn(u64, &[Level]) -> bool,
}

/// Where a virtual address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mapping {
    /// The physical address.
    pub paddr: Paddr,
    /// Bytes from there on that are mapped without a break.
    pub len: u64,
}

impl Mapping {
    /// The mapping of `vaddr` in a page of `1 << shift` bytes at `base`.
    pub(super) fn in_page(base: u64, shift: u32, vaddr: u64) -> Self {
        let low = 1_u64.checked_shl(shift).unwrap_or(0).wrapping_sub(1);
        let inside = vaddr & low;
        Self { paddr: Paddr((base & !low) | inside), len: low.saturating_sub(inside).saturating_add(1) }
    }
}

impl Radix {
    /// Physical address of the root table.
    #[must_use]
    pub fn root(&self) -> Paddr {
        Paddr(self.root)
    }

    /// How many tables lie on the way to a page of the smallest size; on s390x, where the root
    /// itself tells, the most there can be.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Tables of the same kind that begin elsewhere, as those of a process.
    #[must_use]
    pub fn with_root(self, root: Paddr) -> Self {
        Self { root: root.0, ..self }
    }

    /// Whether the address can be mapped at all.
    #[must_use]
    pub fn is_canonical(&self, vaddr: Vaddr) -> bool {
        (self.canonical)(vaddr.0, self.levels)
    }

    /// Walks from the root to the page of `vaddr`. Every level is passed once at most,
    /// whatever the tables refer to.
    ///
    /// # Errors
    /// [`Error::NotMapped`] with the level where the walk ended, [`Error::NoTranslation`] for
    /// an address that cannot be mapped, [`Error::PageTable`] when a table is not there,
    /// [`Error::Io`] when reading it failed.
    pub fn walk<M: PhysMemory + ?Sized>(
        &self,
        memory: &mut M,
        cache: &mut TranslationCache,
        vaddr: u64,
    ) -> Result<Mapping, Error> {
        if let Some((base, shift)) = cache.page(self.root, vaddr) {
            return Ok(Mapping::in_page(base, shift, vaddr));
        }
        let levels = self.levels_from_root(memory, cache, vaddr)?;
        if !(self.canonical)(vaddr, levels) {
            return Err(Error::NoTranslation { vaddr, reason: "the address is not canonical" });
        }
        let mut table = self.root;
        let mut level = u8::try_from(levels.len()).unwrap_or(u8::MAX);
        for Level { shift, bits } in levels.iter().copied() {
            let width = 1_u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1);
            let index = vaddr.checked_shr(shift).unwrap_or(0) & width;
            let at = table.wrapping_add(index.wrapping_mul(self.entry_size));
            let fault = |cause| Error::PageTable { vaddr, level, table: at, cause };
            let bits = self.read_entry(memory, cache, at, fault)?;
            match (self.entry)(Raw { bits, level, vaddr, ignored: self.ignored }) {
                Entry::Absent => return Err(Error::NotMapped { vaddr, level, entry: bits }),
                Entry::Impossible => return Err(fault(TableFault::Entry(bits))),
                Entry::Page(base) => {
                    cache.keep(vaddr, shift, base);
                    return Ok(Mapping::in_page(base, shift, vaddr));
                }
                Entry::Table(next) => table = next,
            }
            level = level.saturating_sub(1);
        }
        // An entry of the last level that refers to a table.
        Err(Error::PageTable { vaddr, level: 1, table, cause: TableFault::Other })
    }

    /// The levels on the way of `vaddr`.
    fn levels_from_root<M: PhysMemory + ?Sized>(
        &self,
        memory: &mut M,
        cache: &mut TranslationCache,
        vaddr: u64,
    ) -> Result<&'static [Level], Error> {
        let Some(above) = self.above else { return Ok(self.levels) };
        let level = u8::try_from(self.levels.len()).unwrap_or(u8::MAX);
        let fault = |cause| Error::PageTable { vaddr, level, table: self.root, cause };
        let first = self.read_entry(memory, cache, self.root, fault)?;
        Ok(self.levels.get(above(first)..).unwrap_or_default())
    }

    /// The entry at `at`; when it cannot be read, what `fault` says of it.
    fn read_entry<M: PhysMemory + ?Sized>(
        &self,
        memory: &mut M,
        cache: &mut TranslationCache,
        at: u64,
        fault: impl Fn(TableFault) -> Error,
    ) -> Result<u64, Error> {
        cache.entry(memory, at, (self.entry_size, self.endian)).map_err(|error| match error {
            // Trying again may help: it is the caller's.
            Error::Io { .. } => error,
            other => fault(TableFault::from_error(&other)),
        })
    }
}

/// Whether the bits above the translated ones are ones: the kernel's half of the address space
/// where the halves have roots of their own.
pub(super) fn upper_half(vaddr: u64, levels: &[Level]) -> bool {
    let top = levels.first().map_or(0, |root| root.shift.saturating_add(root.bits));
    vaddr | 1_u64.checked_shl(top).unwrap_or(0).wrapping_sub(1) == u64::MAX
}

/// Whether the bits above the translated ones are zeros: address spaces of the kernel alone, from
/// 0 on.
pub(super) fn from_zero(vaddr: u64, levels: &[Level]) -> bool {
    let top = levels.first().map_or(0, |root| root.shift.saturating_add(root.bits));
    vaddr.checked_shr(top).unwrap_or(0) == 0
}

/// Whether the bits above the translated ones are copies of the highest translated one: the
/// two halves of the address space of x86 and RISC-V.
pub(super) fn sign_extended(vaddr: u64, levels: &[Level]) -> bool {
    let top = levels.first().map_or(0, |root| root.shift.saturating_add(root.bits));
    let low = 1_u64.checked_shl(top.saturating_sub(1)).unwrap_or(0).wrapping_sub(1);
    vaddr & !low == 0 || vaddr | low == u64::MAX
}
