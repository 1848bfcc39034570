//! `kdump kexec`, and this program under the name kexec: the other tool's command line, as far as it is
//! about capture kernels.

mod options;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use kdump_segments::load::Status;

use crate::cmd::{load, unload};
use crate::failure::{CommandResult, Failure};
use options::Task;
pub(crate) use options::command;

/// Whatever went wrong, bad usage included.
const FAILED: u8 = 1;
/// A question that could not be answered: 1 is an answer to `--status`.
const UNKNOWN: u8 = 255;

/// Runs with what stands behind the name; tells everything itself.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let name = OsString::from("kexec");
    let matches = match command().try_get_matches_from(core::iter::once(&name).chain(args)) {
        Ok(matches) => matches,
        Err(error) => {
            crate::terminal::tell!("{}", error.render().to_string().trim_end());
            return ExitCode::from(FAILED);
        }
    };
    let task = options::task(&matches).map_err(Failure::new);
    let failed = if matches!(task, Ok(Task::Status { .. })) { UNKNOWN } else { FAILED };
    match task.and_then(|task| run(task, &matches)) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if failure.is_worth_telling() {
                crate::terminal::tell!("kexec: {failure}");
            }
            ExitCode::from(failed)
        }
    }
}

/// Returns the exit status.
fn run(task: Task, matches: &ArgMatches) -> Result<u8, Failure> {
    match task {
        Task::Help => print(&command().render_long_help().to_string())?,
        Task::Version => {
            print(&format!("kdump {}, by the options of kexec 2.0.25\n", env!("CARGO_PKG_VERSION")))?
        }
        Task::Load(words) => kdump_load(&words)?,
        Task::Unload => unload::run(matches)?,
        Task::Size => {
            let size = status()?.kexec.crash_size.unwrap_or(0);
            print(&format!("{size}\n"))?;
        }
        Task::Status { crash } => return loaded(crash),
    }
    Ok(0)
}

/// 1 when the kernel of a kind is loaded, 0 when none is (kexec(8), "--status").
fn loaded(crash: bool) -> Result<u8, Failure> {
    let kexec = status()?.kexec;
    let shown = if crash { kexec.crash_loaded } else { kexec.loaded };
    let shown = shown.ok_or_else(|| Failure::new("/sys/kernel does not show whether a kernel is loaded"))?;
    Ok(u8::from(shown))
}

fn status() -> Result<Status, Failure> {
    Ok(Status::collect(Path::new("/"))?)
}

/// `kdump load` with `words` as its options.
fn kdump_load(words: &[OsString]) -> CommandResult {
    let name = OsString::from("load");
    let command: Command = load::command().no_binary_name(false);
    let matches = command
        .try_get_matches_from(core::iter::once(&name).chain(words))
        .map_err(|error| Failure::new(error.render().to_string().trim_end()))?;
    load::run(&matches)
}

fn print(text: &str) -> CommandResult {
    use std::io::Write;
    let mut out = crate::terminal::out();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}
