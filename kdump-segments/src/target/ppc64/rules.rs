//! Rules that are ppc64's: what a segment may reach, and what a plan must keep.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::{Endian, PhysRange};

use super::Ppc64Plan;
use super::handover::{BOOTARGS, INITRD_END, INITRD_START, USABLE};
use super::kernel::{RUN_AT_LOAD, STAYS};
use super::layout::{VECTORS, in_real_mode};
use crate::Error;
use crate::elfcorehdr::LowMemory;
use crate::plan::Plan;
use crate::preflight::{Allocation, Checked, Environment, Outcome, PlanRule, header, plan_rules};
use crate::segment::{Segment, SegmentKind};
use crate::target::SegmentLimit;
use crate::target::device_tree::DeviceTree;

pub(super) const PLAN_RULES: [PlanRule; 15] = [
    ("elfcorehdr_decodes", header::decodes),
    ("elfcorehdr_notes", header::notes),
    ("elfcorehdr_memory", header::memory),
    // Documentation/arch/powerpc/booting.rst; the word itself: kernel.rs.
    ("kernel_stays", kernel_stays),
    ("segments_in_real_mode_area", segments_in_real_mode_area),
    ("low_memory_saved", low_memory_saved),
    ("device_tree", device_tree),
    ("elfcorehdr_not_in_capture_ram", not_in_capture_ram),
    ("segments_in_capture_ram", segments_in_capture_ram),
    ("entry_in_purgatory", plan_rules::entry_in_purgatory),
    ("kernel_has_content", plan_rules::kernel_has_content),
    ("one_elf_segment", plan_rules::one_elf_segment),
    ("command_line", plan_rules::command_line),
    ("memory_limit", plan_rules::memory_limit),
    ("region_not_claimed", plan_rules::not_claimed),
];

/// `KEXEC_DESTINATION_MEMORY_LIMIT` of ppc64 is the last address.
pub(super) fn segment_limit(_: &Environment) -> SegmentLimit {
    SegmentLimit { refused: u64::MAX, taken: u64::MAX, between: "nothing" }
}

/// A page of control code and one for the copy of VMCOREINFO: the next kernel is entered with the MMU
/// off. How many they are was not measured; where there is room for eight nothing is in doubt.
pub(super) fn control_pages(_: &Environment) -> Result<Vec<Vec<Allocation>>, Error> {
    Ok(vec![vec![Allocation { order: 0, count: 1 }], vec![Allocation { order: 0, count: 8 }]])
}

fn ppc64<'p>(plan: &'p Plan<'_>) -> Result<&'p Ppc64Plan, String> {
    plan.ppc64().ok_or_else(|| String::from("the plan is not one for ppc64"))
}

/// A kernel that is not told to stay would copy itself to address 0, over the memory to be dumped.
fn kernel_stays(Checked { plan, machine, .. }: &Checked<'_>) -> Outcome {
    let Some(kernel) = plan.segment(SegmentKind::Kernel) else { return Err(String::from("there is none")) };
    match machine.endian.read::<u32>(&kernel.data, RUN_AT_LOAD) {
        Some(STAYS) => Ok(format!("it runs where it lies, at {:#x}", kernel.mem())),
        other => Err(format!("it has {:x?} at {RUN_AT_LOAD:#x} and would move to address 0", other)),
    }
}

fn segments_in_real_mode_area(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let area = ppc64(plan)?.real_mode_area;
    match plan.segments.iter().find(|segment| !in_real_mode(segment, area)) {
        Some(segment) => {
            let (kind, range) = (segment.kind.name(), segment.range);
            Err(format!("{kind} at {range} is not reached with the MMU off, which {area} is"))
        }
        None => Ok(format!("all segments lie in {area}")),
    }
}

/// The vectors of the capture kernel overwrite it.
fn low_memory_saved(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let backup = plan.segment(SegmentKind::Backup).map(|segment| segment.range);
    match (plan.low_memory, backup) {
        (LowMemory::BackedUp { source, destination }, Some(backup))
            if source.start() == 0
                && source.size() == VECTORS
                && destination == backup.start()
                && backup.size() >= VECTORS =>
        {
            Ok(format!("{source} at {destination:#x}"))
        }
        (found, backup) => Err(format!("the first {VECTORS:#x} bytes are not saved: {found:?}, {backup:?}")),
    }
}

/// Reads back what the capture kernel is told.
fn device_tree(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let Some(dtb) = plan.segment(SegmentKind::Dtb) else { return Err(String::from("there is none")) };
    let own = ppc64(plan)?;
    let tree = DeviceTree::parse(&dtb.data).map_err(|why| why.to_string())?;
    let cells = tree.cells().map_err(|why| why.to_string())?;
    let told = tree.property(b"memory", USABLE).unwrap_or_default();
    let usable: Vec<_> = cells.ranges(told).collect();
    let inside = |&(start, size): &(u64, u64)| {
        size == 0 || PhysRange::from_len(start, size).is_ok_and(|range| own.usable.contains_range(range))
    };
    if usable.is_empty() || !usable.iter().all(inside) {
        return Err(format!("{USABLE} is {usable:x?}, the plan has {}", own.usable));
    }
    let reserved: Vec<(u64, u64)> = tree.reservations().collect();
    let wanted: Vec<(u64, u64)> = own.reserved.iter().map(|range| (range.start(), range.size())).collect();
    if reserved != wanted {
        return Err(format!("the tree reserves {reserved:x?}, the plan has {wanted:x?}"));
    }
    let initrd = plan.segment(SegmentKind::Initrd);
    let end = initrd.map(|segment| segment.mem().saturating_add(segment.bufsz()));
    for (name, wanted) in [(INITRD_START, initrd.map(Segment::mem)), (INITRD_END, end)] {
        let found = tree.chosen(name).map(|value| Endian::Big.read::<u64>(value, 0).unwrap_or(0));
        if found != wanted {
            return Err(format!("{name} is {found:x?}, the ramdisk has {wanted:x?}"));
        }
    }
    if tree.chosen(BOOTARGS).and_then(|value| value.strip_suffix(&[0]))
        != Some(plan.cmdline.as_str().as_bytes())
    {
        return Err(format!("{BOOTARGS} is not the command line"));
    }
    Ok(format!("{:#x} bytes, {} memory reservations", dtb.bufsz(), reserved.len()))
}

/// The capture kernel would overwrite its own header and the copy of low memory.
fn not_in_capture_ram(Checked { plan, capture_ram: usable, .. }: &Checked<'_>) -> Outcome {
    for segment in &plan.segments {
        let kept = matches!(segment.kind, SegmentKind::Elfcorehdr | SegmentKind::Backup);
        if kept && usable.overlaps(segment.range) {
            return Err(format!("{} at {} is not reserved", segment.kind.name(), segment.range));
        }
    }
    Ok(String::from("reserved by the device tree"))
}

/// All else that it is handed must be memory to it.
fn segments_in_capture_ram(Checked { plan, ram, capture_ram: usable, .. }: &Checked<'_>) -> Outcome {
    for segment in &plan.segments {
        let used = !matches!(segment.kind, SegmentKind::Elfcorehdr | SegmentKind::Backup);
        if used && !(usable.contains_range(segment.range) && ram.contains_range(segment.range)) {
            return Err(format!("{} at {} is not usable memory", segment.kind.name(), segment.range));
        }
    }
    Ok(format!("{:#x} bytes of usable memory", usable.total()))
}
