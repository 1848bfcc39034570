//! What a capture kernel is told that has a device tree, all of it in /chosen
//! (Documentation/devicetree/bindings/chosen.txt; dt-schema `chosen.yaml`).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use super::{Change, DeviceTree, SIZE_MAX};
use crate::cmdline::CommandLine;
use crate::{Error, Machine};

pub(super) const ELFCOREHDR: &str = "linux,elfcorehdr";
pub(super) const USABLE: &str = "linux,usable-memory-range";
pub(super) const INITRD_START: &str = "linux,initrd-start";
pub(super) const INITRD_END: &str = "linux,initrd-end";
pub(super) const BOOTARGS: &str = "bootargs";
/// Where the EFI stub says that the memory map of EFI is (Documentation/arch/arm/uefi.rst).
pub(super) const EFI_MAP: &str = "linux,uefi-mmap-start";
const KASLR_SEED: &str = "kaslr-seed";
const RNG_SEED: &str = "rng-seed";
/// The kernel looks at no more.
pub(super) const USABLE_MAX: usize = 2;
/// Bytes of the loader's entropy that seed the random numbers; the others place the kernel.
const RNG_BYTES: usize = 24;

/// What goes into /chosen.
pub(super) struct Told<'t> {
    pub(super) cmdline: &'t CommandLine,
    pub(super) elfcorehdr: PhysRange,
    /// Address and bytes.
    pub(super) initrd: Option<(u64, u64)>,
    pub(super) usable: &'t [PhysRange],
}

/// What the capture kernel may use: the region it is loaded into and then, for devices with short
/// addresses, the lowest other one. The order is that of the kernel, which takes the second for low
/// memory.
pub(super) fn usable_ranges(machine: &Machine, region: PhysRange, notes: &mut Vec<String>) -> Vec<PhysRange> {
    let others = machine.crash_regions.iter().copied().filter(|other| !other.overlaps(region));
    let mut ranges: Vec<PhysRange> = core::iter::once(region).chain(others).collect();
    if ranges.len() > USABLE_MAX {
        notes.push(format!(
            "there are {} crash regions, the capture kernel is told of {USABLE_MAX}: {region} and the lowest",
            ranges.len()
        ));
        ranges.truncate(USABLE_MAX);
    }
    ranges
}

/// The running kernel's tree for the capture kernel.
pub(super) fn device_tree(
    tree: &DeviceTree<'_>,
    told: &Told<'_>,
    seed: Option<&[u8; 32]>,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, Error> {
    let mut changes = Vec::new();
    let mut change = |name, value| changes.push(Change { name, value });
    change(BOOTARGS, Some(text(told.cmdline.as_str())?));
    let cells = tree.cells()?;
    let mut header = Vec::new();
    cells.push(&mut header, told.elfcorehdr)?;
    change(ELFCOREHDR, Some(header));
    let mut usable = Vec::new();
    for &range in told.usable {
        cells.push(&mut usable, range)?;
    }
    change(USABLE, Some(usable));
    let initrd = told.initrd.map(|(start, size)| (start, start.saturating_add(size)));
    change(INITRD_START, initrd.map(|(start, _)| start.to_be_bytes().to_vec()));
    change(INITRD_END, initrd.map(|(_, end)| end.to_be_bytes().to_vec()));
    // The running kernel has used up its own. Where there was none the boot loader wanted none, and
    // no byte serves twice.
    let (random, place) = match seed.map(|seed| seed.split_at(RNG_BYTES)) {
        Some((random, place)) => (Some(random.to_vec()), Some(place.to_vec())),
        None => (None, None),
    };
    if random.is_none() {
        notes.push(String::from("the capture kernel gets no seed for its random numbers"));
    }
    change(KASLR_SEED, place.filter(|_| tree.chosen(KASLR_SEED).is_some()));
    change(RNG_SEED, random);
    let bytes = tree.with_chosen(&changes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(Error::TooMany {
            what: "bytes of the device tree",
            value: bytes.len() as u64,
            limit: SIZE_MAX,
        });
    }
    Ok(bytes)
}

/// A text with its NUL.
fn text(text: &str) -> Result<Vec<u8>, Error> {
    let need = text.len().saturating_add(1);
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(need)
        .map_err(|_| Error::OutOfMemory { what: "command line", need: need as u64 })?;
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    Ok(bytes)
}
