//! Physical memory by kind: sorted, disjoint ranges, each with what the firmware calls it.

use alloc::collections::BTreeMap;
use core::fmt;

use kdump_elf::PhysRange;

use crate::{Error, RangeSet};

/// What a range of physical addresses is, in the terms of the e820 table
/// (ACPI specification, "System Address Map Interfaces"; arch/x86/include/asm/e820/types.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MemoryKind {
    /// Usable memory.
    Ram,
    /// Not for the operating system.
    Reserved,
    /// ACPI tables, reclaimable.
    Acpi,
    /// ACPI non-volatile storage.
    Nvs,
    /// Memory with errors.
    Unusable,
    /// Persistent memory (NVDIMM).
    Pmem,
    /// Persistent memory as firmware reported it before there was a standard for it.
    Pram,
}

impl MemoryKind {
    /// Every kind, in order of its e820 number.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Ram, Self::Reserved, Self::Acpi, Self::Nvs, Self::Unusable, Self::Pmem, Self::Pram].into_iter()
    }

    /// The type number in an e820 table.
    #[must_use]
    pub const fn e820_type(self) -> u32 {
        match self {
            Self::Ram => 1,
            Self::Reserved => 2,
            Self::Acpi => 3,
            Self::Nvs => 4,
            Self::Unusable => 5,
            Self::Pmem => 7,
            Self::Pram => 12,
        }
    }

    /// The kind with this number in an e820 table; `None` for numbers without a meaning here.
    #[must_use]
    pub fn from_e820_type(number: u32) -> Option<Self> {
        Self::all().find(|kind| kind.e820_type() == number)
    }

    /// The name in plans and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Reserved => "reserved",
            Self::Acpi => "acpi",
            Self::Nvs => "nvs",
            Self::Unusable => "unusable",
            Self::Pmem => "pmem",
            Self::Pram => "pram",
        }
    }

    /// The kind called `name`, as [`MemoryKind::name`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A range of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// The addresses.
    pub range: PhysRange,
    /// What they are.
    pub kind: MemoryKind,
}

/// Ranges of physical addresses by kind; no address has two kinds.
///
/// [`MemoryMap::insert`] overwrites: where ranges overlap, the last one inserted wins. Who
/// fills a map decides by the order of insertion which source, or which kind, is believed.
/// Neighbours stay separate even when they are of one kind, because the borders that firmware
/// and kernel draw are visible in a dump; [`MemoryMap::set_of`] joins them.
///
/// An insertion takes O(log n), plus the ranges it covers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MemoryMap {
    /// By first address: the first address behind the range, and its kind.
    by_start: BTreeMap<u64, (u64, MemoryKind)>,
}

impl MemoryMap {
    /// A map without ranges.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_start: BTreeMap::new() }
    }

    /// Makes `range` memory of this kind, whatever its addresses were before.
    pub fn insert(&mut self, range: PhysRange, kind: MemoryKind) {
        self.remove(range);
        self.by_start.insert(range.start(), (range.end(), kind));
    }

    /// Makes the addresses of `range` unknown; ranges that reach over its borders are cut there.
    pub fn remove(&mut self, range: PhysRange) {
        let (start, end) = (range.start(), range.end());
        if let Some((&first, &(last, kind))) = self.by_start.range(..start).next_back() {
            if last > start {
                self.by_start.insert(first, (start, kind));
                if last > end {
                    self.by_start.insert(end, (last, kind));
                }
            }
        }
        while let Some((&first, &(last, kind))) = self.by_start.range(start..end).next() {
            self.by_start.remove(&first);
            if last > end {
                self.by_start.insert(end, (last, kind));
            }
        }
    }

    /// The range in which `paddr` lies.
    #[must_use]
    pub fn get(&self, paddr: u64) -> Option<MemoryRange> {
        let (&start, &entry) = self.by_start.range(..=paddr).next_back()?;
        to_range(start, entry).filter(|found| found.range.contains(paddr))
    }

    /// All ranges, ascending.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = MemoryRange> + '_ {
        self.by_start.iter().filter_map(|(&start, &entry)| to_range(start, entry))
    }

    /// The ranges of one kind, ascending.
    #[must_use]
    pub fn of_kind(&self, kind: MemoryKind) -> impl DoubleEndedIterator<Item = PhysRange> + '_ {
        self.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.range)
    }

    /// The addresses of one kind.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn set_of(&self, kind: MemoryKind) -> Result<RangeSet, Error> {
        RangeSet::from_ranges(self.of_kind(kind))
    }

    /// Number of ranges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_start.len()
    }

    /// Whether nothing is known about any address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_start.is_empty()
    }
}

/// Entries are never empty, so this is `Some` for every one of them.
fn to_range(start: u64, (end, kind): (u64, MemoryKind)) -> Option<MemoryRange> {
    let range = PhysRange::from_half_open(start, end).ok()?;
    Some(MemoryRange { range, kind })
}

impl fmt::Debug for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|entry| (entry.range, entry.kind))).finish()
    }
}

impl Extend<MemoryRange> for MemoryMap {
    fn extend<I: IntoIterator<Item = MemoryRange>>(&mut self, ranges: I) {
        for entry in ranges {
            self.insert(entry.range, entry.kind);
        }
    }
}

impl FromIterator<MemoryRange> for MemoryMap {
    fn from_iter<I: IntoIterator<Item = MemoryRange>>(ranges: I) -> Self {
        let mut map = Self::new();
        map.extend(ranges);
        map
    }
}
