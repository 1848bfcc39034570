//! `cargo xtask fuzz`: every fuzz target for a while.

use core::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::progress::{self, Clock, Row};
use crate::{repo, rust, shell};

const SECONDS: u64 = 60;
/// Named, although it is the machine itself: flags then do not reach what runs while building.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What libFuzzer needs to see which edges, comparisons and depths an input reaches, and the address
/// sanitizer: what cargo-fuzz 0.13 sets by itself.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];
/// The program of all targets, and what tells it which one to run.
const PROGRAM: &str = "all";
const CHOICE: &str = "KDUMP_FUZZ_TARGET";
/// Seconds one input may take on a busy machine.
const PATIENCE: u64 = 120;
/// Of an input that was found, how many bytes an error shows.
const SHOWN: usize = 256;

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let seconds = args.number("--seconds")?.unwrap_or(SECONDS);
    let only = args.value("--only")?;
    args.finish()?;
    build()?;
    let wanted = |name: &String| only.as_ref().is_none_or(|only| only.split(',').any(|only| only == name));
    several(targets()?.into_iter().filter(wanted), seconds)
}

/// The targets of one of `parts` equal parts, which [`build`] has compiled.
pub(crate) fn part(part: usize, parts: usize, seconds: u64) -> Result {
    several(targets()?.into_iter().skip(part).step_by(parts), seconds)
}

/// Compiles the program of all targets with what the fuzzer needs.
pub(crate) fn build() -> Result {
    let mut cargo = rust::nightly()?;
    cargo.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    cargo.args(["--features", "one-program", "--bin", PROGRAM]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(built()?);
    shell::run(cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f")))
}

fn built() -> Result<PathBuf> {
    Ok(repo::target()?.join("fuzz"))
}

fn several(targets: impl Iterator<Item = String>, seconds: u64) -> Result {
    let clock = Clock::start();
    let mut rows = Vec::new();
    for target in targets {
        clock.say(&format!("fuzzing {target} for {seconds} s"));
        rows.push(Row::of(&target, one(&target, seconds)));
    }
    progress::close("fuzz targets", &rows)
}

/// Runs a target; says what it reached. Inputs and what it finds are kept where cargo-fuzz keeps them.
fn one(target: &str, seconds: u64) -> Result<String> {
    let home = repo::root()?.join("fuzz");
    let (corpus, artifacts) = (home.join("corpus").join(target), home.join("artifacts").join(target));
    for dir in [&corpus, &artifacts] {
        fs::create_dir_all(dir).context(dir.display())?;
    }
    let mut program = Command::new(built()?.join(TARGET).join("release").join(PROGRAM));
    program.env(CHOICE, target);
    program.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={PATIENCE}"));
    program.arg("-print_pcs=0").arg(format!("-artifact_prefix={}/", artifacts.display())).arg(&corpus);
    // As cargo-fuzz has it: one crate may be linked twice.
    program.env("ASAN_OPTIONS", "detect_odr_violation=0");
    let output = shell::capture(&mut program)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let found = finding(&said).map_or_else(|| "no input was kept".to_owned(), describe);
        return Err(failed(format!("{}\n{}\n{found}", output.status, last_lines(&said, 60))));
    }
    let reached = coverage(&said).context("libFuzzer does not say what it reached")?;
    Ok(format!("{seconds} s without a finding; {reached}"))
}

/// The file libFuzzer wrote the input to that it ended with.
fn finding(said: &str) -> Option<&Path> {
    let (_, path) = said.lines().rev().find_map(|line| line.split_once("Test unit written to "))?;
    Some(Path::new(path.trim_end()))
}

/// The path and the bytes, of long inputs the first.
fn describe(input: &Path) -> String {
    match fs::read(input) {
        Ok(bytes) => format!("{}: {}", input.display(), hex(&bytes)),
        Err(error) => format!("{}: {error}", input.display()),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = format!("{} bytes: ", bytes.len());
    for byte in bytes.iter().take(SHOWN) {
        // A String takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > SHOWN {
        text.push('…');
    }
    text
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
        .filter(|name| name != PROGRAM)
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(failed(format!("{}: no fuzz target", dir.display())));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{coverage, finding, hex, last_lines, targets};
    use crate::repo;

    /// A file that is no part of the program would be built by cargo-fuzz alone.
    #[test]
    fn the_program_has_every_target() {
        let text = fs::read_to_string(repo::root().unwrap().join("fuzz/fuzz_targets/all.rs")).unwrap();
        for name in targets().unwrap() {
            assert!(text.contains(&format!("mod {name};")), "{name}");
            assert!(text.contains(&format!("\"{name}\" => {name}::run,")), "{name}");
        }
    }

    #[test]
    fn the_last_coverage_is_told() {
        let said = "INFO: x\n#2\tINITED cov: 3 ft: 4 corp: 1/1b\n#9\tDONE   cov: 812 ft: 900 corp: 24/17Kb lim: 4\nDone 9";
        assert_eq!(coverage(said).unwrap(), "812 edges, 24/17Kb inputs");
        assert_eq!(coverage("INFO: nothing"), None);
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
    }

    #[test]
    fn the_input_of_a_finding_is_shown() {
        let said = "==1== ERROR\nartifact_prefix='/a/'; Test unit written to /a b/crash-00\nBase64: AA==";
        assert_eq!(finding(said).unwrap().to_str(), Some("/a b/crash-00"));
        assert!(finding("Done 9 runs").is_none());
        assert_eq!(hex(&[0, 0xAB]), "2 bytes: 00ab");
        assert!(hex(&[1; 300]).ends_with("01…") && hex(&[1; 300]).len() < 540);
    }
}
