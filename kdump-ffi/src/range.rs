//! Ranges of physical addresses and what they are.

use kdump_ffi_core::extensible;
use kdump_segments::{MemoryKind, MemoryRange};
use kdump_vmcore::{Span, SpanKind};

/// Usable memory.
pub const LIBKDUMP_MEMORY_RAM: u32 = 1;
/// Not for the operating system.
pub const LIBKDUMP_MEMORY_RESERVED: u32 = 2;
/// ACPI tables.
pub const LIBKDUMP_MEMORY_ACPI: u32 = 3;
/// ACPI non-volatile storage.
pub const LIBKDUMP_MEMORY_NVS: u32 = 4;
/// Memory with errors.
pub const LIBKDUMP_MEMORY_UNUSABLE: u32 = 5;
/// Persistent memory.
pub const LIBKDUMP_MEMORY_PMEM: u32 = 7;
/// Persistent memory as firmware reported it before there was a standard for it.
pub const LIBKDUMP_MEMORY_PRAM: u32 = 12;

/// The bytes are in the dump.
pub const LIBKDUMP_PAGE_STORED: u32 = 1;
/// RAM that was left out when the dump was written. Later versions add codes that also say
/// why; the range 2 to 63 is theirs.
pub const LIBKDUMP_PAGE_EXCLUDED: u32 = 2;
/// No RAM.
pub const LIBKDUMP_PAGE_HOLE: u32 = 64;
/// RAM that the dump describes and that lies behind the end of a truncated file.
pub const LIBKDUMP_PAGE_MISSING: u32 = 65;
/// RAM that could not be read when the dump was saved, which the dump tells.
pub const LIBKDUMP_PAGE_UNREADABLE: u32 = 66;
/// RAM whose place in the file cannot be right.
pub const LIBKDUMP_PAGE_CORRUPT: u32 = 67;
/// Zeros, which is known without reading.
pub const LIBKDUMP_PAGE_ZERO: u32 = 68;
/// A state this version has no number for.
pub const LIBKDUMP_PAGE_UNKNOWN: u32 = 0;

/// A range of physical addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct libkdump_range {
    /// `sizeof (struct libkdump_range)`, set by the caller.
    pub size: u32,
    /// What it is: LIBKDUMP_MEMORY_ of machines and plans (the type numbers of an e820 table),
    /// LIBKDUMP_PAGE_ of dumps.
    pub kind: u32,
    /// First address.
    pub start: u64,
    /// Bytes, never 0.
    pub length: u64,
}

extensible!(libkdump_range { kind: u32, start: u64, length: u64 });

impl libkdump_range {
    pub(crate) fn new(kind: u32, range: kdump_elf::PhysRange) -> Self {
        Self { size: 0, kind, start: range.start(), length: range.size() }
    }

    pub(crate) fn memory(entry: MemoryRange) -> Self {
        Self::new(memory_number(entry.kind), entry.range)
    }

    pub(crate) fn stored(span: Span) -> Self {
        Self::new(page_number(span.kind), span.range)
    }
}

pub(crate) fn page_number(kind: SpanKind) -> u32 {
    match kind {
        SpanKind::Stored => LIBKDUMP_PAGE_STORED,
        SpanKind::Zero => LIBKDUMP_PAGE_ZERO,
        SpanKind::Excluded(_) => LIBKDUMP_PAGE_EXCLUDED,
        SpanKind::Hole => LIBKDUMP_PAGE_HOLE,
        SpanKind::Missing => LIBKDUMP_PAGE_MISSING,
        SpanKind::Unreadable => LIBKDUMP_PAGE_UNREADABLE,
        SpanKind::Corrupt => LIBKDUMP_PAGE_CORRUPT,
        _ => LIBKDUMP_PAGE_UNKNOWN,
    }
}

/// The numbers are those of the e820 table.
pub(crate) fn memory_number(kind: MemoryKind) -> u32 {
    kind.e820_type()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_numbers_are_those_of_the_header() {
        let numbers: Vec<u32> = MemoryKind::all().map(memory_number).collect();
        let header = [
            LIBKDUMP_MEMORY_RAM,
            LIBKDUMP_MEMORY_RESERVED,
            LIBKDUMP_MEMORY_ACPI,
            LIBKDUMP_MEMORY_NVS,
            LIBKDUMP_MEMORY_UNUSABLE,
            LIBKDUMP_MEMORY_PMEM,
            LIBKDUMP_MEMORY_PRAM,
        ];
        assert_eq!(numbers, header);
    }
}
