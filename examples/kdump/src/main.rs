//! The kdump command-line tool: plans and loads a capture kernel, reads and saves dumps.
#![forbid(unsafe_code)]

mod applet;
mod args;
mod cmd;
mod failure;
mod files;
mod hint;
mod json;
mod kexec;
mod makedumpfile;
mod new_file;
mod progress;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;

const ABOUT: &str = "Plan, load, read and save Linux crash dumps";
const AFTER: &str = "\
Examples:
  kdump plan --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --append 'irqpoll nr_cpus=1'
  kdump load --kernel /boot/vmlinuz --initrd /boot/initrd-kdump --append 'irqpoll nr_cpus=1'
  kdump save /proc/vmcore /var/crash/vmcore
  kdump dmesg /var/crash/vmcore

A link to this program by the name makedumpfile or kexec takes that program's command line.

Exit status: 0 done, 1 failed, 2 bad usage, 3 done but the dump lacked something (save, verify). Addresses and sizes are 0x-hex or decimal with K, M or G.";

fn command() -> clap::Command {
    clap::Command::new("kdump")
        .about(ABOUT)
        .after_help(AFTER)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(cmd::ALL.iter().map(|entry| (entry.command)().name(entry.name)))
        // For the list; they are called before this is looked at.
        .subcommands(applet::ALL.iter().map(|applet| (applet.command)()))
}

/// Makes a file that grows beyond what the process may write an error like any other (EFBIG, setrlimit(2)): the signal
/// that comes before it ends a process that does not catch it, with all it had still to say.
fn survive_limits() {
    // Where it cannot be caught things are as they were.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

fn main() -> ExitCode {
    survive_limits();
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some((applet, rest)) = applet::of(&words) {
        return (applet.main)(rest);
    }
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                // Nothing is left to be told when the terminal is gone.
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            // Without colours, because it repeats what was typed.
            terminal::tell!("{}", error.render().to_string().trim_end());
            return ExitCode::from(2);
        }
    };
    let Some((name, matches)) = matches.subcommand() else { return ExitCode::from(2) };
    let Some(entry) = cmd::ALL.iter().find(|entry| entry.name == name) else { return ExitCode::from(2) };
    match (entry.run)(matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.is_worth_telling() {
                terminal::tell!("kdump {name}: {failure}");
            }
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_is_well_formed_and_has_an_example() {
        super::command().debug_assert();
        let commands = super::cmd::ALL.iter().map(|entry| (entry.name, entry.command));
        let applets = super::applet::ALL.iter().map(|applet| (applet.name, applet.command));
        for (name, command) in commands.chain(applets) {
            let help = command().render_long_help().to_string();
            assert!(help.contains(&format!("kdump {name}")), "{name} has no example");
        }
    }
}
