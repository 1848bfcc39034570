//! A step in a process of its own: what it prints stands together.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use crate::error::{Context, Result, failed};
use crate::progress::Clock;
use crate::shell;

/// This program, also after a step has built it anew.
const SELF: &str = "/proc/self/exe";
/// In what /proc counts processor time, per second: USER_HZ, 100 in the ABI of Linux on x86 and arm.
const TICKS: u64 = 100;

/// What the checkout will be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builds {
    /// For this run: nothing is built a second time.
    Once,
    /// For daily work.
    Again,
}

/// Runs `test --only NAME`, and then prints all that it said; returns what it says it took.
pub(super) fn run(name: &str, dir: &Path, builds: Builds, clock: Clock) -> Result<String> {
    clock.say(&format!("step {name} begins"));
    let path = dir.join(format!("{}.log", name.replace(' ', "-")));
    let log = File::create(&path).context(path.display())?;
    let both = log.try_clone().context(path.display())?;
    let mut command = Command::new(SELF);
    command.args(["test", "--only", name]).stdout(log).stderr(both);
    if builds == Builds::Once {
        // What would make a second build quick takes a sixth of the first.
        command.env("CARGO_INCREMENTAL", "0");
        // A panic names its line without it, and a backtrace can be had where a step is run alone.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    }
    let status = command.status();
    let status = status.context(shell::describe(&command))?;
    let said = fs::read(&path).context(path.display())?;
    let verdict = if status.success() { "ok" } else { "FAILED" };
    show(&format!("[{:6.1} s] step {name}: {verdict}", clock.elapsed().as_secs_f32()), &said)?;
    match (status.success(), took(name, &String::from_utf8_lossy(&said))) {
        (true, Some(took)) => Ok(took),
        (true, None) => Err(failed(format!("it does not say that it ended; {}", path.display()))),
        (false, took) => Err(failed(format!("{}; {}", took.unwrap_or_default(), path.display()))),
    }
}

/// Prints in one piece, whatever the other lanes do.
fn show(title: &str, said: &[u8]) -> Result {
    let mut out = io::stdout().lock();
    let parts: [&[u8]; 4] = [b"\n===== ", title.as_bytes(), b"\n", said];
    parts
        .iter()
        .try_for_each(|part| out.write_all(part))
        .and_then(|()| out.flush())
        .context("standard output")
}

/// What the last line about the end of the step says.
fn took(name: &str, said: &str) -> Option<String> {
    let mark = format!("step {name} took ");
    said.lines().rev().find_map(|line| Some(line.split_once(&mark)?.1.to_owned()))
}

/// Whole seconds of processor time that this process and its ended children have used.
pub(super) fn cpu_seconds() -> u64 {
    fs::read_to_string("/proc/self/stat").ok().and_then(|stat| seconds(&stat)).unwrap_or_default()
}

/// Fields 14 to 17 of proc(5): of the process and of its children, in user mode and in the kernel.
fn seconds(stat: &str) -> Option<u64> {
    // The name, in parentheses, may have spaces in it; behind it comes field 3.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    let ticks = [fields.next()??, fields.next()??, fields.next()??, fields.next()??];
    ticks.iter().sum::<u64>().checked_div(TICKS)
}

#[cfg(test)]
mod tests {
    use super::{seconds, took};

    #[test]
    fn the_last_word_about_a_step_counts() {
        let said =
            "[ 1.0 s] step a took 5 s\nstep b took 7 s\n[ 2.0 s] step a took 6 s, 9 s of processor time\nx";
        assert_eq!(took("a", said).unwrap(), "6 s, 9 s of processor time");
        assert_eq!(took("c", said), None);
    }

    #[test]
    fn processor_time_is_of_the_children_too() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 250 1000 2050 20 0 1";
        assert_eq!(seconds(stat), Some(34));
        assert_eq!(seconds("7 (a) S 1 2"), None);
        assert_eq!(seconds("nothing"), None);
    }
}
