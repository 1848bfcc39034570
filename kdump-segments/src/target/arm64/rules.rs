//! Rules that are arm64's: what a segment may reach, and what a plan must keep.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::{Endian, PhysRange};

use super::handover::{BOOTARGS, ELFCOREHDR, INITRD_END, INITRD_START, USABLE};
use super::image::BASE_ALIGN;
use super::layout::{WINDOW, window_size};
use crate::Error;
use crate::plan::Plan;
use crate::preflight::{Allocation, Checked, Environment, Outcome, PlanRule, header, plan_rules};
use crate::segment::{Segment, SegmentKind};
use crate::target::device_tree::{Cells, DeviceTree};
use crate::target::{SegmentLimit, TargetPlan};

pub(in crate::target) const PLAN_RULES: [PlanRule; 12] = [
    ("elfcorehdr_decodes", header::decodes),
    ("elfcorehdr_notes", header::notes),
    ("elfcorehdr_memory", header::memory),
    // Documentation/arch/arm64/booting.rst.
    ("kernel_alignment", kernel_alignment),
    ("initrd_reachable", initrd_reachable),
    // Documentation/devicetree/bindings/chosen.txt.
    ("device_tree", device_tree),
    ("segments_in_capture_ram", segments_in_capture_ram),
    ("entry_in_purgatory", plan_rules::entry_in_purgatory),
    ("kernel_has_content", plan_rules::kernel_has_content),
    ("one_elf_segment", plan_rules::one_elf_segment),
    ("command_line", command_line),
    ("region_not_claimed", plan_rules::not_claimed),
];

/// `KEXEC_DESTINATION_MEMORY_LIMIT` of arm64 is the last address.
pub(super) fn segment_limit(_: &Environment) -> SegmentLimit {
    SegmentLimit { refused: u64::MAX, taken: u64::MAX, between: "nothing" }
}

/// A page of control code and, in most kernels, one for the copy of VMCOREINFO: page tables are not
/// needed, because the next kernel is entered with the MMU off. How many they are was not measured;
/// where there is room for eight nothing is in doubt, where there is none nothing fits.
pub(super) fn control_pages(_: &Environment) -> Result<Vec<Vec<Allocation>>, Error> {
    Ok(vec![vec![Allocation { order: 0, count: 1 }], vec![Allocation { order: 0, count: 8 }]])
}

fn kernel_alignment(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let TargetPlan::Arm64(arm64) = &plan.target else {
        return Err(String::from("the plan is not one for arm64"));
    };
    let Some(kernel) = plan.segment(SegmentKind::Kernel) else { return Err(String::from("there is none")) };
    let (start, offset) = (kernel.mem(), arm64.text_offset);
    if start.checked_sub(offset).and_then(|base| base.checked_rem(BASE_ALIGN)) == Some(0) {
        return Ok(format!("at {start:#x}, {offset:#x} bytes behind a multiple of 2 MiB"));
    }
    Err(format!("at {start:#x}, which is not {offset:#x} bytes behind a multiple of 2 MiB"))
}

fn initrd_reachable(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let used = |segment: &&Segment<'_>| matches!(segment.kind, SegmentKind::Kernel | SegmentKind::Initrd);
    let size = window_size(plan.segments.iter().filter(used).map(|segment| segment.range));
    if size > WINDOW {
        return Err(format!("kernel and ramdisk lie in {size:#x} bytes, the limit is {WINDOW:#x}"));
    }
    Ok(format!("kernel and ramdisk lie in {size:#x} bytes of {WINDOW:#x}"))
}

/// Reads back what the capture kernel is told.
fn device_tree(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let Some(dtb) = plan.segment(SegmentKind::Dtb) else { return Err(String::from("there is none")) };
    let tree = DeviceTree::parse(&dtb.data).map_err(|why| why.to_string())?;
    let cells = tree.cells().map_err(|why| why.to_string())?;
    let header = plan.segment(SegmentKind::Elfcorehdr).map(|segment| segment.range);
    expect_ranges(&tree, cells, ELFCOREHDR, header.as_slice())?;
    expect_ranges(&tree, cells, USABLE, usable(plan)?)?;
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

fn expect_ranges(
    tree: &DeviceTree<'_>,
    cells: Cells,
    name: &str,
    wanted: &[PhysRange],
) -> Result<(), String> {
    let found = cells.ranges(tree.chosen(name).unwrap_or_default());
    let wanted: Vec<(u64, u64)> = wanted.iter().map(|range| (range.start(), range.size())).collect();
    if found == wanted { Ok(()) } else { Err(format!("{name} is {found:x?}, the plan has {wanted:x?}")) }
}

/// All that the capture kernel is handed must be memory to it.
fn segments_in_capture_ram(checked: &Checked<'_>) -> Outcome {
    let Checked { plan, ram, capture_ram: usable, .. } = checked;
    for segment in &plan.segments {
        if !(usable.contains_range(segment.range) && ram.contains_range(segment.range)) {
            return Err(format!("{} at {} is not usable memory", segment.kind.name(), segment.range));
        }
    }
    Ok(format!("{:#x} bytes of usable memory", usable.total()))
}

/// The header is named by the device tree, not here.
fn command_line(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let (len, limit) = (plan.cmdline.as_str().len() as u64, plan.cmdline_limit);
    if len > limit {
        return Err(format!("{len} bytes, the capture kernel takes {limit}"));
    }
    Ok(format!("{len} bytes of {limit}"))
}

fn usable<'p>(plan: &'p Plan<'_>) -> Result<&'p [PhysRange], String> {
    match &plan.target {
        TargetPlan::Arm64(arm64) => Ok(&arm64.usable),
        _ => Err(String::from("the plan is not one for arm64")),
    }
}
