//! A range of the dumped machine's memory and what the dump has of it.

use kdump_elf::PhysRange;

/// What a dump has of a range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RangeKind {
    /// The bytes are in the dump.
    Stored,
    /// RAM that the tool which wrote the dump left out.
    Excluded,
    /// RAM whose bytes should be in the file, behind the place where it was cut off.
    Missing,
    /// No RAM.
    Hole,
}

impl RangeKind {
    /// The name used in JSON: `stored`, `excluded`, `missing` or `hole`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Excluded => "excluded",
            Self::Missing => "missing",
            Self::Hole => "hole",
        }
    }
}

/// A range of memory of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Its physical addresses.
    pub range: PhysRange,
    /// What the dump has of it.
    pub kind: RangeKind,
}
