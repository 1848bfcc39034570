//! `cargo xtask preflight-soak`: a Debian kernel in QEMU is given random crash loads, and what it
//! does with each is compared with what preflight predicted.

pub(crate) mod options;
mod tidings;

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::cpio::Cpio;
use lab::guest::Guest;
use lab::qemu::Machine;
use options::Options;
use tidings::Tidings;

use crate::crash::kernel::Kernel;
use crate::crash::programs;
use crate::error::{Context, Result};
use crate::progress::{self, Clock};
use crate::{apt, crash, repo, shell};

/// The script that is process 1 of the guest.
const INIT: &str = include_str!("../guest/soak-init");
/// What the program in it says before it ends early.
const GAVE_UP: &str = "soak: FAILED";
/// How long the guest may be silent: many times what a thousand calls take.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) fn run(args: &[String]) -> Result {
    let options = Options::parse(args)?;
    let clock = Clock::start();
    let title = format!("preflight-soak {} seed {}", options.label(), options.seed);
    clock.say(&title);
    apt::ensure(crash::NEEDS)?;
    let kernel = Kernel::fetch(options.series, clock)?;
    clock.say("building kdump-soak for the guest");
    let program = programs::build()?.soak;
    let dir = repo::scratch("soak")?.join(options.label());
    fs::create_dir_all(&dir).context(dir.display())?;
    let initramfs = initramfs(&dir, &program, options.replay.as_deref())?;
    clock.say(&format!("booting Linux {}", kernel.release));
    let mut guest =
        Guest::spawn(command(&options, &kernel, &initramfs)?, &dir.join("console.log"), GAVE_UP, &[])?;
    while !guest.wait_for(&["soak: tried", "soak: done"], PATIENCE)?.contains("soak: done") {
        clock.say(guest.console().last().map_or("", String::as_str));
    }
    guest.wait_for_end(PATIENCE)?;
    let tidings = Tidings::read(guest.console())?;
    if let Some(file) = &options.record {
        fs::write(file, tidings.record(&kernel.release, &options.label())).context(file.display())?;
        clock.say(&format!("verdicts written to {}", file.display()));
    }
    for line in tidings.differing.iter().chain(&tidings.replayed) {
        println!("{line}");
    }
    if !tidings.differing.is_empty() {
        let file = dir.join("differing");
        fs::write(&file, tidings.differing.join("\n")).context(file.display())?;
        clock.say(&format!("to try these again: --replay {}", file.display()));
    }
    let rows = tidings.rows(options.replay.is_none());
    let title = format!("{title}, Linux {}, {:.0} s", kernel.release, clock.elapsed().as_secs_f32());
    progress::close(&title, &rows)
}

fn initramfs(dir: &Path, program: &Path, replay: Option<&Path>) -> Result<PathBuf> {
    let busybox = shell::find("busybox").context("busybox: no such program")?;
    let mut cpio = Cpio::of_guest(&["bin", "dev", "proc", "sys"], INIT, &busybox)?;
    cpio.program("bin/kdump-soak", &programs::stripped(program, dir)?);
    if let Some(replay) = replay {
        cpio.file("replay", &fs::read(replay).context(replay.display())?);
    }
    let path = dir.join("initramfs.cpio");
    fs::write(&path, cpio.finish()).context(path.display())?;
    Ok(path)
}

fn command(options: &Options, kernel: &Kernel, initramfs: &Path) -> Result<Command> {
    // The kernel explains every refusal, which takes longer than refusing.
    let Options { candidates, seed, .. } = options;
    let cmdline = format!(
        "console=ttyS0 loglevel=1 panic=-1 crashkernel={} soak.candidates={candidates} soak.seed={seed}",
        options.crashkernel
    );
    let cpu = options.cpu();
    let machine = Machine {
        program: "qemu-system-x86_64",
        options: &[],
        cpu: Some(&cpu),
        cpus: 1,
        memory_mib: options.mem_mib,
        kernel: &kernel.image,
        initramfs,
        cmdline: &cmdline,
    };
    machine.command()
}
