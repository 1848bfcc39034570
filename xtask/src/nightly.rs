//! `cargo xtask nightly`: what takes too long to be run with every change.

mod mutants;

use crate::args::Args;
use crate::error::{Result, usage};
use crate::progress::{self, Clock, Row};
use crate::{capi, crash, formats, fuzz, guards, miri, rust, rust_kernel, shell, soak, targets};

/// Seconds for each fuzz target.
const SECONDS: u64 = 600;
/// Crates whose guards and mutants are looked at.
const CRATES: &[&str] = &["kdump-elf", "kdump-segments", "kdump-purgatory", "kdump-vmcore"];
/// Of the guards of each, in percent, how many the tests must notice when they are gone.
const GUARDS: &str = "92";

/// What is asked of the parts.
struct Wishes {
    seconds: u64,
    /// Guards of each crate; all when `None`.
    sample: Option<u64>,
    /// The part of the mutants of each crate, as cargo-mutants has it: `0/200` is the first of 200.
    shard: Option<String>,
    /// Of [`CRATES`], those whose guards and mutants are looked at.
    crates: Vec<&'static str>,
}

/// A part: its name, what it does, and its code.
struct Part {
    name: &'static str,
    about: &'static str,
    run: fn(&Wishes) -> Result,
}

const PARTS: &[Part] = &[
    Part {
        name: "fuzz",
        about: "every fuzz target for --seconds N (600), its coverage printed",
        run: |wishes| fuzz::run(&["--seconds".to_owned(), wishes.seconds.to_string()]),
    },
    Part {
        name: "guards",
        about: "each guard of the libraries taken away, or --sample N of each crate",
        run: all_guards,
    },
    Part {
        name: "mutants",
        about: "cargo-mutants on the libraries; --shard N/OF takes a part; survivors must be in xtask/mutants-accepted.txt",
        run: |wishes| mutants::run(&wishes.crates, wishes.shard.as_deref()),
    },
    Part {
        name: "miri",
        about: "kdump-elf, and all of kdump-vmcore that needs neither files nor C code, under Miri",
        run: |_| miri::whole(),
    },
    Part {
        name: "soak",
        about: "10 000 random crash loads on each kernel, with and without high regions",
        run: |_| each(SOAKS, soak::run),
    },
    Part {
        name: "load-matrix",
        about: "bad loads on each armed kernel",
        run: |_| each(KERNELS, crash::load_matrix),
    },
    Part {
        name: "region-sizes",
        about: "panics with crash regions of several sizes, on each kernel",
        run: |_| each(KERNELS, crash::run_region_sizes),
    },
    Part {
        name: "crash",
        about: "crashes of each kernel, with either paging, with backup, by each loader",
        run: |_| each(CRASHES, crash::run),
    },
    Part {
        name: "formats",
        about: "dumps of makedumpfile at every level, of QEMU and ours, of each kernel",
        run: |_| each(KERNELS, formats::run),
    },
    Part {
        name: "targets",
        about: "every test where words and byte order are others; all of it for the oldest Rust",
        run: |_| targets::run(&["--all".to_owned()]),
    },
    Part {
        name: "capi",
        about: "the C library as it is shipped: optimised as a whole",
        run: |_| capi::run(&["--shipped".to_owned()]),
    },
    Part { name: "loop-device", about: "saving to a real block device, as root", run: |_| loop_device() },
    Part {
        name: "rust-kernel",
        about: "the example kernel dies of every cause, on many CPUs too",
        run: |_| each(&[&["--all"]], rust_kernel::run),
    },
];

const KERNELS: &[&[&str]] = &[&["--kernel=6.1"], &["--kernel=6.12"]];
const SOAKS: &[&[&str]] = &[
    &["--kernel=6.1"],
    &["--kernel=6.1", "--no-la57", "--high-region"],
    &["--kernel=6.12"],
    &["--kernel=6.12", "--no-la57", "--no-gib-pages"],
];
const CRASHES: &[&[&str]] = &[
    &["--kernel=6.1"],
    &["--kernel=6.1", "--no-la57", "--backup"],
    &["--kernel=6.1", "--corrupt"],
    &["--kernel=6.1", "--loader=c"],
    &["--kernel=6.1", "--loader=kexec-tools+libkdump"],
    &["--kernel=6.12"],
    &["--kernel=6.12", "--no-la57", "--backup", "--cpus=4"],
    &["--kernel=6.12", "--corrupt"],
    &["--kernel=6.12", "--loader=c"],
];

/// The tests that need what not every machine lends.
fn loop_device() -> Result {
    let mut cargo = rust::cargo()?;
    shell::run(cargo.args(["test", "--package", "kdump", "--test", "faults", "--", "--ignored"]))
}

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    if args.flag("--help") || args.flag("-h") {
        help();
        return Ok(());
    }
    let only = args.value("--only")?;
    let wishes = Wishes {
        seconds: args.number("--seconds")?.unwrap_or(SECONDS),
        sample: args.number("--sample")?,
        shard: args.value("--shard")?,
        crates: crates(args.value("--crate")?.as_deref())?,
    };
    args.finish()?;
    let chosen = chosen(only.as_deref())?;
    let clock = Clock::start();
    let mut rows = Vec::new();
    for part in chosen {
        clock.say(&format!("part {}", part.name));
        let own = Clock::start();
        let outcome = (part.run)(&wishes);
        let took = format!("{:.0} s", own.elapsed().as_secs_f32());
        clock.say(&format!("part {} took {took}", part.name));
        rows.push(Row::of(part.name, outcome.map(|()| took)));
    }
    progress::close("nightly", &rows)
}

fn help() {
    println!(
        "Usage: cargo xtask nightly [--only PART,PART…] [--seconds N] [--sample N] \
         [--shard N/OF] [--crate NAME]\n\nParts:"
    );
    PARTS.iter().for_each(|part| println!("  {:14} {}", part.name, part.about));
}

/// The crate that is named; all when none is.
fn crates(only: Option<&str>) -> Result<Vec<&'static str>> {
    let crates: Vec<_> =
        CRATES.iter().copied().filter(|name| only.is_none_or(|only| only == *name)).collect();
    match only {
        Some(only) if crates.is_empty() => {
            Err(usage(format!("--crate {only}: it may be {}", CRATES.join(", "))))
        }
        _ => Ok(crates),
    }
}

/// The parts that are named, in the order of the list; all when none is.
fn chosen(only: Option<&str>) -> Result<Vec<&'static Part>> {
    let names: Option<Vec<&str>> = only.map(|only| only.split(',').collect());
    for name in names.iter().flatten() {
        if !PARTS.iter().any(|part| part.name == *name) {
            let known: Vec<_> = PARTS.iter().map(|part| part.name).collect();
            return Err(usage(format!("--only {name}: no such part; there are {}", known.join(", "))));
        }
    }
    Ok(PARTS.iter().filter(|part| names.as_ref().is_none_or(|names| names.contains(&part.name))).collect())
}

/// Runs a command once for each list of arguments, also those behind one that fails.
fn each(lists: &[&[&str]], command: fn(&[String]) -> Result) -> Result {
    let rows = lists.iter().map(|list| {
        let args: Vec<String> = list.iter().map(|&word| word.to_owned()).collect();
        Row::of(&list.join(" "), command(&args).map(|()| String::new()))
    });
    progress::close("runs", &rows.collect::<Vec<_>>())
}

fn all_guards(wishes: &Wishes) -> Result {
    let rows = wishes.crates.iter().map(|name| {
        let mut args = ["--crate", name, "--at-least", GUARDS].map(str::to_owned).to_vec();
        args.extend(wishes.sample.map(|sample| format!("--sample={sample}")));
        Row::of(name, guards::run(&args).map(|()| String::new()))
    });
    progress::close("guards", &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::{CRATES, PARTS, chosen, crates};

    #[test]
    fn parts_are_chosen_by_name() {
        let names = |only| chosen(only).unwrap().iter().map(|part| part.name).collect::<Vec<_>>();
        assert_eq!(names(None).len(), PARTS.len());
        assert_eq!(names(Some("soak,fuzz")), ["fuzz", "soak"]);
        assert!(chosen(Some("fuzz,sleep")).is_err());
        assert_eq!(crates(None).unwrap(), CRATES);
        assert_eq!(crates(Some("kdump-elf")).unwrap(), ["kdump-elf"]);
        assert!(crates(Some("kdump")).is_err());
    }

    /// What would be refused only hours later.
    #[test]
    fn the_runs_are_ones_that_the_commands_take() {
        for run in super::CRASHES.iter().chain(super::KERNELS) {
            let args: Vec<String> = run.iter().map(|&word| word.to_owned()).collect();
            assert!(crate::crash::options::Options::parse(&args).is_ok(), "{run:?}");
        }
        for run in super::SOAKS {
            let args: Vec<String> = run.iter().map(|&word| word.to_owned()).collect();
            assert!(crate::soak::options::Options::parse(&args).is_ok(), "{run:?}");
        }
    }
}
