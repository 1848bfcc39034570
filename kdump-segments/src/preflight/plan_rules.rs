//! Rules about a whole plan: the kernel's own, and what makes a capture kernel work.

use alloc::format;
use alloc::string::String;

use super::{Candidate, Environment, Finding, Outcome, Report, Verdict, check, header};
use crate::Machine;
use crate::elfcorehdr::LowMemory;
use crate::plan::{KexecFlags, Plan};
use crate::segment::SegmentKind;
use crate::{MemoryKind, RangeSet};

/// Evaluates the kernel's rules for `plan` and checks what it would hand over: the ELF core
/// header as encoded, the memory map, the command line.
#[must_use]
pub fn check_plan(plan: &Plan<'_>, machine: &Machine, environment: &Environment) -> Report {
    let mut report = check(&Candidate::from(plan), environment);
    report.findings.extend([
        finding("elfcorehdr_decodes", header::decodes(plan)),
        finding("elfcorehdr_notes", header::notes(plan, machine)),
        finding("elfcorehdr_memory", header::memory(plan, machine)),
        finding("elfcorehdr_not_in_capture_ram", not_in_capture_ram(plan)),
        finding("e820_sorted", e820_sorted(plan)),
        finding("segments_in_capture_ram", segments_in_capture_ram(plan)),
        finding("one_elf_segment", one_elf_segment(plan)),
        finding("command_line", command_line(plan)),
        finding("initrd_reachable", initrd_reachable(plan)),
        finding("region_not_claimed", not_claimed(plan, machine)),
    ]);
    report
}

fn finding(rule: &'static str, outcome: Outcome) -> Finding {
    match outcome {
        Ok(detail) => Finding { rule, verdict: Verdict::Pass, detail },
        Err(detail) => Finding { rule, verdict: Verdict::Fail, detail },
    }
}

/// The capture kernel would overwrite its own header and the copy of low memory.
fn not_in_capture_ram(plan: &Plan<'_>) -> Outcome {
    let memmap = plan.cmdline.parameters().any(|word| word == "memmap=exactmap");
    let usable = usable(plan);
    for segment in &plan.segments {
        let kept = matches!(segment.kind, SegmentKind::Elfcorehdr | SegmentKind::Backup);
        if kept && !memmap && usable.overlaps(segment.range) {
            return Err(format!("{} at {} is usable in the e820 map", segment.kind.name(), segment.range));
        }
    }
    Ok(String::from(if memmap { "left out by memmap=" } else { "left out of the e820 map" }))
}

/// The kernel, its parameters and its ramdisk must be memory to it.
fn segments_in_capture_ram(plan: &Plan<'_>) -> Outcome {
    let usable = usable(plan);
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

fn usable(plan: &Plan<'_>) -> RangeSet {
    plan.e820.iter().filter(|entry| entry.kind == MemoryKind::Ram).map(|entry| entry.range).collect()
}

fn e820_sorted(plan: &Plan<'_>) -> Outcome {
    let bad = plan.e820.windows(2).find(|pair| match pair {
        [low, high] => low.range.end() > high.range.start(),
        _ => false,
    });
    match bad {
        Some([low, high]) => Err(format!("{} and {} are not in order", low.range, high.range)),
        _ => Ok(format!("{} entries", plan.e820.len())),
    }
}

/// On hot-plug the kernel finds the header by its magic and takes the last segment with it.
fn one_elf_segment(plan: &Plan<'_>) -> Outcome {
    let elf =
        |kind: SegmentKind, data: &[u8]| kind != SegmentKind::Elfcorehdr && data.starts_with(b"\x7fELF");
    let other = plan.segments.iter().find(|segment| elf(segment.kind, &segment.data));
    let hotplug = plan.flags.contains(KexecFlags::UPDATE_ELFCOREHDR);
    match other {
        Some(other) if hotplug => {
            Err(format!("{} begins with the ELF magic and would be taken for the header", other.kind.name()))
        }
        Some(other) => {
            Ok(format!("{} also begins with the ELF magic; harmless without hot-plug", other.kind.name()))
        }
        None => Ok(String::from("only the elfcorehdr begins with the ELF magic")),
    }
}

fn command_line(plan: &Plan<'_>) -> Outcome {
    let (len, limit) = (plan.cmdline.as_str().len() as u64, plan.cmdline_limit);
    let header = plan.segment(SegmentKind::Elfcorehdr).map(|segment| segment.mem() >> 10);
    let wanted = header.map(|kib| format!("elfcorehdr={kib}K"));
    if len > limit {
        return Err(format!("{len} bytes, the capture kernel takes {limit}"));
    }
    match wanted {
        Some(wanted) if plan.cmdline.parameters().any(|word| word == wanted) => {
            Ok(format!("{len} bytes of {limit}, with {wanted}"))
        }
        _ => Err(String::from("elfcorehdr= does not name the header")),
    }
}

fn initrd_reachable(plan: &Plan<'_>) -> Outcome {
    match plan.segment(SegmentKind::Initrd) {
        Some(initrd) if initrd.range.last() > plan.initrd_limit => {
            Err(format!("it ends at {:#x}, the limit is {:#x}", initrd.range.last(), plan.initrd_limit))
        }
        Some(initrd) => Ok(format!("at {}", initrd.range)),
        None => Ok(String::from("there is none")),
    }
}

fn not_claimed(plan: &Plan<'_>, machine: &Machine) -> Outcome {
    let bad = plan.segments.iter().find(|segment| machine.crash_claimed.overlaps(segment.range));
    let copy = match plan.low_memory {
        LowMemory::BackedUp { source, .. } => source.size(),
        _ => 0,
    };
    if plan.segment(SegmentKind::Backup).map_or(0, |backup| backup.memsz()) < copy {
        return Err(String::from("the backup region is smaller than the memory copied to it"));
    }
    match bad {
        Some(bad) => Err(format!("{} at {} lies on claimed memory", bad.kind.name(), bad.range)),
        None => Ok(String::from("no segment lies on claimed memory")),
    }
}
