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

/// What is asked for: times as fast as makedumpfile's one thread, by threads, in percent. One thread is judged by
/// what the processor did, whatever else the machine had to do; what two gain shows by the clock alone.
const GOALS: [(&str, u128); 2] = [("1", 130), ("2", 250)];
/// What two threads may cost the processors besides what one does, in percent: more of it than this is spent on
/// threads and not on the dump.
const THREADS_COST: u128 = 5;
/// The output may be larger by so many percent.
const LARGER: u64 = 3;
/// A build against another C library may take longer by so many percent.
const SLOWER: u128 = 10;
/// Nanoseconds for each `struct page`, in one thread, those of the system not counted.
const SCAN: u128 = 5;
/// Each is timed so often, in turns, and the best counts: what else the machine does makes nothing faster.
const TURNS: usize = 5;
/// Where the files are written: memory, so that no disk is measured.
const TARGET: &str = "/dev/shm";

/// `cargo xtask bench save [--dump FILE] [--kdump PROGRAM] [--other PROGRAM]`; the other one is `kdump` as well, in
/// another build: against musl, or of another commit.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    let kdump = args.value("--kdump")?.map(PathBuf::from);
    let other = args.value("--other")?.map(PathBuf::from);
    args.finish()?;
    apt::ensure(formats::NEEDS)?;
    let clock = Clock::start();
    let dump = consumers::dump_or_crash(dump)?;
    let kdump = kdump.map_or_else(shipped, Ok)?;
    let dir = PathBuf::from(TARGET).join(format!("kdump-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).context(dir.display())?;
    let outcome = table(&kdump, other.as_deref(), &dump, &dir, clock);
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

fn table(kdump: &Path, other: Option<&Path>, dump: &Path, dir: &Path, clock: Clock) -> Result {
    // From the page cache, and the file system of the source is not measured either.
    let source = dir.join("source");
    fs::copy(dump, &source).context(dump.display())?;
    let bytes = source.metadata().context(source.display())?.len();
    clock.say(&format!(
        "{} ({} MiB), best of {TURNS} in ms by the clock and of processor time; ratios are makedumpfile's \
         time with one thread to ours; one thread is judged by processor time, two by the clock",
        dump.display(),
        bytes >> 20
    ));
    let line = |cells: [&str; 11]| {
        let [codec, level, threads, ours, cpu, peer, peer_cpu, ratio, by_cpu, size, met] = cells;
        clock.say(&format!(
            "{codec:7} {level:>3} {threads:>7} {ours:>6} {cpu:>6} {peer:>6} {peer_cpu:>6} {ratio:>6} {by_cpu:>6} {size:>5}  {met}"
        ));
    };
    line(["codec", "-d", "threads", "ours", "cpu", "peer", "cpu", "ratio", "by cpu", "size", "goal"]);
    for level in ["0", "31"] {
        // What has no peer is told beside LZO, the fastest codec that has one.
        let mut lzo = Time::default();
        for (codec, flag) in CODECS {
            let theirs = formats::Maker::host()?.has(flag)?;
            let cell = Cell { kdump, other, source: &source, dir, codec, flag, level };
            let Times { peer, ours, other, sizes: (mine, peers) } = cell.times(theirs)?;
            let one = ours.first().copied().unwrap_or_default();
            if codec == "lzo" {
                lzo = one;
            }
            for ((threads, goal), time) in GOALS.into_iter().zip(ours) {
                let (wall, cpu) = (ms(time.wall), ms(time.cpu));
                let mut met = Vec::new();
                let Some(peer) = peer else {
                    let of = hundredths(percent(lzo.cpu, time.cpu));
                    let said = format!(
                        "no peer: the distribution's makedumpfile has no {codec}; {of} of our LZO's speed"
                    );
                    line([codec, level, threads, &wall, &cpu, "none", "-", "-", "-", "-", &said]);
                    continue;
                };
                let (ratio, by_cpu) = (percent(peer.wall, time.wall), percent(peer.cpu, time.cpu));
                let reached = if threads == "1" { by_cpu } else { ratio };
                met.push(format!("{} {}", hundredths(goal), met_or_not(reached >= goal)));
                if threads != "1" {
                    let more = percent(time.cpu, one.cpu).saturating_sub(100);
                    met.push(format!(
                        "+{more} % of processor time, at most {THREADS_COST}: {}",
                        met_or_not(more <= THREADS_COST)
                    ));
                }
                let larger = mine.saturating_mul(100).checked_div(peers).unwrap_or(0);
                if larger > LARGER.saturating_add(100) {
                    met.push(format!("size at most +{LARGER} %: MISSED"));
                }
                let (theirs, their_cpu, size) = (ms(peer.wall), ms(peer.cpu), format!("{larger}%"));
                let (ratio, by_cpu) = (hundredths(ratio), hundredths(by_cpu));
                line([
                    codec,
                    level,
                    threads,
                    &wall,
                    &cpu,
                    &theirs,
                    &their_cpu,
                    &ratio,
                    &by_cpu,
                    &size,
                    &met.join("; "),
                ]);
            }
            if let Some(other) = other {
                let slower = percent(other.cpu, one.cpu);
                let met = met_or_not(slower <= SLOWER.saturating_add(100));
                let said = format!(
                    "{slower} % of this build's processor time, at most {}: {met}",
                    SLOWER.saturating_add(100)
                );
                line([
                    codec,
                    level,
                    "1",
                    &ms(other.wall),
                    &ms(other.cpu),
                    "-",
                    "-",
                    "-",
                    "-",
                    "-",
                    &format!("other build: {said}"),
                ]);
            }
        }
    }
    scan(kdump, &source, dir, clock)?;
    verify(kdump, &source, clock)?;
    other.map_or(Ok(()), |other| verify(other, &source, clock))
}

/// What it takes to look at all `struct page`s, that is to find out what would be saved.
fn scan(kdump: &Path, source: &Path, dir: &Path, clock: Clock) -> Result {
    let out = dir.join("ours");
    let command = |level| {
        let mut command = Command::new(kdump);
        command.args(["save", "--dry-run", "--progress", "none", "--format", "kdump", "-d", level]);
        command.args(["--threads", "1"]).arg(source).arg(&out);
        command
    };
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        with.push(timed(&command("31"))?);
        without.push(timed(&command("0"))?);
    }
    let (with, without) = (best(&with), best(&without));
    // One for each page of memory, of which the source has little else.
    let pages = u128::from(source.metadata().context(source.display())?.len() >> 12).max(1);
    let each = |with: Duration, without: Duration| {
        with.saturating_sub(without).as_nanos().checked_div(pages).unwrap_or(0)
    };
    let (user, all) = (each(with.user, without.user), each(with.cpu, without.cpu));
    clock.say(&format!(
        "scan: {user} ns for each struct page, at most {SCAN}: {}; {all} ns with what the system does to read them",
        met_or_not(user <= SCAN)
    ));
    Ok(())
}

/// Verifying, against reading the file and doing nothing with it.
fn verify(kdump: &Path, source: &Path, clock: Clock) -> Result {
    let mut ours = Command::new(kdump);
    ours.args(["verify", "--progress", "none"]).arg(source);
    let mut reading = shell::tool("dd")?;
    reading.arg(format!("if={}", source.display())).args(["of=/dev/null", "bs=256K", "status=none"]);
    let (mut mine, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        mine.push(timed(&ours)?);
        plain.push(timed(&reading)?);
    }
    let (mine, plain) = (best(&mine), best(&plain));
    let slower = percent(mine.cpu, plain.cpu);
    clock.say(&format!(
        "verify by {}: {} ms, {} of processor time; reading the file: {} and {}; {slower} %, at most {}: {}",
        kdump.display(),
        ms(mine.wall),
        ms(mine.cpu),
        ms(plain.wall),
        ms(plain.cpu),
        SLOWER.saturating_add(100),
        met_or_not(slower <= SLOWER.saturating_add(100))
    ));
    Ok(())
}

fn met_or_not(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// What is compared.
struct Cell<'a> {
    kdump: &'a Path,
    other: Option<&'a Path>,
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
    /// Another build, by one thread.
    other: Option<Time>,
    /// Bytes of our file, and of makedumpfile's.
    sizes: (u64, u64),
}

impl Cell<'_> {
    fn times(&self, theirs: bool) -> Result<Times> {
        let (mine, peers) = (self.dir.join("ours"), self.dir.join("theirs"));
        let (mut ours, mut peer, mut other) = (vec![Vec::new(); GOALS.len()], Vec::new(), Vec::new());
        // In turns: whatever else the machine does meets all.
        for _ in 0..TURNS {
            for (times, (threads, _)) in ours.iter_mut().zip(GOALS) {
                times.push(self.ours(self.kdump, threads, &mine)?);
            }
            if theirs {
                peer.push(self.theirs(&peers)?);
            }
            if let Some(program) = self.other {
                other.push(self.ours(program, "1", &mine)?);
            }
        }
        let size = |path: &Path| path.metadata().map(|found| found.len()).context(path.display());
        let sizes = (size(&mine)?, if theirs { size(&peers)? } else { 0 });
        fs::remove_file(&mine).context(mine.display())?;
        let ours = ours.iter().map(|times| best(times)).collect();
        Ok(Times { peer: theirs.then(|| best(&peer)), ours, other: self.other.map(|_| best(&other)), sizes })
    }

    fn ours(&self, kdump: &Path, threads: &str, out: &Path) -> Result<Time> {
        let _ = fs::remove_file(out);
        let mut command = Command::new(kdump);
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
    /// Of all threads, in the kernel and outside; and outside alone.
    cpu: Duration,
    user: Duration,
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
            Ok(Time { wall: time(wall), cpu: time(user + system), user: time(user) })
        }
        _ => Err(failed(format!("{line}: {}: {}", output.status, said.trim()))),
    }
}

/// The least of each.
fn best(times: &[Time]) -> Time {
    let least = |of: fn(&Time) -> Duration| times.iter().map(of).min().unwrap_or_default();
    Time { wall: least(|time| time.wall), cpu: least(|time| time.cpu), user: least(|time| time.user) }
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
        let [one, two, three] = [1, 2, 3].map(Duration::from_millis);
        let times = [Time { wall: one, cpu: three, user: two }, Time { wall: three, cpu: two, user: three }];
        assert_eq!(best(&times), Time { wall: one, cpu: two, user: two });
        assert_eq!(percent(Duration::from_millis(5), Duration::from_millis(2)), 250);
        assert_eq!([hundredths(130), hundredths(99), hundredths(205)], ["1.30", "0.99", "2.05"]);
    }
}
