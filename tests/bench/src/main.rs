//! Benchmarks that print ratios against a peer in the same run.
//!
//! `cargo xtask bench [NAME…]` runs all or the named ones. No figure gates anything.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "benchmarks print their figures")]

mod clock;
mod codec;
mod digest;
mod ffi;
mod planning;
mod reading;

use core::error::Error;
use std::process::ExitCode;

/// A benchmark: its name on the command line and what runs it.
type Bench = (&'static str, fn() -> Result<(), Box<dyn Error>>);

const ALL: &[Bench] = &[
    ("codec", codec::run),
    ("digest", digest::run),
    ("ffi", ffi::run),
    ("planning", planning::run),
    ("reading", reading::run),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let unknown = wanted.iter().find(|name| !ALL.iter().any(|(known, _)| known == name));
    if let Some(name) = unknown {
        let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("no benchmark {name:?}; there are {}", known.join(", "));
        return ExitCode::from(2);
    }
    for (name, run) in ALL {
        if !wanted.is_empty() && !wanted.iter().any(|want| want == name) {
            continue;
        }
        println!("== {name}");
        if let Err(error) = run() {
            eprintln!("{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
