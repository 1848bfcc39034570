//! `cargo xtask test`: everything a change must pass, one announced step after the other.

use crate::args::Args;
use crate::error::{Context, Error, Result};
use crate::progress::{self, Clock, Row};
use crate::{
    capi, consumers, crash, crash_note, formats, fuzz, header, layers, licences, nostd, purgatory, repo,
    rooms, rust, rust_kernel, setup, shell, soak, targets,
};

/// A step: its name, and its code.
type Step = (&'static str, fn() -> Result);

const STEPS: &[Step] = &[
    // First, because tests that need QEMU or a peer only say so where it is missing.
    ("setup", || setup::run(&[])),
    ("fmt", || cargo(&["fmt", "--all", "--check"])),
    ("clippy", clippy),
    ("test", || cargo(&["test", "--workspace", "--no-fail-fast"])),
    // Examples with tests of their own are compiled by the step above, but not run.
    ("examples", || cargo(&["test", "--workspace", "--examples"])),
    ("doc", doc),
    ("nostd", || nostd::run(&[])),
    ("crash-note", || crash_note::run(&[])),
    ("targets", || targets::run(&[])),
    ("layers", || layers::run(&[])),
    ("rooms", || rooms::run(&["--check".to_owned()])),
    ("licences", || licences::run(&[])),
    ("purgatory", || purgatory::run(&["--check".to_owned()]).map_err(Error::Failed)),
    ("header", || header::run(&["--check".to_owned()])),
    ("miri", miri),
    ("fuzz targets compile", fuzz::check),
    ("capi", || capi::run(&[])),
    ("rust-kernel lints", || rust_kernel::run(&["--lint".to_owned()])),
    ("rust-kernel", || rust_kernel::run(&[])),
    ("kexec-tools", || consumers::run_kexec_tools(&[])),
    ("preflight-soak 6.1", preflight_soak),
    ("crash 6.1", || crash::run(&["--kernel".to_owned(), "6.1".to_owned()])),
    ("crash 6.1 by kdump-tools", || crash::run(&["--kdump-tools".to_owned()])),
    ("crash-plugin", crash_plugin),
    ("formats", formats),
    ("load-matrix 6.1", || crash::load_matrix(&["--kernel".to_owned(), "6.1".to_owned()])),
];

/// The steps of `cargo xtask check`: those that find most mistakes in little time.
const QUICK: &[&str] =
    &["fmt", "clippy", "test", "doc", "nostd", "layers", "rooms", "licences", "purgatory", "header"];

/// Every step.
pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    steps(|_| true)
}

/// The quick steps.
pub(crate) fn check(args: &[String]) -> Result {
    Args::new(args).finish()?;
    steps(|name| QUICK.contains(&name))
}

/// Runs the steps that are wanted, also those behind a failed one.
fn steps(wanted: fn(&str) -> bool) -> Result {
    let clock = Clock::start();
    let mut rows = Vec::new();
    for (name, step) in STEPS.iter().filter(|(name, _)| wanted(name)) {
        clock.say(&format!("step {name}"));
        let own = Clock::start();
        let outcome = step();
        let took = format!("{:.0} s", own.elapsed().as_secs_f32());
        clock.say(&format!("step {name} took {took}"));
        if let Err(error) = &outcome {
            eprintln!("{name}: {error}");
        }
        rows.push(Row::of(name, outcome.map(|()| took)));
    }
    progress::close("steps", &rows)
}

/// The crash extension on the dump of the step "crash 6.1".
fn crash_plugin() -> Result {
    consumers::run_crash_plugin(&dump()?)
}

/// Other programs' formats, made of the same dump.
fn formats() -> Result {
    formats::run(&dump()?)
}

fn dump() -> Result<Vec<String>> {
    let dump = repo::scratch("crash")?.join("6.1-512M-2cpu-la57/disk/dump.elf");
    let dump = dump.to_str().context("the path of the dump is not UTF-8")?;
    Ok(vec!["--dump".to_owned(), dump.to_owned()])
}

/// A short run that any machine repeats.
fn preflight_soak() -> Result {
    let args = ["--kernel", "6.1", "--candidates", "1000", "--seed", "1"];
    soak::run(&args.map(str::to_owned))
}

fn clippy() -> Result {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn doc() -> Result {
    let mut cargo = rust::cargo()?;
    cargo.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    shell::run(&mut cargo)
}

/// kdump-elf, and what kdump-ffi-core does with pointers, under the interpreter that knows undefined
/// behaviour. Property tests draw few cases: the interpreter is slow, and `test` has drawn many.
fn miri() -> Result {
    interpret(&["--package", "kdump-elf"])?;
    // Its own unit tests, which need std; the C calls of its users are those of kdump-ffi's tests.
    interpret(&["--package", "kdump-ffi-core", "--features", "std", "--lib"])
}

fn interpret(what: &[&str]) -> Result {
    let mut cargo = rust::nightly()?;
    rust::ensure_components(Some(rust::NIGHTLY), &["miri", "rust-src"])?;
    cargo.args(["miri", "test"]).args(what);
    // proptest reads the clock and the directory of its regressions.
    cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "4");
    shell::run(&mut cargo)
}

fn cargo(args: &[&str]) -> Result {
    shell::run(rust::cargo()?.args(args))
}

#[cfg(test)]
mod tests {
    use super::{QUICK, STEPS};

    #[test]
    fn the_quick_steps_exist() {
        assert!(QUICK.iter().all(|quick| STEPS.iter().any(|(name, _)| name == quick)));
    }
}
