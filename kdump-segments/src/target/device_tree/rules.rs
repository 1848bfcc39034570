//! What a plan must keep whose kernel is an `Image` with a device tree, and what such kernels ask of a load.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::{Endian, PhysRange};

use super::handover::{BOOTARGS, EFI_MAP, ELFCOREHDR, INITRD_END, INITRD_START, USABLE};
use super::{Cells, DeviceTree, DeviceTreePlan};
use crate::plan::Plan;
use crate::preflight::{Allocation, Checked, Environment, Outcome};
use crate::segment::{Segment, SegmentKind};
use crate::target::flat_image::BASE_ALIGN;
use crate::target::{SegmentLimit, TargetPlan};
use crate::{Error, RangeSet};

/// `KEXEC_DESTINATION_MEMORY_LIMIT` is the last address.
pub(in crate::target) fn segment_limit(_: &Environment) -> SegmentLimit {
    SegmentLimit { refused: u64::MAX, taken: u64::MAX, between: "nothing" }
}

/// A page of control code and, in most kernels, one for the copy of VMCOREINFO: page tables are not
/// needed, because the next kernel is entered with the MMU off. How many they are was not measured;
/// where there is room for eight nothing is in doubt, where there is none nothing fits.
pub(in crate::target) fn control_pages(_: &Environment) -> Result<Vec<Vec<Allocation>>, Error> {
    Ok(vec![vec![Allocation { order: 0, count: 1 }], vec![Allocation { order: 0, count: 8 }]])
}

pub(in crate::target) fn kernel_alignment(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let DeviceTreePlan { text_offset: offset, .. } = tree_plan(plan)?;
    let Some(kernel) = plan.segment(SegmentKind::Kernel) else { return Err(String::from("there is none")) };
    let (start, offset) = (kernel.mem(), *offset);
    if start.checked_sub(offset).and_then(|base| base.checked_rem(BASE_ALIGN)) == Some(0) {
        return Ok(format!("at {start:#x}, {offset:#x} bytes behind a multiple of 2 MiB"));
    }
    Err(format!("at {start:#x}, which is not {offset:#x} bytes behind a multiple of 2 MiB"))
}

/// Reads back what the capture kernel is told.
pub(in crate::target) fn device_tree(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let Some(dtb) = plan.segment(SegmentKind::Dtb) else { return Err(String::from("there is none")) };
    let tree = DeviceTree::parse(&dtb.data).map_err(|why| why.to_string())?;
    let cells = tree.cells().map_err(|why| why.to_string())?;
    let header = plan.segment(SegmentKind::Elfcorehdr).map(|segment| segment.range);
    expect_ranges(&tree, cells, ELFCOREHDR, header.as_slice())?;
    expect_ranges(&tree, cells, USABLE, &tree_plan(plan)?.usable)?;
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
    // The kernel takes them out of what it may use, whatever else the tree says.
    let taken = |&(start, size): &(u64, u64)| {
        let end = start.saturating_add(size);
        plan.segments.iter().any(|segment| start < segment.range.end() && segment.mem() < end)
    };
    if let Some((start, size)) = tree.reservations().find(taken) {
        return Err(format!("the tree reserves {size:#x} bytes at {start:#x}, where a segment lies"));
    }
    let kept = tree.reservations().count();
    Ok(format!("{:#x} bytes, {kept} memory reservations kept", dtb.bufsz()))
}

/// The capture kernel uses what it is told to of the memory that it finds: in the tree, or in the
/// memory map of EFI, for which it leaves that of the tree alone.
pub(in crate::target) fn device_tree_memory(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let Some(dtb) = plan.segment(SegmentKind::Dtb) else { return Err(String::from("there is none")) };
    let tree = DeviceTree::parse(&dtb.data).map_err(|why| why.to_string())?;
    let reserved = tree.reserved_memory().map_err(|why| why.to_string())?;
    let usable = &tree_plan(plan)?.usable;
    let taken = |&&(start, size): &&(u64, u64)| {
        let end = start.saturating_add(size);
        usable.iter().any(|range| start < range.end() && range.start() < end)
    };
    if let Some((start, size)) = reserved.iter().find(taken) {
        return Err(format!("/reserved-memory has {size:#x} bytes at {start:#x}, in the crash region"));
    }
    if tree.chosen(EFI_MAP).is_some() {
        return Ok(format!("told by EFI ({EFI_MAP})"));
    }
    let memory = tree.memory().map_err(|why| why.to_string())?;
    let ranges = memory.iter().filter_map(|&(start, size)| PhysRange::from_len(start, size).ok());
    let memory = RangeSet::from_ranges(ranges).map_err(|why| why.to_string())?;
    if let Some(range) = usable.iter().find(|&&range| !memory.contains_range(range)) {
        let total = memory.total();
        return Err(format!(
            "{range} is to be used and not all in the {total:#x} bytes of /memory, and {EFI_MAP} is not there either"
        ));
    }
    Ok(format!("{:#x} bytes of /memory, {} places reserved", memory.total(), reserved.len()))
}

fn expect_ranges(
    tree: &DeviceTree<'_>,
    cells: Cells,
    name: &str,
    wanted: &[PhysRange],
) -> Result<(), String> {
    let found: Vec<_> = cells.ranges(tree.chosen(name).unwrap_or_default()).collect();
    let wanted: Vec<(u64, u64)> = wanted.iter().map(|range| (range.start(), range.size())).collect();
    if found == wanted { Ok(()) } else { Err(format!("{name} is {found:x?}, the plan has {wanted:x?}")) }
}

/// All that the capture kernel is handed must be memory to it.
pub(in crate::target) fn segments_in_capture_ram(checked: &Checked<'_>) -> Outcome {
    let Checked { plan, ram, capture_ram: usable, .. } = checked;
    for segment in &plan.segments {
        if !(usable.contains_range(segment.range) && ram.contains_range(segment.range)) {
            return Err(format!("{} at {} is not usable memory", segment.kind.name(), segment.range));
        }
    }
    Ok(format!("{:#x} bytes of usable memory", usable.total()))
}

/// The header is named by the device tree, not here.
pub(in crate::target) fn command_line(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let (len, limit) = (plan.cmdline.as_str().len() as u64, plan.cmdline_limit);
    if len > limit {
        return Err(format!("{len} bytes, the capture kernel takes {limit}"));
    }
    Ok(format!("{len} bytes of {limit}"))
}

fn tree_plan<'p>(plan: &'p Plan<'_>) -> Result<&'p DeviceTreePlan, String> {
    match &plan.target {
        TargetPlan::DeviceTree(plan) => Ok(plan),
        _ => Err(String::from("the plan is not one with a device tree")),
    }
}
