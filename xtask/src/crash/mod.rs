//! `cargo xtask crash`: a Debian kernel crashes in QEMU, and the dump is checked against what was
//! known before.

pub(crate) mod capture_cost;
mod checks;
mod drive;
mod initramfs;
mod kdump_tools;
pub(crate) mod kernel;
pub(crate) mod lab;
mod low_memory;
mod matrix;
pub(crate) mod modules;
pub(crate) mod options;
mod plan;
pub(crate) mod programs;
mod region_sizes;
mod setup;
mod times;

pub(crate) use region_sizes::run as run_region_sizes;

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use matrix::run as load_matrix;

use ::lab::disk::Disk;
use checks::Evidence;
use kernel::Kernel;
use options::{Loader, Options};
use setup::Setup;

use crate::apt::{self, Need};
use crate::error::{Context, Result};
use crate::progress::{self, Clock};
use crate::{consumers, repo};

pub(crate) const NEEDS: &[Need] = &[
    Need { what: "qemu-system-x86_64", package: "qemu-system-x86" },
    // The package busybox brings a program of the same name that needs libraries.
    Need { what: "/var/lib/dpkg/info/busybox-static.list", package: "busybox-static" },
    Need { what: "mkfs.ext4", package: "e2fsprogs" },
    Need { what: "e2fsck", package: "e2fsprogs" },
    Need { what: "xz", package: "xz-utils" },
    Need { what: "strip", package: "binutils" },
    // What `region-sizes` can compress an initramfs with.
    Need { what: "zstd", package: "zstd" },
    Need { what: "lz4", package: "lz4" },
    Need { what: "bzip2", package: "bzip2" },
];

/// The targets of the programs that run in guests.
pub(crate) const GUEST_TARGETS: &[&str] = &lab::TARGETS;

/// Everything a run and its checks need.
pub(crate) fn needs() -> Vec<Need> {
    [NEEDS, checks::NEEDS].concat()
}

/// Fetches the kernels of all series and the packages of `--kdump-tools`, those that an earlier call has
/// left aside.
pub(crate) fn fetch_packages(clock: Clock) -> Result {
    for lab in lab::ALL {
        for &series in lab.series {
            Kernel::of(&lab.archive()?, &lab.meta_package(series), clock)?;
        }
        lab.busybox()?;
    }
    kdump_tools::fetch(clock)
}

/// A kernel image to plan with: that of the first series, fetched unless an earlier run did.
pub(crate) fn image(clock: Clock) -> Result<PathBuf> {
    Ok(Kernel::fetch(options::Series::V6_1, clock)?.image)
}

pub(crate) fn run(args: &[String]) -> Result {
    let options = Options::parse(args)?;
    let clock = Clock::start();
    let label = options.label();
    clock.say(&format!("crash run {label}"));
    if options.kdump_tools {
        return kdump_tools::run(&options, &label, clock);
    }
    apt::ensure(&needs())?;
    let lab = options.lab;
    apt::ensure(&[lab.strip, lab.qemu, lab.gdb])?;
    let kernel = Kernel::of(&lab.archive()?, &lab.meta_package(options.series), clock)?;
    clock.say("building kdump and kdump-witness for the guest");
    let programs = programs::build_for(lab)?;
    // What looks at the dump runs here.
    let kdump = if lab.is_host() { programs.kdump.clone() } else { programs::build()?.kdump };
    let loader = match options.loader {
        Loader::Kdump => Vec::new(),
        Loader::C => consumers::c_loader(clock)?,
        Loader::KexecTools => consumers::kexec_tools_loader(clock)?,
    };
    let dir = run_directory(&options, &label)?;
    let modules = modules::collect(&kernel)?;
    let initramfs = initramfs::write(&dir, lab, &kernel, &modules, &programs, &loader)?;
    if options.purgatory_times {
        let images = (kernel.image.as_path(), initramfs.as_path());
        let rows = times::measure(&options, images, &cmdline(&options)?, &dir, clock)?;
        return progress::close(&format!("crash run {label}, {:.0} s", clock.elapsed().as_secs_f32()), &rows);
    }
    let disk = Disk::create(&dir, options.mem_mib)?;
    let socket = std::env::temp_dir().join(format!("kdump-lab-{}.gdb", std::process::id()));
    let setup = Setup {
        image: &kernel.image,
        initramfs: &initramfs,
        cmdline: &cmdline(&options)?,
        disk: disk.path(),
        gdb: &socket,
        log: &dir.join("console.log"),
    };
    clock.say(&format!("booting Linux {}", kernel.release));
    let rows = if options.corrupt {
        drive::corrupt(&options, &setup, &disk, &dir, clock)?
    } else {
        let sightings = drive::crash(&options, &setup, clock)?;
        let files = dir.join("disk");
        fs::create_dir_all(&files).context(files.display())?;
        disk.everything(&files)?;
        clock.say("checking the dump");
        let (loader, dump) = (options.loader, files.join("dump.elf"));
        let maker = lab.makedumpfile(options.series)?;
        let evidence = Evidence { lab, maker, kdump, loader, dir, files, dump, sightings };
        checks::all(&evidence)
    };
    let took = format!("crash run {label}, {:.0} s", clock.elapsed().as_secs_f32());
    progress::close(&took, &rows)
}

/// The directory that holds all files of this run, empty.
fn run_directory(options: &Options, label: &str) -> Result<PathBuf> {
    let dir = match &options.keep {
        Some(dir) => std::path::absolute(dir).context(dir.display())?,
        None => repo::scratch("crash")?.join(label),
    };
    if dir.exists() {
        fs::remove_dir_all(&dir).context(dir.display())?;
    }
    fs::create_dir_all(&dir).context(dir.display())?;
    Ok(dir)
}

/// The command line of the kernel that will crash.
fn cmdline(options: &Options) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("clock")?;
    let seed = now.subsec_nanos();
    let reserve = options.series.crashkernel_mib().saturating_add(options.lab.reserve_more);
    let (console, serial) = (options.lab.console, options.lab.serial);
    let backup = if options.backup { "always" } else { "auto" };
    let pages = checks::PAGES_PLANTED;
    let loader = options.loader.name();
    let tables = if options.hash { " disable_radix" } else { "" };
    Ok(format!(
        "console={console} crashkernel={reserve}M panic=5 printk.devkmsg=on \
         lab.loader={loader} lab.backup={backup} lab.pages={pages} lab.seed={seed} \
         lab.console={console} lab.serial={serial}{tables}"
    ))
}
