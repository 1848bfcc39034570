//! Regions of memory other than what /proc/iomem calls RAM.

use alloc::format;
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use super::MachineFiles;
use super::paths::IOMEM;
use super::remark::Remarks;
use super::text_file::{BadLines, parse_hex_file, shown};
use crate::iomem::kind_of;
use crate::room::{self, RANGES};
use crate::{Error, Iomem, MemoryKind, MemoryMap, RangeSet};

/// Overlapping regions would be taken out of the dump twice; they are joined.
pub(super) fn crash_regions(iomem: &Iomem, notes: &mut Remarks) -> Result<Vec<PhysRange>, Error> {
    let mut out: Vec<PhysRange> = Vec::new();
    for region in iomem.crash_regions()? {
        match out.last_mut() {
            Some(last) if last.overlaps(region) => {
                notes.add(IOMEM, format!("has crash regions {last} and {region}, which were joined"));
                if let Ok(joined) = PhysRange::from_half_open(last.start(), last.end().max(region.end())) {
                    *last = joined;
                }
            }
            _ => room::push(&mut out, RANGES, region)?,
        }
    }
    Ok(out)
}

/// Lines of `start-end`, hexadecimal, inclusive
/// (Documentation/ABI/testing/sysfs-kernel-kexec-kdump).
pub(super) fn find_cma(files: &MachineFiles, notes: &mut Remarks) -> Result<RangeSet, Error> {
    const PATHS: [&str; 3] = [
        "sys/kernel/kexec/crash_cma_ranges",
        "sys/kernel/kexec_crash_cma_ranges",
        "sys/kernel/crash_cma_ranges",
    ];
    let Some((path, text)) = PATHS.iter().find_map(|path| Some((path, files.get(path)?))) else {
        return Ok(RangeSet::new());
    };
    let (mut ranges, mut bad) = (Vec::new(), BadLines::default());
    for (index, line) in text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).enumerate() {
        if line.is_empty() {
            continue;
        }
        let dash = line.iter().position(|&byte| byte == b'-');
        let range = dash.and_then(|dash| {
            let (start, last) = line.split_at_checked(dash)?;
            let start = parse_hex_file(start)?;
            let last = parse_hex_file(last.get(1..)?)?;
            PhysRange::from_inclusive(start, last).ok()
        });
        match range {
            Some(range) => room::push(&mut ranges, RANGES, range)?,
            None => bad.add(index, line, "is not a range"),
        }
    }
    bad.into_sentences().into_iter().for_each(|sentence| notes.add(path, sentence));
    RangeSet::from_ranges(ranges)
}

/// The firmware's map. Where entries overlap, the kind with the higher e820 number wins, as
/// in the kernel's own clean-up of the table (arch/x86/kernel/e820.c): what firmware calls
/// RAM once and something else once is not to be used as RAM.
pub(super) fn find_firmware_map(
    files: &MachineFiles,
    notes: &mut Remarks,
) -> Result<Option<MemoryMap>, Error> {
    let mut entries: Vec<(MemoryKind, PhysRange)> = Vec::new();
    let mut seen = false;
    for (index, path, start) in files.numbered("sys/firmware/memmap/", "start") {
        seen = true;
        let other = |name: &str| files.get(&format!("sys/firmware/memmap/{index}/{name}"));
        let range = (|| {
            let (start, last) = (parse_hex_file(start)?, parse_hex_file(other("end")?)?);
            PhysRange::from_inclusive(start, last).ok()
        })();
        let name = other("type").map(|text| room::lossy(RANGES, text.trim_ascii())).transpose()?;
        let (Some(range), Some(name)) = (range, name) else {
            notes.add(path, "belongs to an entry that is not a range with a type; it was left out");
            continue;
        };
        let kind = kind_of(&name).unwrap_or_else(|| {
            let name = shown(name.as_bytes());
            notes.add(path, format!("belongs to {range} of unknown type `{name}`, taken as reserved"));
            MemoryKind::Reserved
        });
        room::push(&mut entries, RANGES, (kind, range))?;
    }
    entries.sort_unstable();
    let mut map = MemoryMap::new();
    for (kind, range) in entries {
        map.insert(range, kind);
    }
    Ok(seen.then_some(map))
}
