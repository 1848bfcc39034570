//! `--purgatory-times`: how long a purgatory takes from the panic to the first message of the capture
//! kernel, with its digest and caches, without a digest, and without caches.
//!
//! QEMU's TCG models no caches: with it the three differ by instructions, not by memory. What caches
//! are worth is seen on a machine only.

use core::fmt;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::time::Instant;

use ::lab::disk::Disk;
use ::lab::gdbstub::Stub;
use ::lab::guest::Guest;

use super::drive::{self, MATCHES, PATIENCE};
use super::options::Options;
use super::plan::Plan;
use super::setup::Setup;
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::purgatory::place;
use crate::repo;

const SKIPPED: &str = "purgatory: digest not checked";
/// The console speaks from the first line on, not only once its driver is there; a blank is a plus sign.
const EARLY: &str = "lab.append=nr_cpus=1+earlycon=pl011,";

/// What the purgatory is made to do.
#[derive(Debug, Clone, Copy)]
enum Way {
    Cached,
    Unverified,
    Uncached,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Cached => "digest, caches on",
            Self::Unverified => "no digest",
            Self::Uncached => "digest, caches off",
        }
    }

    /// What the purgatory says then.
    fn verdict(self) -> String {
        match self {
            Self::Cached => format!("{MATCHES} (caches on)"),
            Self::Unverified => String::from(SKIPPED),
            Self::Uncached => format!("{MATCHES} (caches off)"),
        }
    }
}

/// How long each part took.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// From the panic's message to the purgatory's.
    purgatory: Duration,
    /// From the panic's message to the capture kernel's first.
    all: Duration,
    /// What QEMU computed in this time.
    processor: Duration,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (purgatory, all) = (self.purgatory.as_secs_f64(), self.all.as_secs_f64());
        let processor = self.processor.as_secs_f64();
        write!(
            f,
            "{purgatory:.3} s to the purgatory's verdict, {all:.3} s to the capture kernel, {processor:.2} s of QEMU's processor time"
        )
    }
}

/// Measures the three ways, each with a guest of its own.
pub(super) fn measure(
    options: &Options,
    images: (&Path, &Path),
    cmdline: &str,
    dir: &Path,
    clock: Clock,
) -> Result<Vec<Row>> {
    let (mut rows, mut taken) = (Vec::new(), Vec::new());
    for way in [Way::Unverified, Way::Cached, Way::Uncached] {
        let outcome = once(options, images, cmdline, dir, way, clock);
        if let Ok(times) = &outcome {
            taken.push(*times);
        }
        rows.push(Row::of(way.name(), outcome.map(|times| times.to_string())));
    }
    if let [without, cached, uncached] = taken[..] {
        rows.push(Row::new("cost of the digest", true, cost(without, cached, uncached)));
    }
    Ok(rows)
}

/// The digest's share: the processor time a way takes beyond the one without.
fn cost(without: Times, cached: Times, uncached: Times) -> String {
    let beyond = |times: Times| times.processor.as_secs_f64() - without.processor.as_secs_f64();
    let (cached, uncached) = (beyond(cached), beyond(uncached));
    format!(
        "{cached:.2} s with caches, {uncached:.2} s without: {:.0} % (an emulator has no caches: instructions only)",
        cached / uncached * 100.0
    )
}

fn once(
    options: &Options,
    (image, initramfs): (&Path, &Path),
    cmdline: &str,
    dir: &Path,
    way: Way,
    clock: Clock,
) -> Result<Times> {
    clock.say(&format!("booting for: {}", way.name()));
    let disk = Disk::create(dir, options.mem_mib)?;
    let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
    let caches = if matches!(way, Way::Uncached) { "off" } else { "on" };
    let cmdline = format!("{cmdline} {EARLY}{} lab.caches={caches}", options.lab.serial);
    let log = dir.join(format!("console-{way:?}.log"));
    let (disk_path, gdb) = (disk.path(), socket.as_path());
    let setup = Setup { image, initramfs, cmdline: &cmdline, disk: disk_path, gdb, log: &log };
    let mut guest = drive::boot(options, &setup, clock)?;
    if matches!(way, Way::Unverified) {
        let plan = dir.join("plan.json");
        disk.file("/plan/plan.json", &plan)?;
        skip_checks(options, gdb, &Plan::read(&plan)?)?;
    }
    time(&mut guest, &way.verdict(), clock)
}

fn time(guest: &mut Guest, verdict: &str, clock: Clock) -> Result<Times> {
    drive::panic(guest, clock)?;
    let (panic, before) = (Instant::now(), guest.processor_time()?);
    let heard = guest.wait_for(&["purgatory: ", "Linux version"], PATIENCE)?;
    let purgatory = panic.elapsed();
    if !heard.contains(verdict) {
        return Err(failed(format!("the purgatory should say {verdict:?}, the console says: {heard}")));
    }
    guest.wait_for(&["Booting Linux"], PATIENCE)?;
    let (all, after) = (panic.elapsed(), guest.processor_time()?);
    Ok(Times { purgatory, all, processor: after.saturating_sub(before) })
}

/// Makes the loaded purgatory hash nothing.
fn skip_checks(options: &Options, socket: &Path, plan: &Plan) -> Result {
    let object = repo::root()?.join("kdump-purgatory/objects").join(format!("{}.o", options.lab.arch));
    let object = fs::read(&object).context(object.display())?;
    let place = place(&object, "skip_checks").map_err(failed)?;
    let paddr = plan.segment("purgatory")?.mem.checked_add(place).context("purgatory out of range")?;
    let mut stub = Stub::attach(socket)?;
    let before = stub.read(paddr, 4)?;
    stub.write(paddr, &1_u32.to_le_bytes())?;
    stub.detach()?;
    if before != [0; 4] {
        return Err(failed(format!("skip_checks at {paddr:#x} was {before:x?}")));
    }
    Ok(())
}
