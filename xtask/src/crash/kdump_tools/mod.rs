//! `cargo xtask crash --kdump-tools`: Debian's scripts load the capture kernel and save the dump, with kdump in
//! the places of kexec and makedumpfile.

mod checks;
mod command_lines;
mod root;

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::checks::PAGES_PLANTED;
use super::kernel::Kernel;
use super::options::Options;
use super::setup::Setup;
use super::{drive, initramfs, modules, needs, programs, run_directory};
use crate::apt;
use crate::error::{Context, Result};
use crate::progress::{self, Clock};
use ::lab::disk::Disk;

/// The part of the guest's init that runs the scripts.
const SCRIPT: &str = include_str!("../../../guest/kdump-tools");
/// In /etc/default/kdump-tools; the script adds -F.
pub(super) const MAKEDUMP_ARGS: &str = "-l -d 23";

/// Fetches what a run needs.
pub(crate) fn fetch(clock: Clock) -> Result {
    root::fetch(clock).map(|_| ())
}

pub(super) fn run(options: &Options, label: &str, clock: Clock) -> Result {
    apt::ensure(&needs())?;
    let kernel = Kernel::fetch(options.series, clock)?;
    let shelf = root::fetch(clock)?;
    clock.say("building kdump and kdump-witness for the guest");
    let programs = programs::build()?;
    let dir = run_directory(options, label)?;
    let modules = modules::collect(&kernel)?;
    let initramfs = initramfs::write_small(&dir, &modules, &programs, ("kdump-tools", SCRIPT))?;
    let tree = root::make(&dir, &shelf, &kernel, &programs, &initramfs)?;
    let disk = Disk::of_tree(&dir, options.mem_mib, &tree)?;
    fs::remove_dir_all(&tree).context(tree.display())?;
    let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
    let setup = Setup {
        image: &kernel.image,
        initramfs: &initramfs,
        cmdline: &cmdline(options)?,
        disk: disk.path(),
        gdb: &socket,
        log: &dir.join("console.log"),
    };
    clock.say(&format!("booting Linux {}", kernel.release));
    let sightings = drive::crash_and_restart(options, &setup, clock)?;
    disk.recover()?;
    let files = dir.join("disk");
    fs::create_dir_all(&files).context(files.display())?;
    disk.everything(&files)?;
    clock.say("checking the dump");
    let rows = checks::all(programs.kdump, dir, files, sightings, options.series);
    let took = format!("crash run {label}, {:.0} s", clock.elapsed().as_secs_f32());
    progress::close(&took, &rows)
}

/// The command line of the kernel that will crash; the scripts hand it to the capture kernel, too.
fn cmdline(options: &Options) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("clock")?;
    let (seed, reserve) = (now.subsec_nanos(), options.series.crashkernel_mib());
    Ok(format!(
        "console=ttyS0 crashkernel={reserve}M panic=5 printk.devkmsg=on lab.kdump-tools=1 \
         lab.pages={PAGES_PLANTED} lab.seed={seed}"
    ))
}
