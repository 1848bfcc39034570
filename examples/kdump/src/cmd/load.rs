//! `kdump load`: arms the machine with a capture kernel.

mod outcome;
mod record;

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use kdump_segments::load::{self, FileLoad, ImageFile, probe_environment};
use kdump_segments::plan::Plan;
use kdump_segments::preflight::Report;

use super::plan::{Inputs, args, machine, named, optional_kernel, with_plan};
use crate::failure::{CommandResult, Failure};
use outcome::{state_after, verify};

const LONG: &str = "\
Load a capture kernel into the crash region, so that a panic ends in a dump. The load is planned
and checked first, as by `kdump plan`: a load the kernel would refuse is not attempted, because the
kernel drops the capture kernel that is armed before it looks at the new one.

--syscall load uses kexec_load(2): everything is prepared and verified here. --syscall file uses
kexec_file_load(2): the running kernel reads and places the images itself, which lockdown demands;
what would go wrong is found out here first, and options it cannot honour are refused. auto tries
load, and file when the kernel does not have it or does not allow it.";

const EXAMPLES: &str = "\
Examples:
  kdump load --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --append 'irqpoll nr_cpus=1'
  kdump load --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --purgatory-serial 0x3f8 --out /run/plan
  kdump load --syscall file --kernel /boot/vmlinuz.signed --initrd /boot/initrd-kdump";

/// What kexec_file_load(2) leaves to the user.
const FILE_OPTIONS: [&str; 9] =
    ["kernel", "initrd", "append", "reuse-cmdline", "root", "arch", "json", "verbose", "syscall"];
/// What the running kernel does by itself, when it is said nevertheless.
const FILE_VALUES: [(&str, &str); 3] =
    [("backup", "auto"), ("on-mismatch", "halt"), ("purgatory-caches", "on")];

pub(crate) fn command() -> Command {
    optional_kernel(Command::new("load"), true)
        .about("Load a capture kernel")
        .long_about(LONG)
        .after_help(EXAMPLES)
        .args(args())
        .arg(
            Arg::new("syscall")
                .long("syscall")
                .value_name("CALL")
                .default_value("auto")
                .value_parser(["auto", "load", "file"])
                .help("The system call to use"),
        )
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Print the whole plan instead of one line"),
        )
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let root = matches.get_one::<PathBuf>("root").is_none_or(|root| root.as_os_str() == "/");
    if !root {
        return Err(Failure::usage("--root is for planning: a load is for the machine this runs on"));
    }
    let call = matches.get_one::<String>("syscall").map_or("auto", String::as_str);
    if call == "file" {
        refuse_plan_options(matches)?;
    }
    if let Some(refused) = load::rights_refusal() {
        return Err(refused.into());
    }
    match call {
        "file" => by_files(matches),
        call => by_segments(matches, call == "auto"),
    }
}

/// kexec_load(2), and kexec_file_load(2) when that is all the kernel has or allows.
fn by_segments(matches: &ArgMatches, or_files: bool) -> CommandResult {
    let inputs = Inputs::read(matches)?;
    let refused = with_plan(&inputs, |plan, report| {
        // A terminal that is gone or a full disk must not leave the machine without a capture
        // kernel: everything is told afterwards.
        match load::load(plan, report) {
            Ok(()) => {
                for warning in &plan.warnings {
                    crate::terminal::tell!("kdump load: warning: {warning}");
                }
                record::note(matches, plan.need.as_ref(), plan.region.size());
                let told = tell_plan(matches, plan, report, true);
                verify().and_then(|()| outcome::but_loaded(told)).map(|()| None)
            }
            Err(error) if or_files && load::files_may_do(&error) => Ok(Some(error)),
            Err(error) => {
                let told = tell_plan(matches, plan, report, false);
                Err(outcome::tell_first(told, state_after(error)))
            }
        }
    })?;
    match refused {
        None => Ok(()),
        Some(error) => {
            crate::terminal::tell!("kdump load: {error}; trying kexec_file_load");
            let done = refuse_plan_options(matches).and_then(|()| by_files(matches));
            // The call that failed first may have dropped what was armed.
            done.map_err(|failure| outcome::with_state_after(&error, failure))
        }
    }
}

/// One line, or what `--json`, `--verbose` and `--out` ask for.
fn tell_plan(matches: &ArgMatches, plan: &Plan<'_>, report: &Report, loaded: bool) -> CommandResult {
    if matches.get_flag("json") || matches.get_flag("verbose") {
        return super::plan::report_plan(matches, plan, report);
    }
    super::plan::write_out(matches, plan, report)?;
    if !loaded {
        return Ok(());
    }
    let (count, region) = (plan.segments.len(), plan.region);
    let size = plan.segments.iter().fold(0_u64, |sum, segment| sum.saturating_add(segment.memsz()));
    let (size, left) = (size >> 20, plan.leftover >> 20);
    outcome::line(&format!(
        "capture kernel loaded by kexec_load: {count} segments of {size} MiB in {region}, {left} MiB left"
    ))
}

/// kexec_file_load(2): the command line is the user's, the kernel adds elfcorehdr= itself.
fn by_files(matches: &ArgMatches) -> CommandResult {
    let path = |name: &str| matches.get_one::<PathBuf>(name).map(PathBuf::as_path);
    let kernel = path("kernel").ok_or_else(|| Failure::usage("--kernel is needed"))?;
    ImageFile::open(kernel)?;
    path("initrd").map(ImageFile::open_ramdisk).transpose()?;
    let machine = machine(Path::new("/"), matches.get_one("arch").copied())?;
    let text = matches.get_one::<String>("append").map_or("", String::as_str);
    let running = matches.get_flag("reuse-cmdline").then_some(machine.cmdline.as_str());
    if running == Some("") {
        return Err(Failure::new("--reuse-cmdline: /proc/cmdline is empty, missing or unreadable"));
    }
    let mut notes = Vec::new();
    let cmdline = load::file_command_line(running, text, &mut notes)?;
    let load = FileLoad::open(kernel, path("initrd"), cmdline).map_err(|error| named(kernel, error))?;
    notes.extend_from_slice(&load.remarks);
    let report = load.preflight(&machine, &probe_environment(&machine, Path::new("/"))?)?;
    let result = load::load_files(&load, &report);
    let told = outcome::tell_files(matches, &load, &report, &notes, result.is_ok());
    match result {
        Ok(()) => {
            let reserved = machine.load_region().map_or(0, |region| region.size());
            record::note(matches, record::of_files(&load, &machine).as_ref(), reserved);
            verify().and_then(|()| outcome::but_loaded(told))
        }
        Err(error) => Err(outcome::tell_first(told, state_after(error))),
    }
}

/// What is asked for and would silently not happen is refused by name.
fn refuse_plan_options(matches: &ArgMatches) -> CommandResult {
    let usual = |name: &str| {
        let said = FILE_VALUES.iter().find(|(option, _)| *option == name);
        said.is_some_and(|(_, value)| matches.get_one::<String>(name).is_some_and(|given| given == value))
    };
    let given = matches.ids().map(clap::Id::as_str).filter(|&name| {
        matches.value_source(name) == Some(ValueSource::CommandLine)
            && !FILE_OPTIONS.contains(&name)
            && !usual(name)
    });
    let names = given.map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{names}: not possible with kexec_file_load, where the running kernel plans: leave it out, or use \
         --syscall load"
    )))
}
