//! Command lines of makedumpfile on a dump of a real kernel: the distribution's program and ours end alike.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Result, failed};
use crate::progress::Row;
use crate::shell;

/// Command lines; DUMP, CUT and STREAM stand for files that are there, OUT and OUT2 for some that are
/// not, OLD for one that is. They run in a directory of their own.
const SAME: &[&str] = &[
    "DUMP OUT",
    "-c DUMP OUT",
    "-l DUMP OUT",
    "-d 0 DUMP OUT",
    "-d 1 DUMP OUT",
    "-ld31 DUMP OUT",
    "-c -d 31 DUMP OUT",
    "-cd 11,31 DUMP OUT",
    "-p -d 31 DUMP OUT",
    "-z -d 31 DUMP OUT",
    "-E DUMP OUT",
    "-E -d 1 DUMP OUT",
    "-c -d 31 DUMP OLD",
    "-f -c -d 31 DUMP OLD",
    "-D -l -d 31 DUMP OUT",
    "--message-level 0 -l DUMP OUT",
    "--message-level 31 -l -d 31 DUMP OUT",
    "--show-stats -l -d 31 DUMP OUT",
    "--num-threads 2 -l -d 31 DUMP OUT",
    "--non-mmap -l DUMP OUT",
    "--cyclic-buffer 1024 -l -d 31 DUMP OUT",
    "--work-dir . -l -d 31 DUMP OUT",
    "-b 4 -l DUMP OUT",
    "--vtop LINEAR -l DUMP OUT",
    "-F -l -d 31 DUMP",
    "-F -l -d 31 -F DUMP",
    "--dump-dmesg DUMP OUT",
    "--dump-dmesg DUMP OLD",
    "-f --dump-dmesg DUMP OLD",
    "--dump-dmesg --partial-dmesg DUMP OUT",
    "--check-params -l -d 31 DUMP OUT",
    "--check-params -l -E DUMP OUT",
    "-R OUT < STREAM",
    "-R OLD < STREAM",
    "-f -R OLD < STREAM",
    "-R OUT < DUMP",
    "-l -d 31 CUT OUT",
    "--dump-dmesg CUT OUT",
    "-l -d 31 DUMP nodir/OUT",
    "-l -d 31 missing OUT",
    "-l -d 32 DUMP OUT",
    "-l",
    "DUMP",
    "-x missing -d 31",
    "--bogus DUMP OUT",
    "-h",
    "-v",
];

/// Those that end otherwise, with why (docs/makedumpfile-differences.md).
const DIFFERENT: &[(&str, &str)] = &[
    ("-l -d x DUMP OUT", "no number is no level 0"),
    ("-l -d 31x DUMP OUT", "nor is what begins with one"),
    ("-x missing -l -d 31 DUMP OUT", "no vmlinux is needed, nor looked at"),
    ("-i missing -l -d 31 DUMP OUT", "no VMCOREINFO is needed, nor looked at"),
    ("-L 1000000 -l -d 31 DUMP OUT", "refused by name"),
    ("--split -l DUMP OUT OUT2", "refused by name"),
    ("-E -d 31 DUMP OUT", "refused by name"),
    ("-F -E DUMP", "refused by name"),
    ("--dry-run -l -d 31 DUMP OUT", "refused by name"),
];

/// One row for all that must be alike, one for those that must not.
pub(super) fn rows(kdump: &Path, dump: &Path, dir: &Path) -> Vec<Row> {
    let place = dir.join("command-lines");
    vec![
        Row::of("makedumpfile command lines", alike(kdump, dump, &place)),
        Row::of("makedumpfile differences", unlike(kdump, dump, &place)),
    ]
}

fn alike(kdump: &Path, dump: &Path, place: &Path) -> Result<String> {
    let mut wrong = Vec::new();
    for line in SAME {
        let (theirs, ours) = both(kdump, dump, place, line)?;
        if theirs != ours {
            wrong.push(format!("{line}: {ours} instead of {theirs}"));
        }
    }
    if wrong.is_empty() {
        return Ok(format!("{} exit alike", SAME.len()));
    }
    Err(failed(wrong.join("\n")))
}

/// A difference that is gone must not stay on the list.
fn unlike(kdump: &Path, dump: &Path, place: &Path) -> Result<String> {
    let mut gone = Vec::new();
    for (line, why) in DIFFERENT {
        let (theirs, ours) = both(kdump, dump, place, line)?;
        if theirs == ours {
            gone.push(format!("{line}: both {ours}, although {why}"));
        }
    }
    if gone.is_empty() {
        return Ok(format!("{} as listed", DIFFERENT.len()));
    }
    Err(failed(gone.join("\n")))
}

/// How both programs end.
fn both(kdump: &Path, dump: &Path, place: &Path, line: &str) -> Result<(String, String)> {
    let theirs = end(shell::tool("makedumpfile")?, dump, place, line)?;
    let mut ours = Command::new(kdump);
    ours.arg("makedumpfile");
    Ok((theirs, end(ours, dump, place, line)?))
}

/// Runs a command line in a fresh directory.
fn end(mut command: Command, dump: &Path, place: &Path, line: &str) -> Result<String> {
    if place.exists() {
        fs::remove_dir_all(place).context(place.display())?;
    }
    fs::create_dir_all(place).context(place.display())?;
    fs::write(place.join("OLD"), b"old").context("OLD")?;
    let (words, input) = line.split_once(" < ").unwrap_or((line, ""));
    for word in words.split_whitespace() {
        match word {
            "DUMP" => command.arg(dump),
            "CUT" => command.arg(cut(dump, place)?),
            // Linear map of the first MiB without KASLR; what both say of it must be the same.
            "LINEAR" => command.arg("ffffffff81000000"),
            word => command.arg(word),
        };
    }
    let stdin = match input {
        "STREAM" => Stdio::from(fs::File::open(stream(dump, place)?).context("STREAM")?),
        "DUMP" => Stdio::from(fs::File::open(dump).context(dump.display())?),
        _ => Stdio::null(),
    };
    command.current_dir(place).stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null());
    let what = shell::describe(&command);
    Ok(command.status().context(what)?.to_string())
}

/// The first half of the dump.
fn cut(dump: &Path, place: &Path) -> Result<PathBuf> {
    let path = place.join("CUT");
    let bytes = fs::read(dump).context(dump.display())?;
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    fs::write(&path, half).context(path.display())?;
    Ok(path)
}

/// The dump as a stream of the distribution's makedumpfile.
fn stream(dump: &Path, place: &Path) -> Result<PathBuf> {
    let path = place.join("STREAM");
    let mut command = shell::tool("makedumpfile")?;
    command.args(["-F", "-l", "-d", "31"]).arg(dump).stderr(Stdio::null());
    let status = command.stdout(fs::File::create(&path).context("STREAM")?).status().context("STREAM")?;
    if status.success() { Ok(path) } else { Err(failed(format!("makedumpfile -F: {status}"))) }
}
