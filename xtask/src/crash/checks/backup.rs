//! The backup region: low memory as it was before the capture kernel used it.

use kdump_witness::PAGE;

use super::Evidence;
use crate::crash::plan::Plan;
use crate::error::{Context, Result, failed};
use crate::shell;

pub(super) fn planned(evidence: &Evidence) -> Result<String> {
    let plan = Plan::read(&evidence.file("plan/plan.json"))?;
    let end = evidence.sightings.low.as_ref().context("nothing was recorded")?.area.end;
    let segment = plan.segment("backup")?;
    let loads = plan.vmcore()?.phdrs;
    let mut low = loads.iter().filter(|p| p.kind == "PT_LOAD" && p.paddr < end);
    let low = low.next().context("no PT_LOAD of low memory")?;
    Ok(format!("at {:#x}; PT_LOAD {:#x}+{:#x} kept", segment.mem, low.paddr, low.memsz))
}

pub(super) fn content(evidence: &Evidence) -> Result<String> {
    let low = evidence.sightings.low.as_ref().context("nothing was recorded")?;
    let after = evidence.sightings.low_after.as_ref().context("nothing was recorded")?;
    let mut command = evidence.kdump(&["read"]);
    command.arg(evidence.dump()).args(["--phys", &format!("{:#x}", low.area.start), "--len"]);
    let dumped = shell::stdout(command.arg(low.area.size().to_string()))?;
    if dumped.len() != low.before.len() {
        return Err(failed(format!("{} bytes came back", dumped.len())));
    }
    let wrong = low.area.differing(&low.before, &dumped);
    if !wrong.is_empty() {
        return Err(failed(format!("pages differ from the recording: {wrong:x?}")));
    }
    let (pages, marked) = (low.before.len() / PAGE, low.marked);
    let reused = low.area.differing(&low.before, after).len();
    Ok(format!("{pages} pages identical, {marked} of them marked; {reused} since overwritten"))
}
