//! Rules about a whole plan: the kernel's own, and what makes a capture kernel work.

use alloc::format;
use alloc::string::String;

use super::{Candidate, Checked, Environment, Finding, Outcome, Report, Verdict, check, header};
use crate::capture_need::{is_address, within_limit};
use crate::elfcorehdr::LowMemory;
use crate::plan::{KexecFlags, Plan};
use crate::segment::{Segment, SegmentKind};
use crate::target::Target;
use crate::{Error, Machine};

/// Evaluates the kernel's rules for `plan` and checks what it would hand over, by the rules of its
/// target.
///
/// # Errors
/// Those of [`check`].
pub fn check_plan(plan: &Plan<'_>, machine: &Machine, environment: &Environment) -> Result<Report, Error> {
    let mut report = check(&Candidate::of_plan(plan)?, environment)?;
    let capture_ram = plan.target.capture_ram()?;
    let checked = Checked {
        plan,
        machine,
        ram: machine.ram()?,
        within_limit: within_limit(&plan.cmdline, plan.arch, &capture_ram)?,
        capture_ram,
        phdrs: header::decoded(plan)?,
    };
    match Target::of(plan.arch) {
        Some(target) => {
            let rules = target.plan_rules.iter();
            report.findings.extend(rules.map(|(rule, evaluate)| finding(rule, evaluate(&checked))));
        }
        None => {
            let detail = format!("nothing is planned for {}", plan.arch.name());
            report.findings.push(Finding { rule: "plan_rules", verdict: Verdict::Fail, detail });
        }
    }
    Ok(report)
}

fn finding(rule: &'static str, outcome: Outcome) -> Finding {
    match outcome {
        Ok(detail) => Finding { rule, verdict: Verdict::Pass, detail },
        Err(detail) => Finding { rule, verdict: Verdict::Fail, detail },
    }
}

/// What the kernel jumps to must be there: it looks no further than the crash region.
pub(crate) fn entry_in_purgatory(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    const INSTRUCTION: usize = 4;
    let entry = plan.entry;
    let Some(purgatory) = plan.segment(SegmentKind::Purgatory) else {
        return Err(format!("there is no purgatory, and the entry is {entry:#x}"));
    };
    let (start, size) = (purgatory.mem(), purgatory.bufsz());
    let at = entry.checked_sub(start).and_then(|at| usize::try_from(at).ok());
    let first = at.and_then(|at| purgatory.data.get(at..)).and_then(|rest| rest.get(..INSTRUCTION));
    match first {
        None => Err(format!("the entry {entry:#x} is not in the {size:#x} bytes of purgatory at {start:#x}")),
        Some([0, 0, 0, 0]) => Err(format!("the purgatory has no program at its entry {entry:#x}: zeros")),
        Some(_) => Ok(format!("{entry:#x}, in the {size:#x} bytes of purgatory at {start:#x}")),
    }
}

/// A kernel begins with its header or its first instructions: with zeros there is none.
pub(crate) fn kernel_has_content(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    const PAGE: usize = 4096;
    let Some(kernel) = plan.segment(SegmentKind::Kernel) else { return Err(String::from("there is none")) };
    let (start, size) = (kernel.mem(), kernel.bufsz());
    if kernel.data.iter().take(PAGE).all(|&byte| byte == 0) {
        return Err(format!("the {size:#x} bytes of kernel at {start:#x} begin with nothing but zeros"));
    }
    Ok(format!("{size:#x} bytes at {start:#x}"))
}

/// On hot-plug the kernel finds the header by its magic and takes the last segment with it.
pub(crate) fn one_elf_segment(Checked { plan, .. }: &Checked<'_>) -> Outcome {
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

pub(crate) fn command_line(Checked { plan, .. }: &Checked<'_>) -> Outcome {
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

/// What is loaded must be memory to a kernel whose command line takes memory from it: by its address
/// where `mem=` names one, and else there must be as much. What the kernel needs to run is the
/// plan's estimate.
pub(crate) fn memory_limit(Checked { plan, capture_ram, within_limit: left, .. }: &Checked<'_>) -> Outcome {
    if left == capture_ram {
        return Ok(String::from("mem= on the command line takes nothing"));
    }
    let used = |kind| matches!(kind, SegmentKind::Kernel | SegmentKind::Initrd | SegmentKind::BootParams);
    let loaded = || plan.segments.iter().filter(|segment| used(segment.kind));
    let total = left.total();
    let need = loaded().map(Segment::memsz).fold(0, u64::saturating_add);
    if need > total {
        return Err(format!("mem= leaves {total:#x} bytes, kernel and ramdisk have {need:#x}"));
    }
    let by_address = is_address(plan.arch);
    match loaded().find(|segment| by_address && !left.contains_range(segment.range)) {
        Some(out) => Err(format!("mem= ends memory before the end of {} at {}", out.kind.name(), out.range)),
        None => Ok(format!("mem= leaves {total:#x} bytes, kernel and ramdisk have {need:#x}")),
    }
}

pub(crate) fn not_claimed(Checked { plan, machine, .. }: &Checked<'_>) -> Outcome {
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
