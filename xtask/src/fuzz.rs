//! `cargo xtask fuzz`: every fuzz target for a while.

use std::fs;

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
        rows.push(Row::of(&target, one(&target, seconds)));
    }
    progress::close("fuzz targets", &rows)
}

/// Compiles every target without running it.
pub(crate) fn check() -> Result {
    let mut cargo = rust::nightly()?;
    shell::run(cargo.args(["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--bins"]))
}

/// Runs a target; says what it reached.
fn one(target: &str, seconds: u64) -> Result<String> {
    let mut cargo = rust::nightly()?;
    cargo.args(["fuzz", "run", target, "--", "-print_pcs=0", &format!("-max_total_time={seconds}")]);
    let output = shell::capture(&mut cargo)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(failed(format!("{}\n{}", output.status, last_lines(&said, 60))));
    }
    let reached = coverage(&said).context("libFuzzer does not say what it reached")?;
    Ok(format!("{seconds} s without a finding; {reached}"))
}

/// The edges of the program and the inputs that reach them, of the last line in which libFuzzer says so.
fn coverage(said: &str) -> Option<String> {
    let line = said.lines().rfind(|line| line.starts_with('#') && line.contains(" cov: "))?;
    let number = |name: &str| line.split_once(name)?.1.split_whitespace().next();
    Some(format!("{} edges, {} inputs", number(" cov: ")?, number(" corp: ")?))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n")
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

#[cfg(test)]
mod tests {
    use super::{coverage, last_lines};

    #[test]
    fn the_last_coverage_is_told() {
        let said = "INFO: x\n#2\tINITED cov: 3 ft: 4 corp: 1/1b\n#9\tDONE   cov: 812 ft: 900 corp: 24/17Kb lim: 4\nDone 9";
        assert_eq!(coverage(said).unwrap(), "812 edges, 24/17Kb inputs");
        assert_eq!(coverage("INFO: nothing"), None);
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
    }
}
