//! `cargo xtask bench save`: saving against makedumpfile, cell by cell, in one run on one machine.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::formats::{self, CODECS};
use crate::progress::Clock;
use crate::{apt, consumers, shell};

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
    let kdump = kdump.map_or_else(formats::tool, Ok)?;
    let dir = PathBuf::from(TARGET).join(format!("kdump-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).context(dir.display())?;
    let outcome = cells(&kdump, &dump, &dir, clock);
    fs::remove_dir_all(&dir).context(dir.display())?;
    outcome
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
    let line = |cells: [&str; 9]| {
        let [codec, level, threads, ours, peer, ratio, goal, met, size] = cells;
        clock.say(&format!(
            "{codec:7} {level:>5} {threads:>7} {ours:>7} {peer:>7} {ratio:>6} {goal:>5} {met:>4} {size:>7}"
        ));
    };
    line(["codec", "-d", "threads", "ours", "peer", "ratio", "goal", "met", "size"]);
    for (codec, flag) in CODECS {
        let theirs = formats::has(flag)?;
        for level in ["0", "31"] {
            let cell = Cell { kdump, source: &source, dir, codec, flag, level };
            let Times { peer, ours, sizes: (mine, peers) } = cell.times(theirs)?;
            for ((threads, goal), time) in GOALS.into_iter().zip(ours) {
                let Some(peer) = peer else {
                    line([codec, level, threads, &ms(time), "none", "-", "-", "-", "-"]);
                    continue;
                };
                let percent = peer.as_micros().saturating_mul(100).checked_div(time.as_micros()).unwrap_or(0);
                let larger = mine.saturating_mul(100).checked_div(peers).unwrap_or(0);
                let met = percent >= goal && larger <= LARGER.saturating_add(100);
                let (ratio, wanted) = (hundredths(percent), hundredths(goal));
                let met = if met { "yes" } else { "no" };
                line([
                    codec,
                    level,
                    threads,
                    &ms(time),
                    &ms(peer),
                    &ratio,
                    &wanted,
                    met,
                    &format!("{larger}%"),
                ]);
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
    peer: Option<Duration>,
    ours: Vec<Duration>,
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

    fn ours(&self, threads: &str, out: &Path) -> Result<Duration> {
        let _ = fs::remove_file(out);
        let mut command = Command::new(self.kdump);
        command.args(["save", "--progress", "none", "--format", "kdump", "--compress", self.codec]);
        command.args(["-d", self.level, "--threads", threads]).arg(self.source).arg(out);
        timed(&mut command)
    }

    fn theirs(&self, out: &Path) -> Result<Duration> {
        let _ = fs::remove_file(out);
        let mut command = shell::tool("makedumpfile")?;
        command.args(["--message-level", "0", "-d", self.level]);
        command.args((!self.flag.is_empty()).then_some(self.flag)).arg(self.source).arg(out);
        timed(&mut command)
    }
}

fn timed(command: &mut Command) -> Result<Duration> {
    let line = shell::describe(command);
    let start = Instant::now();
    let output = command.output().context(&line)?;
    let time = start.elapsed();
    if output.status.success() {
        return Ok(time);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{line}: {}: {}", output.status, said.trim())))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
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
        let times = [5, 900, 1, 7, 6].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), Duration::from_millis(6));
        assert_eq!([hundredths(130), hundredths(99), hundredths(205)], ["1.30", "0.99", "2.05"]);
    }
}
