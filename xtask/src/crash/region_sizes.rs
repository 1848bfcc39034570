//! `cargo xtask region-sizes`: what `kdump` says of a crash region, and what becomes of the capture
//! kernel in it, size by size.

mod outcome;

use core::time::Duration;
use std::fs;
use std::path::Path;

use super::initramfs;
use super::kernel::Kernel;
use super::options::{Options, Series};
use super::setup::Setup;
use super::{modules, needs, programs};
use crate::apt;
use crate::args::Args;
use crate::error::{Context, Result, usage};
use crate::progress::{self, Clock};
use crate::repo;
use ::lab::disk::Disk;
use outcome::{Outcome, Said, judge};

/// How long the first kernel may take to boot, load and panic.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the capture kernel may take: many times what one with enough memory needs.
const CAPTURE: Duration = Duration::from_secs(600);
/// Compressors the capture initramfs can be given.
const COMPRESSORS: [&str; 6] = ["zstd", "xz", "gzip", "lz4", "bzip2", "none"];
/// What shows that a capture kernel will not come to its end.
pub(super) const DEATHS: [&str; 5] = [
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

/// MiB, unless asked otherwise: too little to place, to boot, and the most that was seen to fail with
/// the least that is called enough; then more.
const fn sizes(series: Series) -> &'static str {
    match series {
        Series::V6_1 => "64,80,92,102,112",
        Series::V6_12 => "56,64,75,92,112",
    }
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
        let series = args.value("--kernel")?.map_or(Ok(Series::V6_1), |name| Series::parse(&name))?;
        let sizes = args.value("--sizes")?.unwrap_or_else(|| sizes(series).to_owned());
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
        let mut guest = vec![format!("--kernel={}", series.name())];
        for name in ["--mem", "--cpus"] {
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
    let lab = Lab { request: &request, kernel: &kernel, initramfs: &initramfs, dir: &dir, clock };
    let mut outcomes = Vec::new();
    // Without a region first: the suggestion is for a machine that has none.
    for mib in core::iter::once(0).chain(request.sizes.iter().copied()) {
        outcomes.push(lab.guest(mib)?);
    }
    outcomes.sort_by_key(|outcome| outcome.size);
    let suggested = outcomes.first().and_then(|outcome| mebibytes(&outcome.said.suggest));
    let suggested = suggested.map(|mib| lab.guest(mib)).transpose()?;
    let seconds = clock.elapsed().as_secs();
    let title =
        format!("crash regions of Linux {}, {initrd}, {}, {seconds} s", kernel.release, request.append);
    progress::close(&title, &judge(&outcomes, suggested.as_ref()))
}

/// The size in `crashkernel=SIZEM`.
fn mebibytes(suggestion: &str) -> Option<u64> {
    suggestion.strip_prefix("crashkernel=")?.strip_suffix('M')?.parse().ok()
}

/// What all guests have in common.
struct Lab<'a> {
    request: &'a Request,
    kernel: &'a Kernel,
    initramfs: &'a Path,
    dir: &'a Path,
    clock: Clock,
}

impl Lab<'_> {
    /// A guest with a region of `mib` MiB, or none for 0.
    fn guest(&self, mib: u64) -> Result<Outcome> {
        let options = &self.request.options;
        let disk = Disk::create(self.dir, options.mem_mib)?;
        let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
        let region = if mib == 0 { String::new() } else { format!("crashkernel={mib}M ") };
        let cmdline = format!(
            "console=ttyS0 {region}panic=5 printk.devkmsg=on lab.sizes=1 lab.loader=kdump \
             lab.backup=auto lab.append={}",
            self.request.append.replace(' ', "+")
        );
        let log = self.dir.join(format!("{mib}M.log"));
        let (image, disk, gdb) = (self.kernel.image.as_path(), disk.path(), socket.as_path());
        let setup = Setup { image, initramfs: self.initramfs, cmdline: &cmdline, disk, gdb, log: &log };
        let mut outcome = one(options, &setup, mib)?;
        for _ in 0..RETRIES {
            if !outcome.what.contains(NO_TIMER) {
                break;
            }
            self.clock.say(&format!("{mib} MiB: {}; again", outcome.what));
            outcome = one(options, &setup, mib)?;
        }
        self.clock.say(&outcome.line());
        Ok(outcome)
    }
}

/// Boots, loads, panics, and looks what the capture kernel does.
fn one(options: &Options, setup: &Setup<'_>, size: u64) -> Result<Outcome> {
    let mut guest = setup.start(options)?;
    let line = guest.wait_for(&["lab: loaded", "lab: refused"], PATIENCE)?;
    let (loaded, said) = (line.contains("lab: loaded"), Said::read(guest.console()));
    let mut outcome = Outcome { size, loaded, said, saved: false, what: "not loaded".to_owned() };
    if !loaded {
        return Ok(outcome);
    }
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
