//! A plan as text for people.

use core::fmt::{self, Write};

use kdump_elf::{PT_LOAD, Phdr};
use kdump_segments::capture_need::{CaptureNeed, Suggestion};
use kdump_segments::elfcorehdr::LowMemory;
use kdump_segments::plan::Plan;
use kdump_segments::preflight::{Report, Verdict};

use crate::terminal::printable;

/// The whole plan.
pub(super) fn describe(plan: &Plan<'_>, report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = write_plan(&mut out, plan, report);
    out
}

fn write_plan(out: &mut String, plan: &Plan<'_>, report: &Report) -> fmt::Result {
    let (arch, entry, flags) = (plan.arch.name(), plan.entry, plan.flags.bits());
    writeln!(out, "arch {arch}, entry {entry:#x}, flags {flags:#x}")?;
    let (region, leftover) = (plan.region, plan.leftover >> 10);
    writeln!(out, "crash region {region}, {} MiB, {leftover} KiB left to the kernel", region.size() >> 20)?;
    writeln!(out, "\nsegments                 mem       memsz       bufsz")?;
    for segment in &plan.segments {
        let (mem, memsz, bufsz) = (segment.mem(), segment.memsz(), segment.bufsz());
        writeln!(out, "  {:<12} {mem:#14x} {memsz:#11x} {bufsz:#11x}", segment.kind.name())?;
    }
    if let LowMemory::BackedUp { source, destination } = plan.low_memory {
        writeln!(out, "  low memory {source} is saved to {destination:#x}")?;
    }
    writeln!(out, "\nelfcorehdr ({})", plan.elfcorehdr.encoding().class)?;
    write_phdrs(out, plan.elfcorehdr.phdrs())?;
    let guess = if plan.vmcore.estimated { "about " } else { "" };
    writeln!(out, "\n/proc/vmcore after a crash: {guess}{} bytes", plan.vmcore.size)?;
    write_phdrs(out, &plan.vmcore.phdrs)?;
    writeln!(out, "\nmemory of the capture kernel")?;
    for entry in plan.x86().map_or(&[][..], |x86| &x86.e820) {
        writeln!(out, "  {} {}", entry.range, entry.kind.name())?;
    }
    if plan.x86().is_none() {
        let usable = plan.target.capture_ram().map_err(|_| fmt::Error)?;
        usable.iter().try_for_each(|range| writeln!(out, "  {range}"))?;
    }
    writeln!(out, "\ncommand line\n  {}", printable(plan.cmdline.as_str()))?;
    write_preflight(out, report)?;
    if let Some(need) = &plan.need {
        writeln!(out)?;
        write_need(out, need)?;
    }
    writeln!(out, "\nnotes")?;
    plan.remarks.iter().try_for_each(|note| writeln!(out, "  {}", printable(note)))
}

/// The `crashkernel=` to set, and why.
pub(super) fn suggestion(suggestion: &Suggestion) -> String {
    let mut out = format!("{suggestion}\n\n");
    // Writing to a String does not fail.
    let _ = write_need(&mut out, &suggestion.need);
    suggestion.remarks.iter().for_each(|note| out.push_str(&format!("\n{note}\n")));
    out
}

fn write_need(out: &mut String, need: &CaptureNeed) -> fmt::Result {
    let (total, room, verdict) = (need.total_mib(), need.room >> 20, need.fit().name());
    writeln!(out, "capture kernel: needs about {total} MiB; the region has {room} MiB: {verdict}")?;
    for item in &need.items {
        let (kib, basis) = (item.bytes.div_ceil(1024), item.basis.name());
        writeln!(out, "  {:<32} {kib:>8} KiB  {basis:<9}  {}", item.name, item.source)?;
    }
    Ok(())
}

fn write_phdrs(out: &mut String, phdrs: &[Phdr]) -> fmt::Result {
    writeln!(out, "  type            offset              vaddr          paddr       memsz")?;
    for phdr in phdrs {
        let name = if phdr.p_type == PT_LOAD { "PT_LOAD" } else { "PT_NOTE" };
        let (offset, vaddr, paddr, memsz) = (phdr.p_offset, phdr.p_vaddr, phdr.p_paddr, phdr.p_memsz);
        writeln!(out, "  {name} {offset:#14x} {vaddr:#18x} {paddr:#14x} {memsz:#11x}")?;
    }
    Ok(())
}

fn write_preflight(out: &mut String, report: &Report) -> fmt::Result {
    let fails = report.findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    let outcome = match report.errno {
        // What the kernel does not look at, and the capture kernel would die of.
        None if fails => "the kernel would take this load, and a crash would not be captured".to_owned(),
        None => "the kernel will accept this load".to_owned(),
        Some(errno) if report.armed_image_lost => {
            format!("the kernel would refuse with {errno} and drop the capture kernel armed now")
        }
        Some(errno) => format!("the kernel would refuse with {errno}"),
    };
    writeln!(out, "\npreflight: {outcome}")?;
    for finding in &report.findings {
        let mark = match finding.verdict {
            Verdict::Pass => "ok  ",
            Verdict::Fail => "FAIL",
            Verdict::Unknown => "?   ",
        };
        writeln!(out, "  {mark} {:<30} {}", finding.rule, printable(&finding.detail))?;
    }
    Ok(())
}
