//! `kdump load`: arms the machine with a capture kernel.

use std::fs::{self, File};
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use kdump_segments::load;

use super::plan::{Inputs, args, optional_kernel, report_plan, with_plan};
use crate::failure::{CommandResult, Failure};

const LONG: &str = "\
Load a capture kernel into the crash region, so that a panic ends in a dump. The load is planned
and checked first, as by `kdump plan`: a load the kernel would refuse is not attempted, because the
kernel drops the capture kernel that is armed before it looks at the new one.

--syscall load uses kexec_load(2): everything is prepared and verified here. --syscall file uses
kexec_file_load(2): the running kernel reads and places the images itself, which lockdown demands.
auto tries load, and file when the kernel does not have it or does not allow it.";

const EXAMPLES: &str = "\
Examples:
  kdump load --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --append 'irqpoll nr_cpus=1'
  kdump load --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --purgatory-serial 0x3f8 --out /run/plan
  kdump load --syscall file --kernel /boot/vmlinuz.signed --initrd /boot/initrd-kdump";

/// Where the kernel shows that a capture kernel is loaded, in Linux 6.19 and before.
const LOADED: [&str; 2] = ["/sys/kernel/kexec/crash_loaded", "/sys/kernel/kexec_crash_loaded"];

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
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let root = matches.get_one::<PathBuf>("root").is_none_or(|root| root.as_os_str() == "/");
    if !root {
        return Err(Failure::usage("--root is for planning: a load is for the machine this runs on"));
    }
    match matches.get_one::<String>("syscall").map_or("auto", String::as_str) {
        "file" => by_files(matches)?,
        call => by_segments(matches, call == "auto")?,
    }
    verify()
}

/// kexec_load(2), and kexec_file_load(2) when that is all the kernel has.
fn by_segments(matches: &ArgMatches, or_files: bool) -> CommandResult {
    let inputs = Inputs::read(matches)?;
    // A terminal that is gone or a full disk must not leave the machine without a capture kernel.
    let (shown, refused) = with_plan(&inputs, |plan, report| {
        Ok((report_plan(matches, plan, report), load::load(plan, report).err()))
    })?;
    match refused {
        None => shown,
        Some(error) if or_files && load::files_may_do(&error) => {
            crate::terminal::tell!("kdump load: {error}; trying kexec_file_load");
            by_files(matches)
        }
        Some(error) => Err(error.into()),
    }
}

/// kexec_file_load(2): the command line is the user's, the kernel adds elfcorehdr= itself.
fn by_files(matches: &ArgMatches) -> CommandResult {
    let open = |name: &str| {
        matches
            .get_one::<PathBuf>(name)
            .map(|path| {
                File::open(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
            })
            .transpose()
    };
    let kernel = open("kernel")?.ok_or_else(|| Failure::usage("--kernel is needed"))?;
    let initrd = open("initrd")?;
    let text = matches.get_one::<String>("append").map_or("", String::as_str);
    let running = matches.get_flag("reuse-cmdline").then(|| {
        fs::read_to_string("/proc/cmdline").map_err(|error| Failure::new(format!("/proc/cmdline: {error}")))
    });
    let cmdline = load::file_command_line(running.transpose()?.as_deref(), text)?;
    load::load_files(&kernel, initrd.as_ref(), &cmdline)?;
    Ok(())
}

/// The system call said yes; the kernel must show it.
fn verify() -> CommandResult {
    let shown = LOADED.iter().find_map(|path| Some((path, fs::read_to_string(path).ok()?)));
    match shown {
        Some((_, text)) if text.trim() == "1" => Ok(()),
        Some((path, text)) => {
            Err(Failure::new(format!("the load succeeded, but {path} is {:?} instead of 1", text.trim())))
        }
        None => Err(Failure::new(format!("the load succeeded, but {} cannot be read", LOADED.join(" and ")))),
    }
}
