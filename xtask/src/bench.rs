//! `cargo xtask bench`: the benchmarks, optimised.

mod read;

use crate::error::Result;
use crate::{rust, shell};

pub(crate) use read::NEEDS;

/// `cargo xtask bench [NAME…]`: all benchmarks that need nothing, or the named ones. `read` needs a
/// guest and peers, and is run only by its name. Further arguments go to the benchmark.
pub(crate) fn run(args: &[String]) -> Result {
    if let Some((_, rest)) = args.split_first().filter(|(name, _)| *name == "read") {
        return read::run(rest);
    }
    let mut cargo = rust::cargo()?;
    cargo.args(["run", "--quiet", "--release", "--package", "kdump-bench", "--"]);
    shell::run(cargo.args(args))
}
