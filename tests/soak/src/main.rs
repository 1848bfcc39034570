//! Runs as root in a guest with a crash region: tries random crash loads and compares what the
//! kernel did with what the rules of kdump-segments predicted.
//!
//! `kdump-soak CANDIDATES SEED` or `kdump-soak --replay FILE`

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its caller")]

mod case;
mod generate;
mod kernel;
mod random;
mod report;
mod shape;
mod trial;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--replay", file] => trial::replay(file),
        [candidates, seed] => match (candidates.parse(), seed.parse()) {
            (Ok(candidates), Ok(seed)) => trial::soak(candidates, seed),
            _ => Err(std::io::Error::other("CANDIDATES and SEED are decimal numbers")),
        },
        _ => Err(std::io::Error::other("usage: kdump-soak CANDIDATES SEED | --replay FILE")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("soak: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
