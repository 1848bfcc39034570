//! Running other programs, with errors that show the command line.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::error::{Context, Result, failed};

/// The program and its arguments as one would type them.
#[must_use]
pub fn describe(command: &Command) -> String {
    let words = core::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs with the terminal of this process; anything but exit 0 is an error.
pub fn run(command: &mut Command) -> Result {
    let line = describe(command);
    let status = command.status().context(&line)?;
    if status.success() { Ok(()) } else { Err(failed(format!("{line}: {status}"))) }
}

/// Runs to its end and hands over exit status and both streams, whatever they are.
pub fn capture(command: &mut Command) -> Result<Output> {
    let line = describe(command);
    command.stdin(Stdio::null()).output().context(line)
}

/// Runs quietly and returns standard output; on failure the error holds what was printed.
pub fn stdout(command: &mut Command) -> Result<Vec<u8>> {
    let output = capture(command)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}: {}", describe(command), output.status, said.trim_end())))
}

/// As [`stdout`], for programs that print text.
pub fn text(command: &mut Command) -> Result<String> {
    stdout(command).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Where `program` is; administrators' directories are searched whatever PATH says.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|dir| dir.join(program)).find(|p| p.is_file())
}

/// The command for `program`, which [`find`] must know.
pub fn tool(program: &str) -> Result<Command> {
    find(program).map(Command::new).context(format!("{program}: no such program"))
}
