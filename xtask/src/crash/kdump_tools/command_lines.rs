//! Command lines of makedumpfile on a dump of a real kernel: the distribution's program and ours end alike.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::crash::options::Series;
use crate::error::{Context, Result, failed};
use crate::progress::Row;
use crate::shell;

/// Command lines, which run in a directory of their own. DUMP, ELF (the same as an ELF core), CUT, STREAM,
/// PART1 and PART2 stand for files that are there, OUT and OUT2 for some that are not, OLD for one that is.
/// makedumpfile 1.7.2 dies of SIGBUS or SIGSEGV on an ELF core that lacks pages, but with --non-mmap.
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
    "--non-mmap -E ELF OUT",
    "--non-mmap -E -d 1 ELF OUT",
    "--non-mmap -c -d 31 ELF OUT",
    "--non-mmap --num-threads 2 -c ELF OUT",
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
    "--non-mmap -F -E ELF",
    "--dump-dmesg DUMP OUT",
    "--dump-dmesg DUMP OLD",
    "-f --dump-dmesg DUMP OLD",
    "--dump-dmesg --partial-dmesg DUMP OUT",
    "--check-params -l -d 31 DUMP OUT",
    "--check-params -l -E DUMP OUT",
    "--split -l DUMP OUT OUT2",
    "--split -E DUMP OUT OUT2",
    "--reassemble PART1 PART2 OUT",
    "--reassemble PART2 PART1 OUT",
    "--reassemble PART1 PART2 OLD",
    "--reassemble PART1 OUT",
    "--mem-usage missing",
    "-R OUT < STREAM",
    "-R OLD < STREAM",
    "-f -R OLD < STREAM",
    "-R OUT < DUMP",
    "-L 1000000 -l -d 31 DUMP OUT",
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
    ("-l -d 31 CUT OUT", "what a source has is saved, and what it lacks told"),
    ("-E DUMP OUT", "an ELF core is made of any dump"),
    ("--non-mmap --num-threads 2 -E ELF OUT", "threads do no harm"),
    ("-L 1000000000 -l -d 31 DUMP OUT", "refused by name"),
    ("--dry-run -l -d 31 DUMP OUT", "refused by name"),
];

/// Seconds, as `timeout` takes them: many times what a dump of half a GiB needs.
const PATIENCE: &str = "300";

/// Lines of a report that both fill in.
const CLASSES: [&str; 4] =
    ["Non-private cache pages", "Private cache pages", "User process data pages", "Free pages"];

/// One row for all that must be alike, one for those that must not.
pub(super) fn rows(kdump: &Path, dump: &Path, dir: &Path, series: Series) -> Vec<Row> {
    let place = dir.join("command-lines");
    let dumps = Dumps::make(kdump, dump, dir);
    let with = |check: fn(&Path, &Dumps, &Path) -> Result<String>| match &dumps {
        Ok(dumps) => check(kdump, dumps, &place),
        Err(error) => Err(failed(error.to_string())),
    };
    const STATISTICS: &str = "makedumpfile --show-stats";
    vec![
        Row::of("makedumpfile command lines", with(alike)),
        Row::of("makedumpfile differences", with(unlike)),
        match series {
            Series::V6_1 => Row::of(STATISTICS, with(statistics)),
            Series::V6_12 => {
                Row::untested(STATISTICS, "makedumpfile 1.7.2 does not know this kernel's pages")
            }
        },
        Row::of("makedumpfile -z, in a static program", with(without_zstd)),
    ]
}

/// What stands for the words in capitals.
struct Dumps {
    dump: PathBuf,
    elf: PathBuf,
    cut: PathBuf,
    stream: PathBuf,
    parts: [PathBuf; 2],
}

impl Dumps {
    fn make(kdump: &Path, dump: &Path, dir: &Path) -> Result<Self> {
        let [elf, cut, stream] = ["input.elf", "input.cut", "input.stream"].map(|name| dir.join(name));
        let mut save = Command::new(kdump);
        shell::stdout(save.args(["save", "--format", "elf", "--progress", "none"]).arg(dump).arg(&elf))?;
        let bytes = fs::read(dump).context(dump.display())?;
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        fs::write(&cut, half).context(cut.display())?;
        let mut command = shell::tool("makedumpfile")?;
        command.args(["-F", "-l", "-d", "31"]).arg(dump).stderr(Stdio::null());
        let file = fs::File::create(&stream).context(stream.display())?;
        let status = command.stdout(file).status().context("makedumpfile -F")?;
        if !status.success() {
            return Err(failed(format!("makedumpfile -F: {status}")));
        }
        let parts = ["input.part1", "input.part2"].map(|name| dir.join(name));
        let mut split = shell::tool("makedumpfile")?;
        // Small blocks, so that each part has pages.
        split.args(["-f", "-l", "--splitblock-size", "1024", "--split"]).arg(dump).args(&parts);
        shell::stdout(&mut split)?;
        Ok(Self { dump: dump.to_owned(), elf, cut, stream, parts })
    }
}

fn alike(kdump: &Path, dumps: &Dumps, place: &Path) -> Result<String> {
    let mut wrong = Vec::new();
    for line in SAME {
        let (theirs, ours) = both(kdump, dumps, place, line)?;
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
fn unlike(kdump: &Path, dumps: &Dumps, place: &Path) -> Result<String> {
    let mut gone = Vec::new();
    for (line, why) in DIFFERENT {
        let (theirs, ours) = both(kdump, dumps, place, line)?;
        if theirs == ours {
            gone.push(format!("{line}: both {ours}, although {why}"));
        }
    }
    if gone.is_empty() {
        return Ok(format!("{} as listed", DIFFERENT.len()));
    }
    Err(failed(gone.join("\n")))
}

/// Both count the pages of each class alike.
fn statistics(kdump: &Path, dumps: &Dumps, place: &Path) -> Result<String> {
    let counts = |mut command: Command| -> Result<Vec<String>> {
        command
            .args(["-f", "--non-mmap", "--show-stats", "-l", "-d", "31"])
            .arg(&dumps.elf)
            .arg(place.join("OUT"));
        let text = shell::text(&mut command)?;
        let class = |line: &&str| CLASSES.iter().any(|class| line.contains(class));
        Ok(text.lines().filter(class).map(|line| line.trim().to_owned()).collect())
    };
    let mut own = Command::new(kdump);
    own.arg("makedumpfile");
    let (theirs, ours) = (counts(shell::tool("makedumpfile")?)?, counts(own)?);
    if ours.len() != CLASSES.len() || ours != theirs {
        return Err(failed(format!("{ours:?}, not {theirs:?}")));
    }
    if ours.iter().all(|line| line.ends_with("0x0000000000000000")) {
        return Err(failed("no page is of any class"));
    }
    Ok(format!("the same: {}", ours.join(", ")))
}

/// The static program writes no zstd: it says so, and compresses nevertheless.
fn without_zstd(kdump: &Path, dumps: &Dumps, place: &Path) -> Result<String> {
    let out = place.join("OUT");
    let mut save = Command::new(kdump);
    let output = shell::capture(save.args(["makedumpfile", "-f", "-z"]).arg(&dumps.dump).arg(&out))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let info = shell::text(Command::new(kdump).arg("info").arg(&out))?;
    let used = info.lines().find(|line| line.starts_with("compression")).unwrap_or_default();
    if output.status.success() && said.contains("does not write zstd") && used.contains("lzo") {
        return Ok(used.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Err(failed(format!("{}, {said:?}, {used}", output.status)))
}

/// How both programs end.
fn both(kdump: &Path, dumps: &Dumps, place: &Path, line: &str) -> Result<(String, String)> {
    let limited = || -> Result<Command> {
        let mut command = shell::tool("timeout")?;
        command.arg(PATIENCE);
        Ok(command)
    };
    let mut theirs = limited()?;
    theirs.arg("makedumpfile");
    let theirs = end(theirs, dumps, place, line)?;
    let mut ours = limited()?;
    ours.arg(kdump).arg("makedumpfile");
    Ok((theirs, end(ours, dumps, place, line)?))
}

/// Runs a command line in a fresh directory.
fn end(mut command: Command, dumps: &Dumps, place: &Path, line: &str) -> Result<String> {
    if place.exists() {
        fs::remove_dir_all(place).context(place.display())?;
    }
    fs::create_dir_all(place).context(place.display())?;
    fs::write(place.join("OLD"), b"old").context("OLD")?;
    let (words, input) = line.split_once(" < ").unwrap_or((line, ""));
    for word in words.split_whitespace() {
        match word {
            "DUMP" => command.arg(&dumps.dump),
            "ELF" => command.arg(&dumps.elf),
            "CUT" => command.arg(&dumps.cut),
            "PART1" => command.arg(&dumps.parts[0]),
            "PART2" => command.arg(&dumps.parts[1]),
            // Mapped without KASLR only; neither is to mind.
            "LINEAR" => command.arg("ffffffff81000000"),
            word => command.arg(word),
        };
    }
    let stdin = match input {
        "STREAM" => Stdio::from(fs::File::open(&dumps.stream).context("STREAM")?),
        "DUMP" => Stdio::from(fs::File::open(&dumps.dump).context("DUMP")?),
        _ => Stdio::null(),
    };
    command.current_dir(place).stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null());
    let what = shell::describe(&command);
    Ok(command.status().context(what)?.to_string())
}
