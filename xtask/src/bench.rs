//! `cargo xtask bench`: the benchmarks, optimised.

use crate::error::Result;
use crate::{bench_save, rust, shell};

/// Arguments go to the benchmarks unchanged, but `save` with its own.
pub(crate) fn run(args: &[String]) -> Result {
    if let Some((_, args)) = args.split_first().filter(|(first, _)| *first == "save") {
        return bench_save::run(args);
    }
    let mut cargo = rust::cargo()?;
    cargo.args(["run", "--quiet", "--release", "--package", "kdump-bench", "--"]);
    shell::run(cargo.args(args))
}
