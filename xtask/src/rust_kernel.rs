//! `cargo xtask rust-kernel`: the example kernel dies of every cause in QEMU, captures itself, and
//! the dumps are checked against what it said while it was alive. `--all` adds the scenarios that are
//! slow or differ little, `--sizes` weighs the crates, `--lint` checks the example's sources.

mod build;
mod checks;
mod core_file;
mod gdb;
mod guest;
mod scenario;
mod sizes;
mod stream;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};

use build::Build;
use scenario::{SCENARIOS, Scenario};

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::{Context, Result, usage};
use crate::progress::{self, Clock, Row};
use crate::repo;

/// As many as the local APIC of QEMU can number.
const MAX_CPUS: usize = 255;

pub(crate) const NEEDS: &[Need] = &[
    Need { what: "qemu-system-x86_64", package: "qemu-system-x86" },
    Need { what: "gdb", package: "gdb" },
    Need { what: "strip", package: "binutils" },
];

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let wanted = args.value("--cause")?;
    let keep = args.value("--keep")?;
    let (sizes, lint, all) = (args.flag("--sizes"), args.flag("--lint"), args.flag("--all"));
    let cpus = args.number("--cpus")?.map_or(Ok(2), usize::try_from).context("--cpus")?;
    args.finish()?;
    if !(2..=MAX_CPUS).contains(&cpus) {
        return Err(usage(format!("--cpus {cpus}: 2 to {MAX_CPUS} can be had")));
    }
    let chosen = choose(wanted.as_deref(), all)?;
    apt::ensure(NEEDS)?;
    if lint {
        return build::lint();
    }
    if sizes {
        return sizes::print();
    }
    let clock = Clock::start();
    clock.say("building the kernel and the tool that reads its dumps");
    let dir = match keep {
        Some(dir) => PathBuf::from(dir),
        None => repo::scratch("rust-kernel")?,
    };
    fs::create_dir_all(&dir).context(dir.display())?;
    let build = Build::make(&dir)?;
    let mut rows = Vec::new();
    for scenario in chosen {
        clock.say(scenario.name);
        rows.extend(run_one(scenario, &build, cpus, &dir));
    }
    if wanted.is_none() {
        clock.say("guest core of a virtual machine monitor");
        rows.push(Row::of("kdump-elf: example vmm_core", checks::guest_core(&build, &dir)));
    }
    clock.say("done");
    progress::close("rust-kernel", &rows)
}

fn choose(name: Option<&str>, all: bool) -> Result<Vec<&'static Scenario>> {
    let Some(name) = name else {
        return Ok(SCENARIOS.iter().filter(|scenario| all || scenario.always).collect());
    };
    match SCENARIOS.iter().find(|scenario| scenario.name == name) {
        Some(scenario) => Ok(vec![scenario]),
        None => {
            let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            Err(usage(format!("--cause {name}: it is one of {}", known.join(", "))))
        }
    }
}

/// One crash in a directory of its own, and what was found out about it.
fn run_one(scenario: &Scenario, build: &Build, cpus: usize, dir: &Path) -> Vec<Row> {
    if scenario.x2apic {
        match guest::x2apic() {
            Ok(Ok(())) => {}
            Ok(Err(version)) => {
                let why = format!("{version} cannot emulate x2APIC; 9.0 can");
                return vec![Row::untested(scenario.name, &why)];
            }
            Err(error) => return vec![Row::of(scenario.name, Err(error))],
        }
    }
    let dir = dir.join(scenario.name);
    let outcome =
        fs::create_dir_all(&dir).context(dir.display()).and_then(|()| scenario.run(build, cpus, &dir));
    match outcome {
        Ok(run) => checks::all(scenario, build, &run),
        Err(error) => vec![Row::of(scenario.name, Err(error))],
    }
}
