//! i386: its object, its relocations, and what its hand-over looks like.

pub(crate) mod reloc;

use kdump_elf::Arch;
use kdump_segments::purgatory::{Entry, Handover};

use crate::{Error, LinkedImage, x86_64};

/// Built by `cargo xtask purgatory`.
pub(crate) const OBJECT: &[u8] = include_bytes!("../../objects/i386.o");

/// The registers of the next kernel, which only its 32-bit entry has.
pub(crate) fn enter(image: &mut LinkedImage, entry: Entry) -> Result<(), Error> {
    match entry {
        Entry::X86Bits32 { .. } => x86_64::enter(image, entry),
        _ => Err(Error::Entry { arch: Arch::I386 }),
    }
}

/// Refuses what the program, which runs without paging, cannot address.
pub(crate) fn check_reach(handover: &Handover<'_>) -> Result<(), Error> {
    const LIMIT: u64 = 1 << 32;
    let regions = handover.regions.iter().map(|region| (region.start, crate::elf::length(region.bytes)));
    let copies =
        handover.backup.iter().flat_map(|copy| [(copy.source, copy.size), (copy.destination, copy.size)]);
    for (start, size) in regions.chain(copies) {
        if start.checked_add(size).is_none_or(|end| end > LIMIT) {
            return Err(Error::Region {
                start,
                size,
                why: "is not below 4 GiB, where this purgatory reaches",
            });
        }
    }
    Ok(())
}
