//! `cargo xtask region-sizes`: what `kdump` says of a crash region, and what becomes of the capture
//! kernel in it, size by size.

use core::time::Duration;
use std::fs;

use super::disk::Disk;
use super::initramfs;
use super::kernel::Kernel;
use super::options::Options;
use super::qemu::{Guest, Setup};
use super::{modules, needs, programs};
use crate::apt;
use crate::args::Args;
use crate::error::{Context, Result, usage};
use crate::progress::{self, Clock, Row};
use crate::repo;

/// How long the first kernel may take to boot, load and panic.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the capture kernel may take: many times what one with enough memory needs.
const CAPTURE: Duration = Duration::from_secs(600);
/// How far apart the largest size that fails and the smallest called "enough" may lie.
const GOAL_MIB: u64 = 16;
/// Compressors the capture initramfs can be given.
const COMPRESSORS: [&str; 6] = ["zstd", "xz", "gzip", "lz4", "bzip2", "none"];
/// What shows that a capture kernel will not come to its end.
const DEATHS: [&str; 5] = [
    "deadlocked on memory",
    "Kernel panic - not syncing",
    "Out of memory: Killed",
    "Out of memory and no",
    // It goes on with what it has unpacked, whatever is missing.
    "Initramfs unpacking failed",
];

/// An emulated timer that is late on a busy host: no matter of memory, so the guest is tried again.
const NO_TIMER: &str = "IO-APIC + timer doesn't work";
const RETRIES: usize = 3;

/// What `kdump` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Refused,
    Unlikely,
    Enough,
    Nothing,
}

/// One guest.
struct Outcome {
    size: u64,
    verdict: Verdict,
    said: String,
    saved: bool,
    what: String,
}

struct Request {
    options: Options,
    sizes: Vec<u64>,
    compressor: String,
    ballast_mib: usize,
    append: String,
}

impl Request {
    fn parse(args: &[String]) -> Result<Self> {
        let mut args = Args::new(args);
        let sizes = args.value("--sizes")?.unwrap_or_else(|| "64,80,96,112,128".to_owned());
        let number = |text: &str| {
            text.trim_end_matches('M')
                .parse()
                .map_err(|_| usage(format!("--sizes: {text:?} is no number of MiB")))
        };
        let sizes = sizes.split(',').map(number).collect::<Result<Vec<u64>>>()?;
        let compressor = args.value("--compress")?.unwrap_or_else(|| "zstd".to_owned());
        if !COMPRESSORS.contains(&compressor.as_str()) {
            return Err(usage(format!("--compress knows {}, not {compressor}", COMPRESSORS.join(", "))));
        }
        let ballast = args.number("--ballast")?.unwrap_or(0);
        let ballast_mib = usize::try_from(ballast).ok().filter(|&mib| mib <= 512);
        let ballast_mib = ballast_mib.ok_or_else(|| usage(format!("--ballast {ballast}: up to 512 MiB")))?;
        let append = args.value("--append")?.unwrap_or_else(|| "nr_cpus=1".to_owned());
        if append.contains('+') {
            return Err(usage("--append: a plus sign cannot be passed on"));
        }
        let mut guest = Vec::new();
        for name in ["--kernel", "--mem", "--cpus"] {
            guest.extend(args.value(name)?.map(|value| format!("{name}={value}")));
        }
        guest.extend(["--la57", "--no-la57"].into_iter().filter(|&name| args.flag(name)).map(str::to_owned));
        args.finish()?;
        if !guest.iter().any(|arg| arg.starts_with("--mem")) {
            guest.push("--mem=1024M".to_owned());
        }
        Ok(Self { options: Options::parse(&guest)?, sizes, compressor, ballast_mib, append })
    }
}

pub(crate) fn run(args: &[String]) -> Result {
    let request = Request::parse(args)?;
    let clock = Clock::start();
    apt::ensure(&needs())?;
    let options = &request.options;
    let kernel = Kernel::fetch(options.series, clock)?;
    clock.say("building kdump for the guest");
    let programs = programs::build()?;
    let dir = repo::scratch("region-sizes")?.join(options.label());
    fs::create_dir_all(&dir).context(dir.display())?;
    let modules = modules::collect(&kernel)?;
    let ballast = request.ballast_mib.saturating_mul(1 << 20);
    let (initramfs, size) =
        initramfs::write_compressed(&dir, &kernel, &modules, &programs, &request.compressor, ballast)?;
    let initrd = format!("capture initramfs {} KiB ({})", size >> 10, request.compressor);
    clock.say(&format!("Linux {}, {initrd}", kernel.release));
    let mut outcomes = Vec::new();
    for &mib in &request.sizes {
        let disk = Disk::create(&dir, options.mem_mib)?;
        let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
        let cmdline = format!(
            "console=ttyS0 crashkernel={mib}M panic=5 printk.devkmsg=on lab.sizes=1 lab.loader=kdump \
             lab.backup=auto lab.append={}",
            request.append.replace(' ', "+")
        );
        let log = dir.join(format!("{mib}M.log"));
        let (image, disk, gdb) = (kernel.image.as_path(), disk.path(), socket.as_path());
        let setup = Setup { image, initramfs: &initramfs, cmdline: &cmdline, disk, gdb, log: &log };
        let mut outcome = one(options, &setup, mib)?;
        for _ in 0..RETRIES {
            if !outcome.what.contains(NO_TIMER) {
                break;
            }
            clock.say(&format!("{mib} MiB: {}; again", outcome.what));
            outcome = one(options, &setup, mib)?;
        }
        clock.say(&format!("{mib} MiB: {:?}; {}", outcome.verdict, outcome.what));
        outcomes.push(outcome);
    }
    outcomes.sort_by_key(|outcome| outcome.size);
    let title = format!("crash regions of Linux {}, {initrd}, {}", kernel.release, request.append);
    progress::close(&title, &judge(&outcomes))
}

/// Boots, loads, panics, and looks what the capture kernel does.
fn one(options: &Options, setup: &Setup<'_>, size: u64) -> Result<Outcome> {
    let mut guest = Guest::start(options, setup)?;
    let line = guest.wait_for(&["lab: loaded", "lab: refused"], PATIENCE)?;
    let told =
        |word: &str| guest.console().iter().rev().find(|line| line.contains("lab: |") && line.contains(word));
    let sentence = told("capture kernel needs").or_else(|| told("no room"));
    let said = sentence.and_then(|line| line.split_once("lab: | ")).map_or("", |(_, text)| text).to_owned();
    let mut outcome = Outcome { size, verdict: Verdict::Nothing, said, saved: false, what: String::new() };
    if line.contains("lab: refused") {
        outcome.verdict = Verdict::Refused;
        outcome.what = "not loaded".to_owned();
        return Ok(outcome);
    }
    outcome.verdict = match outcome.said.as_str() {
        said if said.contains("unlikely to boot") => Verdict::Unlikely,
        said if said.contains("enough") => Verdict::Enough,
        _ => Verdict::Nothing,
    };
    guest.wait_for(&["Kernel panic - not syncing"], PATIENCE)?;
    let heard = guest.hear(&[DEATHS.as_slice(), &["lab: saved"]].concat(), CAPTURE)?;
    outcome.saved = heard.as_ref().is_some_and(|line| line.contains("lab: saved, exit code 0"));
    let silent = || format!("nothing within {} s, or QEMU ended", CAPTURE.as_secs());
    outcome.what = heard
        .map_or_else(silent, |line| line.split_once("] ").map_or(line.clone(), |(_, text)| text.to_owned()));
    if outcome.saved {
        // The disk is unmounted by then; the guest need not end by itself.
        guest.hear(&[], Duration::from_secs(10))?;
    }
    Ok(outcome)
}

/// One row per size, and one for the distance.
fn judge(outcomes: &[Outcome]) -> Vec<Row> {
    let mut rows: Vec<Row> = outcomes
        .iter()
        .map(|outcome| Row {
            name: format!("{} MiB", outcome.size),
            // To call enough what then does not dump is the one error that must not happen.
            passed: match outcome.verdict {
                Verdict::Enough => outcome.saved,
                Verdict::Refused | Verdict::Unlikely => true,
                Verdict::Nothing => false,
            },
            detail: format!("{:?}: {}: {}", outcome.verdict, outcome.what, outcome.said),
        })
        .collect();
    let failing = outcomes.iter().filter(|outcome| !outcome.saved).map(|outcome| outcome.size).max();
    let enough = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Enough)
        .map(|outcome| outcome.size)
        .min();
    if let (Some(failing), Some(enough)) = (failing, enough) {
        let distance = enough.saturating_sub(failing);
        let detail = format!("{failing} MiB fail, {enough} MiB are called enough: {distance} MiB");
        rows.push(Row {
            name: "distance".to_owned(),
            passed: distance <= GOAL_MIB && failing < enough,
            detail,
        });
    }
    rows
}
