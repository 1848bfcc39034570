//! `plan_and_preflight MACHINE KERNEL [INITRD]`: what would be loaded on a machine that `kdump collect` recorded, and
//! what its kernel would say of it. Nothing is loaded.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use core::error::Error;
use std::path::Path;

use kdump_purgatory::ObjectPurgatory;
use kdump_segments::Machine;
use kdump_segments::load::probe_environment;
use kdump_segments::plan::{Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Verdict, check_plan};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (root, kernel, initrd) = match words.as_slice() {
        [root, kernel] => (Path::new(root), kernel, None),
        [root, kernel, initrd] => (Path::new(root), kernel, Some(std::fs::read(initrd)?)),
        _ => return Err("usage: plan_and_preflight MACHINE KERNEL [INITRD]".into()),
    };
    let machine = Machine::collect(root)?;
    let kernel = std::fs::read(kernel)?;
    let purgatory = ObjectPurgatory::builtin(machine.arch)?;
    let options = PlanOptions::default().cmdline("console=ttyS0 reset_devices".to_owned());
    let inputs = PlanInputs::new(&machine, &kernel, &purgatory).initrd(initrd.as_deref()).options(&options);
    let plan = Plan::new(&inputs)?;
    for segment in &plan.segments {
        println!("{:?}: {:#x} bytes at {:#x}", segment.kind, segment.memsz(), segment.mem());
    }
    for note in &plan.remarks {
        println!("note: {note}");
    }
    let report = check_plan(&plan, &machine, &probe_environment(&machine, root)?)?;
    for finding in report.findings.iter().filter(|finding| finding.verdict != Verdict::Pass) {
        println!("{}: {:?}: {}", finding.rule, finding.verdict, finding.detail);
    }
    match report.failure() {
        None => Ok(()),
        Some(finding) => Err(format!("the kernel would refuse it: {}", finding.detail).into()),
    }
}
