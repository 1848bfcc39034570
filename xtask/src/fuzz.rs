//! `cargo xtask fuzz`: every fuzz target for a while.

use std::fs;
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::progress::{self, Clock, Row};
use crate::{repo, rust, shell};

const SECONDS: u64 = 60;

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let seconds = args.number("--seconds")?.unwrap_or(SECONDS);
    args.finish()?;
    if shell::find("cargo-fuzz").is_none() {
        println!("installing cargo-fuzz");
        shell::run(rust::cargo()?.args(["install", "--quiet", "--locked", "cargo-fuzz"]))?;
    }
    let clock = Clock::start();
    let mut rows = Vec::new();
    for target in targets()? {
        clock.say(&format!("fuzzing {target} for {seconds} s"));
        let outcome = shell::run(&mut one(&target, seconds)?);
        rows.push(Row::of(&target, outcome.map(|()| format!("{seconds} s without a finding"))));
    }
    progress::close("fuzz targets", &rows)
}

/// Compiles every target without running it.
pub(crate) fn check() -> Result {
    let mut cargo = rust::nightly()?;
    shell::run(cargo.args(["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--bins"]))
}

fn one(target: &str, seconds: u64) -> Result<Command> {
    let mut cargo = rust::nightly()?;
    cargo.args(["fuzz", "run", target, "--", "-verbosity=0"]);
    cargo.arg(format!("-max_total_time={seconds}"));
    Ok(cargo)
}

/// The names of the files in fuzz/fuzz_targets.
fn targets() -> Result<Vec<String>> {
    let dir = repo::root()?.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&dir).context(dir.display())?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(failed(format!("{}: no fuzz target", dir.display())));
    }
    Ok(names)
}
