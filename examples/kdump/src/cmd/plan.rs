//! `kdump plan`: what would be loaded, without loading it.

mod inputs;
mod options;
mod output;
mod text;

use clap::{Arg, ArgAction, ArgMatches, Command};
use kdump_segments::capture_need::suggest;
use kdump_segments::load::refusal;
use kdump_segments::plan::Plan;
use kdump_segments::preflight::{Report, check_plan};

pub(crate) use inputs::{Inputs, machine, named};
pub(crate) use options::{args, optional_kernel, root_arg};

use crate::failure::{CommandResult, Failure};

const LONG: &str = "\
Plan the load of a capture kernel: place every part in the crash region, write the ELF core
header, boot_params and the command line, link the purgatory, and check the result against the
rules of the kernel. Nothing is loaded and no privilege is needed beyond reading the machine's
files; with --root a machine recorded by `kdump collect` is planned for, on any host.

A crash region can hold all parts and still be too small for the capture kernel to live in. What it
needs is estimated and listed; --suggest prints the crashkernel= to set, also for a machine without
a crash region.";

const EXAMPLES: &str = "\
Examples:
  kdump plan --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --append 'irqpoll nr_cpus=1'
  kdump plan --root recorded/ --kernel vmlinuz --seed 00 --out plan/
  kdump plan --kernel vmlinuz --json | jq .preflight
  kdump plan --suggest --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --append nr_cpus=1";

pub(crate) fn command() -> Command {
    optional_kernel(Command::new("plan"), true)
        .about("Show what would be loaded, without loading it")
        .long_about(LONG)
        .after_help(EXAMPLES)
        .args(args())
        .arg(Arg::new("suggest").long("suggest").action(ArgAction::SetTrue).conflicts_with("out").help(
            "Print the crashkernel= to set for this kernel and ramdisk, with the reasons, instead of a plan",
        ))
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let inputs = Inputs::read(matches)?;
    if matches.get_flag("suggest") {
        return print_suggestion(matches, &inputs);
    }
    with_plan(&inputs, |plan, report| {
        report_plan(matches, plan, report)?;
        refusal(report).map_or(Ok(()), |refused| Err(refused.into()))
    })
}

/// No crash region is needed for that.
fn print_suggestion(matches: &ArgMatches, inputs: &Inputs) -> CommandResult {
    use std::io::Write;
    let suggestion = suggest(&inputs.plan_inputs()).map_err(|error| inputs.name_file(error))?;
    if matches.get_flag("json") {
        return Ok(crate::json::print(&suggestion.to_json())?);
    }
    let mut out = crate::terminal::out();
    Ok(out.write_all(text::suggestion(&suggestion).as_bytes()).and_then(|()| out.flush())?)
}

/// Makes the plan, checks it, and gives both to `use_plan`.
pub(crate) fn with_plan<T>(
    inputs: &Inputs,
    use_plan: impl FnOnce(&Plan<'_>, &Report) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let plan = Plan::new(&inputs.plan_inputs()).map_err(|error| inputs.name_file(error))?;
    let report = check_plan(&plan, &inputs.machine, &inputs.environment)?;
    use_plan(&plan, &report)
}

/// Prints the plan as asked for and writes it to the directory given by `--out`.
pub(crate) fn report_plan(matches: &ArgMatches, plan: &Plan<'_>, report: &Report) -> CommandResult {
    write_out(matches, plan, report)?;
    if matches.get_flag("json") {
        return Ok(crate::json::print(&plan.to_json(report))?);
    }
    use std::io::Write;
    let mut out = crate::terminal::out();
    Ok(out.write_all(text::describe(plan, report).as_bytes()).and_then(|()| out.flush())?)
}

/// Writes the plan to the directory given by `--out`, if one is.
pub(crate) fn write_out(matches: &ArgMatches, plan: &Plan<'_>, report: &Report) -> CommandResult {
    let Some(dir) = matches.get_one::<std::path::PathBuf>("out") else { return Ok(()) };
    let inputs = ["kernel", "initrd", "purgatory"]
        .iter()
        .filter_map(|name| matches.get_one::<std::path::PathBuf>(name).map(AsRef::as_ref));
    output::write(
        dir,
        plan,
        &plan.to_json(report),
        &text::describe(plan, report),
        &inputs.collect::<Vec<_>>(),
    )
}
