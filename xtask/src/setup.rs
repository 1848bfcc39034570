//! `cargo xtask setup`: everything the other commands need, installed beforehand.

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::Result;
use crate::progress::Clock;
use crate::{abi, capi, consumers, crash, nostd, rust, rust_kernel, targets};

/// What tests of the crates compare with, or need to run at all.
const TEST_NEEDS: &[Need] = &[
    Need { what: "cc", package: "gcc" },
    Need { what: "/usr/sbin/kexec", package: "kexec-tools" },
    Need { what: "readelf", package: "binutils" },
    Need { what: "objdump", package: "binutils" },
];

/// Installs the programs and peers, the Rust targets and components, and fetches the kernels.
pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let clock = Clock::start();
    let mut needs = [crash::needs(), consumers::needs(), capi::needs()].concat();
    needs.extend([rust_kernel::NEEDS, abi::NEEDS, TEST_NEEDS].concat());
    clock.say("Debian packages");
    apt::ensure(&needs)?;
    clock.say("Rust targets and components");
    rust::ensure_components(None, &["clippy", "rustfmt"])?;
    rust::ensure_targets(nostd::TARGETS)?;
    rust::ensure_targets(&[crash::GUEST_TARGET])?;
    targets::prepare()?;
    rust::nightly()?;
    rust::ensure_components(Some(rust::NIGHTLY), &["miri", "rust-src"])?;
    clock.say("Debian kernels, unpacked below the target directory");
    crash::fetch_kernels(clock)?;
    clock.say("ready: try cargo xtask crash");
    Ok(())
}
