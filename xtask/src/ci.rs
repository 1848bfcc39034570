//! `cargo xtask test`: everything a change must pass, in three lanes side by side.

mod lanes;
mod process;

use std::collections::BTreeSet;

use crate::args::Args;
use crate::error::{Context, Error, Result, usage};
use crate::progress::{self, Clock, Row};
use crate::{
    capi, consumers, crash, crash_note, formats, fuzz, header, layers, licences, metadata, miri, nostd,
    purgatory, repo, rooms, rust, rust_kernel, setup, shell, soak, targets, tools,
};
use lanes::{Lane, Step};
use process::Builds;

/// Seconds for each fuzz target: enough to run through what is seeded. `nightly` searches.
const FUZZ_SECONDS: u64 = 8;
/// Into how many steps the fuzz targets are dealt, so that all lanes end together.
const FUZZ_PARTS: usize = 4;

const STEPS: &[Step] = &[
    // First, because tests that need QEMU or a peer fail where it is missing.
    behind("setup", Lane::Any, &[], || setup::machine(Clock::start())),
    step("fmt", Lane::Builds, || cargo(&["fmt", "--all", "--check"])),
    step("clippy", Lane::Builds, clippy),
    step("test", Lane::Builds, test),
    step("layers", Lane::Builds, || layers::run(&[])),
    step("rooms", Lane::Builds, || rooms::run(&["--check".to_owned()])),
    // What others wait for, then the long ones, and last the short ones, so that all lanes end together.
    step("tools", Lane::Any, tools::prepare),
    step("fuzz build", Lane::Any, fuzz::build),
    behind("header", Lane::Builds, &["tools"], || header::run(&["--check".to_owned()])),
    step("kernels", Lane::Guests, || setup::kernels(Clock::start())),
    behind("capi", Lane::Builds, &["tools", "kernels"], || capi::run(&[])),
    step("i686", Lane::Builds, || targets::of("i686")),
    step("s390x", Lane::Builds, || targets::of("s390x")),
    step("other targets", Lane::Builds, || targets::of("check for")),
    step("cost and faults", Lane::Builds, costly),
    step("nostd", Lane::Builds, || nostd::run(&[])),
    step("doc", Lane::Builds, doc),
    step("codecs", Lane::Builds, nostd::codecs),
    guest("crash 6.1", || crash::run(&["--kernel".to_owned(), "6.1".to_owned()])),
    guest("crash arm64 6.1", || crash::run(&["--arch".to_owned(), "arm64".to_owned()])),
    guest("crash i386-pae 6.1", crash_i386),
    guest("crash ppc64le 6.1", || crash::run(&["--arch".to_owned(), "ppc64le".to_owned()])),
    guest("rust-kernel", || rust_kernel::run(&[])),
    behind("formats", Lane::Guests, &["crash 6.1"], formats),
    guest("crash 6.1 by kdump-tools", || crash::run(&["--kdump-tools".to_owned()])),
    // These install the C library, which capi does from scratch.
    behind("kexec-tools", Lane::Guests, &["capi"], || consumers::run_kexec_tools(&[])),
    behind("crash-plugin", Lane::Guests, &["crash 6.1", "capi"], crash_plugin),
    guest("preflight-soak 6.1", preflight_soak),
    behind("fuzz 1", Lane::Any, &["fuzz build"], || fuzz::part(0, FUZZ_PARTS, FUZZ_SECONDS)),
    behind("fuzz 2", Lane::Any, &["fuzz build"], || fuzz::part(1, FUZZ_PARTS, FUZZ_SECONDS)),
    behind("fuzz 3", Lane::Any, &["fuzz build"], || fuzz::part(2, FUZZ_PARTS, FUZZ_SECONDS)),
    behind("fuzz 4", Lane::Any, &["fuzz build"], || fuzz::part(3, FUZZ_PARTS, FUZZ_SECONDS)),
    step("miri", Lane::Any, miri::short),
    step("minimum", Lane::Any, || targets::of("with Rust")),
    step("crash-note", Lane::Any, || crash_note::run(&[])),
    step("rust-kernel lints", Lane::Any, || rust_kernel::run(&["--lint".to_owned()])),
    step("purgatory", Lane::Any, || purgatory::run(&["--check".to_owned()]).map_err(Error::Failed)),
    behind("licences", Lane::Any, &["tools"], || licences::run(&[])),
];

/// With the first 640 KiB read back from their copy.
fn crash_i386() -> Result {
    crash::run(&["--arch".to_owned(), "i386-pae".to_owned(), "--backup".to_owned()])
}

const fn step(name: &'static str, lane: Lane, run: fn() -> Result) -> Step {
    behind(name, lane, &["setup"], run)
}

/// A step with Debian's kernels.
const fn guest(name: &'static str, run: fn() -> Result) -> Step {
    behind(name, Lane::Guests, &["kernels"], run)
}

const fn behind(name: &'static str, lane: Lane, needs: &'static [&'static str], run: fn() -> Result) -> Step {
    Step { name, lane, needs, run }
}

/// The steps of `cargo xtask check`: those that find most mistakes in little time.
const QUICK: &[&str] = &["fmt", "clippy", "test", "doc", "nostd", "layers", "rooms", "purgatory", "header"];
/// Of them those that take longest, one behind the other: while tests run, the others build.
const LONG: &[&str] = &["fmt", "clippy", "test"];

/// The tests that let the tool work on what costs most and fail wherever it can fail: unoptimised they
/// take more time of a processor than all others together.
const COSTLY: (&str, &[&str]) = ("kdump", &["cost", "faults"]);

/// Every step, or with `--only STEP,STEP…` these, each in a process of its own whose output is shown
/// when it has ended; a single step here and now.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let only = args.value("--only")?;
    args.finish()?;
    let steps = only.map_or_else(|| Ok(STEPS.iter().collect()), |only| chosen(&only))?;
    if steps.len() == 1 {
        return one_by_one(&steps);
    }
    side_by_side(&steps, Builds::Once)
}

/// The quick steps.
pub(crate) fn check(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let lane = |step: &Step| if LONG.contains(&step.name) { Lane::Builds } else { Lane::Any };
    let quick = STEPS.iter().filter(|step| QUICK.contains(&step.name));
    let steps: Vec<Step> = quick.map(|step| Step { lane: lane(step), ..*step }).collect();
    side_by_side(&steps.iter().collect::<Vec<_>>(), Builds::Again)
}

fn side_by_side(steps: &[&Step], builds: Builds) -> Result {
    let clock = Clock::start();
    let dir = repo::scratch("steps")?;
    let rows = lanes::run(steps, &|step| process::run(step.name, &dir, builds, clock));
    progress::close(&format!("steps, {:.0} s", clock.elapsed().as_secs_f32()), &rows)
}

/// The steps that are named, in the order of the table.
fn chosen(only: &str) -> Result<Vec<&'static Step>> {
    let names: Vec<&str> = only.split(',').collect();
    if let Some(name) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        return Err(usage(format!("--only {name}: no such step; there are {}", known.join(", "))));
    }
    Ok(STEPS.iter().filter(|step| names.contains(&step.name)).collect())
}

/// Runs steps with the terminal of this process, also those behind a failed one.
fn one_by_one(steps: &[&Step]) -> Result {
    let clock = Clock::start();
    let mut rows = Vec::new();
    for step in steps {
        clock.say(&format!("step {}", step.name));
        let (own, before) = (Clock::start(), process::cpu_seconds());
        let outcome = (step.run)();
        let spent = process::cpu_seconds().saturating_sub(before);
        let took = format!("{:.0} s, {spent} s of processor time", own.elapsed().as_secs_f32());
        clock.say(&format!("step {} took {took}", step.name));
        if let Err(error) = &outcome {
            eprintln!("{}: {error}", step.name);
        }
        rows.push(Row::of(step.name, outcome.map(|()| took)));
    }
    progress::close("steps", &rows)
}

/// The crash extension on the dump of the step "crash 6.1".
fn crash_plugin() -> Result {
    consumers::run_crash_plugin(&dump()?)
}

/// Other programs' formats, made of the same dump.
fn formats() -> Result {
    formats::run(&[dump()?, vec!["--few-levels".to_owned()]].concat())
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

/// All tests but [`COSTLY`], those of the examples too.
fn test() -> Result {
    let mut cargo = rust::cargo()?;
    cargo.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--examples"]);
    let (of, costly) = COSTLY;
    let quick = |(package, test): &(String, String)| package != of || !costly.contains(&test.as_str());
    let files: BTreeSet<String> =
        metadata::tests()?.into_iter().filter(quick).map(|(_, test)| test).collect();
    files.iter().for_each(|test| _ = cargo.args(["--test", test]));
    let outcome = shell::run(&mut cargo);
    self::cargo(&["test", "--workspace", "--no-fail-fast", "--doc"])?;
    outcome
}

/// [`COSTLY`], by the program that the formats are compared with. What it takes on a loaded machine is
/// written, not judged: `amplify` does that.
fn costly() -> Result {
    let (package, tests) = COSTLY;
    let mut cargo = rust::cargo()?;
    cargo.args(["test", "--no-fail-fast", "--profile", "lab", "--package", package]);
    tests.iter().for_each(|test| _ = cargo.args(["--test", test]));
    shell::run(cargo.env("KDUMP_COST_TABLE", repo::scratch("cost")?.join("table")))
}

fn clippy() -> Result {
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

fn doc() -> Result {
    let mut cargo = rust::cargo()?;
    cargo.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    shell::run(&mut cargo)
}

fn cargo(args: &[&str]) -> Result {
    shell::run(rust::cargo()?.args(args))
}

#[cfg(test)]
mod tests {
    use super::{COSTLY, LONG, QUICK, STEPS, chosen, metadata};

    /// One that was renamed would be run unoptimised again; one that was moved, not at all.
    #[test]
    fn the_costly_tests_exist() {
        let (package, tests) = COSTLY;
        let known = metadata::tests().unwrap();
        for test in tests {
            let owners: Vec<_> = known.iter().filter(|(_, name)| name == test).collect();
            assert!(owners.len() == 1 && owners[0].0 == package, "{test}: {owners:?}");
        }
    }

    #[test]
    fn the_quick_steps_exist() {
        assert!(QUICK.iter().all(|quick| STEPS.iter().any(|step| step.name == *quick)));
        assert!(LONG.iter().all(|long| QUICK.contains(long)));
    }

    /// A need further down, or of another name, would be waited for in vain or not at all.
    #[test]
    fn what_a_step_needs_stands_above_it() {
        for (index, step) in STEPS.iter().enumerate() {
            assert!(!step.name.contains(','), "{}", step.name);
            for need in step.needs {
                assert!(STEPS[..index].iter().any(|above| above.name == *need), "{}: {need}", step.name);
            }
        }
    }

    #[test]
    fn steps_are_chosen_by_name() {
        let names: Vec<_> = chosen("crash 6.1,clippy").unwrap().iter().map(|step| step.name).collect();
        assert_eq!(names, ["clippy", "crash 6.1"]);
        assert!(chosen("clippy,sleep").is_err());
    }
}
