//! The memory map an x86 capture kernel is given (Documentation/arch/x86/zero-page.rst).

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::PhysRange;
use zerocopy::{Immutable, IntoBytes, LE, U32, U64, Unaligned};

use crate::{Error, MemoryKind, room};

/// Entries that boot_params itself holds; the rest goes into setup_data.
pub const E820_TABLE_MAX: usize = 128;
/// Bytes of one entry.
pub const E820_ENTRY_SIZE: usize = size_of::<RawEntry>();

/// One range of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct E820Entry {
    /// The addresses.
    pub range: PhysRange,
    /// What they are.
    pub kind: MemoryKind,
}

impl E820Entry {
    /// The entry as boot_params and setup_data store it.
    #[must_use]
    pub fn encode(&self) -> [u8; E820_ENTRY_SIZE] {
        zerocopy::transmute!(RawEntry {
            addr: self.range.start().into(),
            size: self.range.size().into(),
            kind: self.kind.e820_type().into(),
        })
    }
}

/// `struct boot_e820_entry` (arch/x86/include/uapi/asm/setup_data.h).
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct RawEntry {
    addr: U64<LE>,
    size: U64<LE>,
    kind: U32<LE>,
}

/// The `memmap=` parameters that say the same as `entries` to a kernel too old to trust the
/// table: `memmap=exactmap`, then usable (`@`), ACPI (`#`) and persistent (`!`) ranges in
/// KiB. Usable ranges are rounded inward, the others outward; reserved ranges need no
/// parameter because everything not listed is.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn memmap_parameters(entries: &[E820Entry]) -> Result<Vec<String>, Error> {
    let mut out = alloc::vec![String::from("memmap=exactmap")];
    for entry in entries {
        let (mark, range) = match entry.kind {
            MemoryKind::Ram => ('@', entry.range.align_inward(1024)),
            MemoryKind::Acpi | MemoryKind::Nvs => ('#', Some(entry.range.align_outward(1024))),
            MemoryKind::Pram => ('!', Some(entry.range.align_outward(1024))),
            MemoryKind::Reserved | MemoryKind::Unusable | MemoryKind::Pmem => continue,
        };
        if let Some(range) = range {
            let (size, start) = (range.size() >> 10, range.start() >> 10);
            room::push(&mut out, "command line", alloc::format!("memmap={size}K{mark}{start}K"))?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start: u64, last: u64, kind: MemoryKind) -> E820Entry {
        E820Entry { range: PhysRange::from_inclusive(start, last).unwrap(), kind }
    }

    #[test]
    fn an_entry_is_twenty_bytes() {
        let bytes = entry(0x1000, 0x9_fbff, MemoryKind::Pram).encode();
        assert_eq!(bytes, [0, 16, 0, 0, 0, 0, 0, 0, 0, 0xec, 9, 0, 0, 0, 0, 0, 12, 0, 0, 0]);
    }

    #[test]
    fn memmap_is_counted_in_kib() {
        let map = [
            entry(0x1001, 0x9_fbff, MemoryKind::Ram),
            entry(0x10_0001, 0x10_07ff, MemoryKind::Acpi),
            entry(0x20_0000, 0x20_0001, MemoryKind::Ram),
            entry(0x30_0000, 0x3f_ffff, MemoryKind::Reserved),
        ];
        assert_eq!(
            memmap_parameters(&map).unwrap(),
            ["memmap=exactmap", "memmap=634K@5K", "memmap=2K#1024K"]
        );
    }
}
