//! What a plan for loongarch64 must keep.

use alloc::format;
use alloc::string::String;

use super::layout::{KERNEL_ALIGN, PREFIX, elfcorehdr_parameter, memory_parameter};
use crate::preflight::{Checked, Outcome, PlanRule, header, plan_rules};
use crate::segment::SegmentKind;

pub(super) const PLAN_RULES: [PlanRule; 11] = [
    ("elfcorehdr_decodes", header::decodes),
    ("elfcorehdr_notes", header::notes),
    ("elfcorehdr_memory", header::memory),
    ("kernel_alignment", kernel_alignment),
    ("one_command_line", one_command_line),
    ("segments_in_capture_ram", segments_in_capture_ram),
    ("entry_in_purgatory", plan_rules::entry_in_purgatory),
    ("kernel_has_content", plan_rules::kernel_has_content),
    ("one_elf_segment", plan_rules::one_elf_segment),
    ("command_line", command_line),
    ("region_not_claimed", plan_rules::not_claimed),
];

fn kernel_alignment(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let Some(kernel) = plan.segment(SegmentKind::Kernel) else { return Err(String::from("there is none")) };
    let start = kernel.mem();
    let good = start.checked_rem(KERNEL_ALIGN) == Some(0);
    if good { Ok(format!("at {start:#x}")) } else { Err(format!("at {start:#x}, no multiple of 1 MiB")) }
}

/// The kernel takes the segment that begins with the word for the command line.
fn one_command_line(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let word = PREFIX.trim_end().as_bytes();
    let mut found = plan.segments.iter().filter(|segment| segment.data.starts_with(word));
    match (found.next(), found.next()) {
        (Some(one), None) if one.data.strip_suffix(&[0]) == Some(plan.cmdline.as_str().as_bytes()) => {
            Ok(format!("at {:#x}", one.mem()))
        }
        (Some(_), None) => Err(String::from("the segment that begins with `kexec` is not the command line")),
        (None, _) => Err(String::from("no segment begins with `kexec`, by which the kernel finds it")),
        (Some(_), Some(other)) => {
            Err(format!("{} begins with `kexec`, too, by which the kernel finds it", other.kind.name()))
        }
    }
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

fn command_line(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let (len, limit) = (plan.cmdline.as_str().len() as u64, plan.cmdline_limit);
    if len > limit {
        return Err(format!("{len} bytes, the capture kernel takes {limit}"));
    }
    let has = |wanted: &str| plan.cmdline.parameters().any(|word| word == wanted);
    let header = plan.segment(SegmentKind::Elfcorehdr).map(|segment| elfcorehdr_parameter(segment.range));
    let initrd = plan.segment(SegmentKind::Initrd);
    let initrd = initrd.map(|segment| format!("initrd={},{}", segment.mem(), segment.bufsz()));
    let Some(usable) = plan.loongarch64().map(|plan| &plan.usable) else {
        return Err(String::from("the plan is not one for loongarch64"));
    };
    let memory = usable.iter().map(|range| memory_parameter(*range));
    match header.into_iter().chain(initrd).chain(memory).find(|wanted| !has(wanted)) {
        Some(wanted) => Err(format!("{wanted} is not on it")),
        None if plan.segment(SegmentKind::Elfcorehdr).is_none() => {
            Err(String::from("there is no header to name"))
        }
        None => Ok(format!("{len} bytes of {limit}")),
    }
}
