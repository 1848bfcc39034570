//! `cargo xtask nostd`: the libraries build where there is no operating system.

use crate::args::Args;
use crate::error::Result;
use crate::{rust, shell};

const LIBRARIES: &[&str] = &["kdump-elf", "kdump-segments", "kdump-purgatory", "kdump-vmcore"];
/// What works without std beyond the libraries as they are: the codecs of kdump-vmcore that need
/// neither std nor a C library.
const FEATURES: &[(&str, &str)] = &[("kdump-vmcore", "lzo,zlib,zstd-decode")];
pub(crate) const TARGETS: &[&str] = &["x86_64-unknown-none", "aarch64-unknown-none"];

pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    rust::ensure_targets(TARGETS)?;
    for target in TARGETS {
        // One library at a time: together they would share the features that any of them asks for.
        let plain = LIBRARIES.iter().map(|library| (*library, ""));
        for (library, features) in plain.chain(FEATURES.iter().copied()) {
            let mut cargo = rust::cargo()?;
            // Machine code for such a target is made by crash-note, rust-kernel and capi.
            cargo.args(["check", "--quiet", "--lib", "--no-default-features", "--features", features]);
            // For these targets nothing else is checked that other flags would have made anew.
            cargo.env("RUSTFLAGS", "-Dwarnings");
            shell::run(cargo.args(["--package", library, "--target", target]))?;
            println!("nostd: {library} for {target} {features}");
        }
    }
    Ok(())
}

/// What such a build reads, tried where tests can run. It is not worth optimising for that.
pub(crate) fn codecs() -> Result {
    for features in ["", "lzo", "lzo,zlib,zstd-decode"] {
        let mut cargo = rust::cargo()?;
        cargo.args(["test", "--quiet", "--package", "kdump-vmcore", "--test", "codecs"]);
        cargo.args(["--config", "profile.dev.package.kdump-vmcore.opt-level=0"]);
        shell::run(cargo.args(["--no-default-features", "--features", features]))?;
        println!("nostd: kdump-vmcore reads with codecs {features:?}");
    }
    Ok(())
}
