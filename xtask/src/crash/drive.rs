//! The life of one guest: boot, load, panic, and what comes after.

use core::time::Duration;
use std::path::{Path, PathBuf};

use ::lab::disk::Disk;
use ::lab::gdbstub::Stub;
use ::lab::guest::Guest;

use super::low_memory::LowMemory;
use super::options::Options;
use super::plan::Plan;
use super::setup::Setup;
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};

/// How long one stage of the guest may take: many times what an idle machine needs.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);
/// How long a stopped purgatory must stay stopped. A capture kernel prints after one second.
const STOPPED: Duration = Duration::from_secs(15);

/// What the purgatory prints.
pub(crate) const MATCHES: &str = "purgatory: digest matches";
pub(crate) const MISMATCH: &str = "purgatory: digest mismatch";

/// What was seen from outside while the guest ran.
#[derive(Debug)]
pub(crate) struct Sightings {
    pub(crate) console: Vec<String>,
    pub(crate) low: Option<LowMemory>,
    /// Low memory once the capture kernel ran.
    pub(crate) low_after: Option<Vec<u8>>,
}

/// Lets the machine crash and the capture kernel save it.
pub(crate) fn crash(options: &Options, setup: &Setup<'_>, clock: Clock) -> Result<Sightings> {
    let mut guest = boot(options, setup, clock)?;
    let mut low = None;
    let area = options.lab.low.filter(|_| options.backup);
    if let Some(area) = area {
        let mut stub = Stub::attach(setup.gdb)?;
        low = Some(LowMemory::mark_and_record(area, &mut stub)?);
        stub.detach()?;
        clock.say("low memory marked and recorded from outside");
    }
    panic(&mut guest, clock)?;
    guest.wait_for(&["lab: capture kernel"], PATIENCE)?;
    clock.say("capture kernel runs");
    let mut low_after = None;
    if let Some(area) = area {
        let mut stub = Stub::attach(setup.gdb)?;
        low_after = Some(area.read(&mut stub)?);
        stub.detach()?;
    }
    guest.wait_for(&["lab: saved"], PATIENCE)?;
    clock.say("/proc/vmcore saved");
    guest.wait_for_end(PATIENCE)?;
    Ok(Sightings { console: guest.console().to_vec(), low, low_after })
}

/// Lets the machine crash and the scripts of the distribution save it and restart the machine.
pub(crate) fn crash_and_restart(options: &Options, setup: &Setup<'_>, clock: Clock) -> Result<Sightings> {
    let mut guest = boot(options, setup, clock)?;
    panic(&mut guest, clock)?;
    guest.wait_for(&["lab: capture kernel"], PATIENCE)?;
    clock.say("capture kernel runs");
    guest.wait_for_end(PATIENCE)?;
    clock.say("the machine restarted");
    Ok(Sightings { console: guest.console().to_vec(), low: None, low_after: None })
}

/// Changes a byte of the loaded kernel before the panic; the purgatory must stop on it.
pub(crate) fn corrupt(
    options: &Options,
    setup: &Setup<'_>,
    disk: &Disk,
    dir: &Path,
    clock: Clock,
) -> Result<Vec<Row>> {
    let mut guest = boot(options, setup, clock)?;
    let plan: PathBuf = dir.join("plan.json");
    disk.file("/plan/plan.json", &plan)?;
    let loaded = dir.join("crash_loaded");
    disk.file("/crash_loaded", &loaded)?;
    let mut rows = vec![Row::of("kexec_crash_loaded", super::checks::is_one(&loaded))];
    rows.push(Row::of("byte changed", flip(setup.gdb, &plan)));
    panic(&mut guest, clock)?;
    let heard = guest.wait_for(&[MISMATCH, MATCHES, "lab: capture kernel"], PATIENCE)?;
    let stopped = heard.contains(MISMATCH);
    rows.push(Row::new("purgatory stops", stopped, heard));
    clock.say("purgatory has spoken; waiting for what must not come");
    let silence = guest.stays_silent(&["Linux version", "Command line:"], STOPPED);
    let detail = format!("console silent for {} s", STOPPED.as_secs());
    rows.push(Row::of("no capture kernel", silence.map(|()| detail)));
    Ok(rows)
}

pub(super) fn boot(options: &Options, setup: &Setup<'_>, clock: Clock) -> Result<Guest> {
    let mut guest = setup.start(options)?;
    guest.wait_for(&["lab: ready"], PATIENCE)?;
    clock.say("capture kernel loaded, witness planted");
    Ok(guest)
}

pub(super) fn panic(guest: &mut Guest, clock: Clock) -> Result {
    guest.type_line("go")?;
    guest.wait_for(&["Kernel panic - not syncing"], PATIENCE)?;
    clock.say("panic");
    Ok(())
}

/// Inverts the byte in the middle of the loaded kernel image.
fn flip(socket: &Path, plan: &Path) -> Result<String> {
    let kernel = Plan::read(plan)?.segment("kernel")?;
    let paddr = kernel.mem.checked_add(kernel.bufsz / 2).context("kernel segment out of range")?;
    let mut stub = Stub::attach(socket)?;
    let before = stub.read(paddr, 1)?;
    let after: Vec<u8> = before.iter().map(|byte| !byte).collect();
    stub.write(paddr, &after)?;
    let now = stub.read(paddr, 1)?;
    stub.detach()?;
    if now != after {
        return Err(failed(format!("the byte at {paddr:#x} did not change")));
    }
    Ok(format!("at {paddr:#x}, in the middle of the kernel segment"))
}
