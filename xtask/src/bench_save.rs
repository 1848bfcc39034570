//! `cargo xtask bench save`: saving against makedumpfile, cell by cell, in one run on one machine.
//!
//! Where the machine has other work the times tell little of several threads; what the processors
//! did for each program is therefore compared, too.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::formats::{self, CODECS};
use crate::progress::Clock;
use crate::{apt, consumers, repo, rust, shell};

/// What is asked for: times as fast as makedumpfile's one thread, by threads, in percent.
const GOALS: [(&str, u128); 2] = [("1", 130), ("2", 250)];
/// The output may be larger by so many percent.
const LARGER: u64 = 3;
/// Each cell is timed so often, in turns; the median counts.
const TURNS: usize = 3;
/// Where the files are written: memory, so that no disk is measured.
const TARGET: &str = "/dev/shm";

/// `cargo xtask bench save [--dump FILE] [--kdump PROGRAM]`.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    let kdump = args.value("--kdump")?.map(PathBuf::from);
    args.finish()?;
    apt::ensure(formats::NEEDS)?;
    let clock = Clock::start();
    let dump = consumers::dump_or_crash(dump)?;
    let kdump = kdump.map_or_else(shipped, Ok)?;
    let dir = PathBuf::from(TARGET).join(format!("kdump-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).context(dir.display())?;
    let outcome = cells(&kdump, &dump, &dir, clock);
    fs::remove_dir_all(&dir).context(dir.display())?;
    outcome
}

/// `kdump` as a user builds it.
fn shipped() -> Result<PathBuf> {
    shell::run(rust::cargo()?.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "kdump",
        "--bin",
        "kdump",
    ]))?;
    Ok(repo::target()?.join("release/kdump"))
}

fn cells(kdump: &Path, dump: &Path, dir: &Path, clock: Clock) -> Result {
    // From the page cache, and the file system of the source is not measured either.
    let source = dir.join("source");
    fs::copy(dump, &source).context(dump.display())?;
    let bytes = source.metadata().context(source.display())?.len();
    clock.say(&format!(
        "{} ({} MiB), medians of {TURNS} in ms; a goal is met or not",
        dump.display(),
        bytes >> 20
    ));
    let line = |cells: [&str; 10]| {
        let [codec, level, threads, ours, peer, ratio, goal, met, cpu, size] = cells;
        clock.say(&format!(
            "{codec:7} {level:>3} {threads:>7} {ours:>6} {peer:>6} {ratio:>6} {goal:>5} {met:>4} {cpu:>6} {size:>5}"
        ));
    };
    line(["codec", "-d", "threads", "ours", "peer", "ratio", "goal", "met", "by cpu", "size"]);
    for (codec, flag) in CODECS {
        let theirs = formats::Maker::host()?.has(flag)?;
        for level in ["0", "31"] {
            let cell = Cell { kdump, source: &source, dir, codec, flag, level };
            let Times { peer, ours, sizes: (mine, peers) } = cell.times(theirs)?;
            for ((threads, goal), time) in GOALS.into_iter().zip(ours) {
                let Some(peer) = peer else {
                    line([codec, level, threads, &ms(time.wall), "none", "-", "-", "-", "-", "-"]);
                    continue;
                };
                let percent = percent(peer.wall, time.wall);
                let larger = mine.saturating_mul(100).checked_div(peers).unwrap_or(0);
                let met = percent >= goal && larger <= LARGER.saturating_add(100);
                let (ratio, wanted) = (hundredths(percent), hundredths(goal));
                let cpu = hundredths(self::percent(peer.cpu, time.cpu));
                let (ours, theirs) = (ms(time.wall), ms(peer.wall));
                let met = if met { "yes" } else { "no" };
                let size = format!("{larger}%");
                line([codec, level, threads, &ours, &theirs, &ratio, &wanted, met, &cpu, &size]);
            }
        }
    }
    Ok(())
}

/// What is compared.
struct Cell<'a> {
    kdump: &'a Path,
    source: &'a Path,
    dir: &'a Path,
    codec: &'a str,
    /// makedumpfile's option for it.
    flag: &'a str,
    level: &'a str,
}

struct Times {
    /// `None` where makedumpfile is built without the codec.
    peer: Option<Time>,
    ours: Vec<Time>,
    /// Bytes of our file, and of makedumpfile's.
    sizes: (u64, u64),
}

impl Cell<'_> {
    fn times(&self, theirs: bool) -> Result<Times> {
        let (mine, peers) = (self.dir.join("ours"), self.dir.join("theirs"));
        let (mut ours, mut peer) = (vec![Vec::new(); GOALS.len()], Vec::new());
        // In turns: whatever else the machine does meets all.
        for _ in 0..TURNS {
            for (times, (threads, _)) in ours.iter_mut().zip(GOALS) {
                times.push(self.ours(threads, &mine)?);
            }
            if theirs {
                peer.push(self.theirs(&peers)?);
            }
        }
        let size = |path: &Path| path.metadata().map(|found| found.len()).context(path.display());
        let sizes = (size(&mine)?, if theirs { size(&peers)? } else { 0 });
        fs::remove_file(&mine).context(mine.display())?;
        let ours = ours.into_iter().map(median).collect();
        Ok(Times { peer: theirs.then(|| median(peer)), ours, sizes })
    }

    fn ours(&self, threads: &str, out: &Path) -> Result<Time> {
        let _ = fs::remove_file(out);
        let mut command = Command::new(self.kdump);
        command.args(["save", "--progress", "none", "--format", "kdump", "--compress", self.codec]);
        command.args(["-d", self.level, "--threads", threads]).arg(self.source).arg(out);
        timed(&command)
    }

    fn theirs(&self, out: &Path) -> Result<Time> {
        let _ = fs::remove_file(out);
        let mut command = shell::tool("makedumpfile")?;
        command.args(["--message-level", "0", "-d", self.level]);
        command.args((!self.flag.is_empty()).then_some(self.flag)).arg(self.source).arg(out);
        timed(&command)
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Time {
    wall: Duration,
    /// Of all threads, in the kernel and outside.
    cpu: Duration,
}

/// Runs it under bash's `time`, which counts what each thread had of the machine.
fn timed(command: &Command) -> Result<Time> {
    let line = shell::describe(command);
    let mut bash = shell::tool("bash")?;
    // The program's own messages go nowhere: what bash says is all there is to read.
    bash.args(["-c", "TIMEFORMAT='%R %U %S'; time \"$@\" 2>/dev/null", "time"]);
    bash.arg(command.get_program()).args(command.get_args()).env("LC_ALL", "C");
    let output = bash.output().context(&line)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().last().unwrap_or_default();
    let seconds: Vec<f64> = last.split(' ').filter_map(|word| word.parse().ok()).collect();
    match (output.status.success(), seconds.as_slice()) {
        (true, &[wall, user, system]) => {
            let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
            Ok(Time { wall: time(wall), cpu: time(user + system) })
        }
        _ => Err(failed(format!("{line}: {}: {}", output.status, said.trim()))),
    }
}

fn median(mut times: Vec<Time>) -> Time {
    times.sort_unstable_by_key(|time| time.wall);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// How many hundredths of `time` are in `peer`.
fn percent(peer: Duration, time: Duration) -> u128 {
    peer.as_micros().saturating_mul(100).checked_div(time.as_micros()).unwrap_or(0)
}

fn ms(time: Duration) -> String {
    time.as_millis().to_string()
}

/// `250` as `2.50`.
fn hundredths(percent: u128) -> String {
    let whole = percent.checked_div(100).unwrap_or(0);
    format!("{whole}.{:02}", percent.saturating_sub(whole.saturating_mul(100)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let time = |ms| Time { wall: Duration::from_millis(ms), cpu: Duration::from_millis(2 * ms) };
        assert_eq!(median([5, 900, 1, 7, 6].map(time).to_vec()), time(6));
        assert_eq!(percent(Duration::from_millis(5), Duration::from_millis(2)), 250);
        assert_eq!([hundredths(130), hundredths(99), hundredths(205)], ["1.30", "0.99", "2.05"]);
    }
}
