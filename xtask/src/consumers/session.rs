//! Sessions of the crash utility that read their commands from a file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::apt::Need;
use crate::error::{Context, Result, failed};
use crate::shell;

pub(super) const NEEDS: &[Need] = &[
    Need { what: "crash", package: "crash" },
    Need { what: "makedumpfile", package: "makedumpfile" },
    Need { what: "/usr/include/crash/defs.h", package: "crash" },
    Need { what: "/usr/include/zlib.h", package: "zlib1g-dev" },
];

/// The addresses at which an x86_64 kernel is linked begin here.
const TEXT: &str = "-Wl,-Ttext=0xffffffff81000000";
/// What the namelist of [`Session::minimal`] is compiled from.
const STAND_IN: &str = include_str!("stand_in.c");

/// What crash is started on.
#[derive(Debug)]
pub(super) struct Session<'a> {
    namelist: PathBuf,
    dump: &'a Path,
    minimal: bool,
    /// Also its home directory, so that nobody's .crashrc is read.
    dir: PathBuf,
}

impl<'a> Session<'a> {
    /// All commands, with the kernel's symbols.
    pub(super) fn full(vmlinux: &Path, dump: &'a Path, dir: PathBuf) -> Self {
        Self { namelist: vmlinux.to_owned(), dump, minimal: false, dir }
    }

    /// Only what works without knowing the kernel.
    pub(super) fn minimal(dump: &'a Path, dir: PathBuf) -> Result<Self> {
        let source = dir.join("stand_in.c");
        fs::write(&source, STAND_IN).context(source.display())?;
        let namelist = dir.join("stand_in");
        let mut cc = shell::tool("cc")?;
        cc.args(["-g", "-nostdlib", "-static", "-ffreestanding", "-mcmodel=kernel", "-fno-pic", "-no-pie"]);
        shell::stdout(cc.arg(TEXT).arg("-o").arg(&namelist).arg(&source))?;
        Ok(Self { namelist, dump, minimal: true, dir })
    }

    /// What crash prints for `commands`, one a line.
    pub(super) fn run(&self, commands: &[String]) -> Result<String> {
        let script = self.dir.join("commands");
        let text = format!("{}\nexit\n", commands.join("\n"));
        fs::write(&script, text).context(script.display())?;
        let mut crash = shell::tool("crash")?;
        crash.env("HOME", &self.dir).env("TERM", "dumb").current_dir(&self.dir);
        crash.args(["-s", "--no_scroll"]).args(self.minimal.then_some("--minimal"));
        crash.arg("-i").arg(&script).arg(&self.namelist).arg(self.dump);
        let line = shell::describe(&crash);
        let output = shell::capture(&mut crash)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let cause = String::from_utf8_lossy(&output.stderr);
        Err(failed(format!("{line}: {}\n{said}\n{cause}", output.status)))
    }
}

/// The numbers of reads and of failed ones that `kdump off` reports, and everything else that
/// was printed but by loading and switching.
pub(super) fn diverted(output: &str) -> Result<(u64, u64, String)> {
    let ours =
        |line: &&str| line.starts_with("physical reads go through") || line.contains(": shared object ");
    let report = output.lines().find(|line| line.contains("libkdump did ")).context(format!(
        "no report of the diversion among the {} lines of the session",
        output.lines().count()
    ))?;
    let numbers: Vec<u64> = report.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [reads, failures] = numbers[..] else { return Err(failed(format!("what is {report:?}?"))) };
    let rest = output.lines().filter(|line| !ours(line));
    Ok((reads, failures, rest.map(|line| format!("{line}\n")).collect()))
}

/// Fails with the first line that differs.
pub(super) fn same(own: &str, through_libkdump: &str) -> Result<usize> {
    let (mut one, mut other) = (own.lines(), through_libkdump.lines());
    let mut count: usize = 0;
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Ok(count),
            (a, b) if a == b => count = count.saturating_add(1),
            (a, b) => {
                return Err(failed(format!(
                    "line {count} differs:\n  crash    {}\n  libkdump {}",
                    a.unwrap_or("(end)"),
                    b.unwrap_or("(end)")
                )));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{diverted, same};

    #[test]
    fn the_report_is_taken_out() {
        let output = "/p/kdump.so: shared object loaded\nphysical reads go through libkdump 0.1.0\nx\n\
            physical reads go through crash again; libkdump did 12, 3 failed\n";
        assert_eq!(diverted(output).unwrap(), (12, 3, "x\n".to_owned()));
        assert!(diverted("x\n").is_err());
    }

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(same("a\nb\n", "a\nb\n").unwrap(), 2);
        assert!(same("a\nb\n", "a\n").unwrap_err().to_string().contains("line 1"));
        assert!(same("a\n", "b\n").is_err());
    }
}
