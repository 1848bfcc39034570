//! Rules that are x86's: what a segment may reach, and what a plan must keep.

use alloc::format;
use alloc::string::String;

use super::X86Plan;
use super::boot_params::boot_params;
use crate::plan::Plan;
use crate::preflight::{Checked, Environment, Outcome, PlanRule, header, plan_rules};
use crate::segment::SegmentKind;
use crate::target::SegmentLimit;

/// The last byte of the physical address space of x86_64, which no segment may have, with page
/// tables of four and of five levels.
const LAST_4_LEVELS: u64 = (1 << 46) - 1;
const LAST_5_LEVELS: u64 = (1 << 52) - 1;

pub(super) const PLAN_RULES: [PlanRule; 14] = [
    ("elfcorehdr_decodes", header::decodes),
    ("elfcorehdr_notes", header::notes),
    ("elfcorehdr_memory", header::memory),
    ("elfcorehdr_not_in_capture_ram", not_in_capture_ram),
    ("e820_sorted", e820_sorted),
    ("segments_in_capture_ram", segments_in_capture_ram),
    ("entry_in_purgatory", plan_rules::entry_in_purgatory),
    ("kernel_has_content", plan_rules::kernel_has_content),
    ("one_elf_segment", plan_rules::one_elf_segment),
    ("command_line", plan_rules::command_line),
    ("memory_limit", plan_rules::memory_limit),
    ("initrd_reachable", initrd_reachable),
    // Documentation/arch/x86/boot.rst.
    ("boot_params", boot_params),
    ("region_not_claimed", plan_rules::not_claimed),
];

/// By the levels of the running kernel's page tables.
pub(super) fn segment_limit(environment: &Environment) -> SegmentLimit {
    let (refused, taken) = match environment.five_levels {
        Some(true) => (LAST_5_LEVELS, LAST_5_LEVELS),
        Some(false) => (LAST_4_LEVELS, LAST_4_LEVELS),
        None => (LAST_5_LEVELS, LAST_4_LEVELS),
    };
    let between = "page tables of five levels, and it is not known how many there are";
    SegmentLimit { refused, taken, between }
}

/// `KEXEC_DESTINATION_MEMORY_LIMIT` of i386 is the last address.
pub(super) fn segment_limit_32bit(_: &Environment) -> SegmentLimit {
    let last = u64::from(u32::MAX);
    SegmentLimit { refused: last, taken: last, between: "nothing" }
}

/// What only plans for x86 have.
fn x86<'p>(plan: &'p Plan<'_>) -> Result<&'p X86Plan, String> {
    plan.x86().ok_or_else(|| String::from("the plan is not one for x86"))
}

/// The capture kernel would overwrite its own header and the copy of low memory.
fn not_in_capture_ram(Checked { plan, capture_ram: usable, .. }: &Checked<'_>) -> Outcome {
    let memmap = plan.cmdline.parameters().any(|word| word == "memmap=exactmap");
    for segment in &plan.segments {
        let kept = matches!(segment.kind, SegmentKind::Elfcorehdr | SegmentKind::Backup);
        if kept && !memmap && usable.overlaps(segment.range) {
            return Err(format!("{} at {} is usable in the e820 map", segment.kind.name(), segment.range));
        }
    }
    Ok(String::from(if memmap { "left out by memmap=" } else { "left out of the e820 map" }))
}

/// The kernel, its parameters and its ramdisk must be memory to it.
fn segments_in_capture_ram(Checked { plan, capture_ram: usable, .. }: &Checked<'_>) -> Outcome {
    for segment in &plan.segments {
        let used =
            matches!(segment.kind, SegmentKind::Kernel | SegmentKind::Initrd | SegmentKind::BootParams);
        if used && !usable.contains_range(segment.range) {
            return Err(format!(
                "{} at {} is not usable in the e820 map",
                segment.kind.name(),
                segment.range
            ));
        }
    }
    Ok(format!("{:#x} bytes of usable memory", usable.total()))
}

fn e820_sorted(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let e820 = &x86(plan)?.e820;
    let bad = e820.windows(2).find(|pair| match pair {
        [low, high] => low.range.end() > high.range.start(),
        _ => false,
    });
    match bad {
        Some([low, high]) => Err(format!("{} and {} are not in order", low.range, high.range)),
        _ => Ok(format!("{} entries", e820.len())),
    }
}

fn initrd_reachable(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let limit = x86(plan)?.initrd_limit;
    match plan.segment(SegmentKind::Initrd) {
        Some(initrd) if initrd.range.last() > limit => {
            Err(format!("it ends at {:#x}, the limit is {:#x}", initrd.range.last(), limit))
        }
        Some(initrd) => Ok(format!("at {}", initrd.range)),
        None => Ok(String::from("there is none")),
    }
}
