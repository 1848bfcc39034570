//! `cargo xtask bench`: the benchmarks, optimised.

use crate::error::Result;
use crate::{rust, shell};

/// Arguments go to the benchmarks unchanged.
pub(crate) fn run(args: &[String]) -> Result {
    let mut cargo = rust::cargo()?;
    cargo.args(["run", "--quiet", "--release", "--package", "kdump-bench", "--"]);
    shell::run(cargo.args(args))
}
