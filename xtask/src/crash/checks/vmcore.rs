//! /proc/vmcore as the capture kernel showed it, against the prediction in plan.json.

use super::Evidence;
use crate::crash::plan::Plan;
use crate::error::{Context, Result, failed};
use ::lab::elf::{self, Phdr};

pub(super) fn size(evidence: &Evidence) -> Result<String> {
    let seen: u64 = evidence.text("vmcore.size")?.trim().parse().context("vmcore.size")?;
    let planned = plan(evidence)?.vmcore()?.size;
    if seen == planned {
        return Ok(format!("{seen} bytes"));
    }
    Err(failed(format!("planned {planned}, seen {seen}")))
}

pub(super) fn phdrs(evidence: &Evidence) -> Result<String> {
    let seen = elf::phdrs(&evidence.file("vmcore.head"))?;
    let planned = plan(evidence)?.vmcore()?.phdrs;
    if seen.len() != planned.len() {
        let text = format!("planned {} phdrs, seen {}", planned.len(), seen.len());
        return Err(failed(format!("{text}:\n{}\n{}", table(&planned), table(&seen))));
    }
    let differing: Vec<String> = seen
        .iter()
        .zip(&planned)
        .filter(|(seen, planned)| seen != planned)
        .map(|(seen, planned)| format!("planned {planned:x?}\nseen    {seen:x?}"))
        .collect();
    if differing.is_empty() {
        return Ok(format!("{} phdrs equal in every field", seen.len()));
    }
    Err(failed(differing.join("\n")))
}

fn plan(evidence: &Evidence) -> Result<Plan> {
    Plan::read(&evidence.file("plan/plan.json"))
}

fn table(phdrs: &[Phdr]) -> String {
    phdrs.iter().map(|phdr| format!("{phdr:x?}")).collect::<Vec<_>>().join("\n")
}
