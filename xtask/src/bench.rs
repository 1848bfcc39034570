//! `cargo xtask bench`: the benchmarks, optimised.

mod read;

use crate::error::Result;
use crate::{bench_save, crash, rust, shell};

pub(crate) use read::NEEDS;

/// `cargo xtask bench [NAME…]`: all benchmarks that need nothing, or the named ones. `read` and `save`
/// need dumps and peers, `capture` a guest; they are run only by their names. Further arguments go to the benchmark.
pub(crate) fn run(args: &[String]) -> Result {
    match args.split_first().map(|(name, rest)| (name.as_str(), rest)) {
        Some(("read", rest)) => return read::run(rest),
        Some(("save", rest)) => return bench_save::run(rest),
        Some(("capture", rest)) => return crash::capture_cost::run(rest),
        _ => {}
    }
    let mut cargo = rust::cargo()?;
    cargo.args(["run", "--quiet", "--release", "--package", "kdump-bench", "--"]);
    shell::run(cargo.args(args))
}
