//! The memory map an x86 capture kernel is given.

use alloc::string::String;
use alloc::vec::Vec;

use super::e820::E820Entry;
use crate::elfcorehdr::{LowMemory, low_ram};
use crate::{Error, Machine, MemoryKind, MemoryMap, RangeSet, room};

/// The memory map of an x86 capture kernel: everything that is not RAM as the running kernel knows
/// it, and as RAM only what the capture kernel may use: low memory, the crash regions without
/// `kept` (the segments it must not overwrite), and CMA memory.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn capture_map(machine: &Machine, low: LowMemory, kept: &RangeSet) -> Result<Vec<E820Entry>, Error> {
    let low = match low {
        LowMemory::BackedUp { source, .. } => RangeSet::from(source),
        LowMemory::NotDumped => low_ram(machine)?,
        LowMemory::AsIs => RangeSet::new(),
    };
    let regions = machine.crash_set()?.union(&machine.cma_ranges)?;
    let usable = regions.intersect(&machine.ram()?)?.subtract(&machine.crash_claimed)?.subtract(kept)?;
    let mut map: MemoryMap = machine.memory.iter().filter(|entry| entry.kind != MemoryKind::Ram).collect();
    for range in &usable.union(&low)? {
        map.insert(range, MemoryKind::Ram);
    }
    entries(&map)
}

/// The firmware's own map, for kernels that are told on the command line what to use.
///
/// # Errors
/// [`Error::Conflict`] when the kernel does not show it.
pub(super) fn firmware_map(machine: &Machine) -> Result<Vec<E820Entry>, Error> {
    let map = machine.firmware_map.as_ref().ok_or_else(|| Error::Conflict {
        what: "memmap= on the command line",
        reason: String::from("the firmware's memory map (sys/firmware/memmap) is not there"),
    })?;
    entries(map)
}

fn entries(map: &MemoryMap) -> Result<Vec<E820Entry>, Error> {
    let entries = map.iter().map(|entry| E820Entry { range: entry.range, kind: entry.kind });
    room::collect("the memory map", entries)
}
