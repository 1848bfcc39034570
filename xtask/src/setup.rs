//! `cargo xtask setup`: everything the other commands need, installed beforehand.

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::Result;
use crate::progress::Clock;
use crate::{
    abi, bench, capi, consumers, crash, crash_note, formats, nostd, purgatory, rust, rust_kernel, targets,
    tools,
};

/// What tests of the crates compare with, or need to run at all.
const TEST_NEEDS: &[Need] = &[
    Need { what: "cc", package: "gcc" },
    Need { what: "/usr/sbin/kexec", package: "kexec-tools" },
    Need { what: "makedumpfile", package: "makedumpfile" },
    Need { what: "readelf", package: "binutils" },
    // Loaded by the comparison of the codecs.
    Need { what: "/usr/lib/x86_64-linux-gnu/liblzo2.so.2", package: "liblzo2-2" },
    Need { what: "/lib/x86_64-linux-gnu/libz.so.1", package: "zlib1g" },
    Need { what: "/usr/lib/x86_64-linux-gnu/libsnappy.so.1", package: "libsnappy1v5" },
    Need { what: "/usr/lib/x86_64-linux-gnu/libzstd.so.1", package: "libzstd1" },
    Need { what: "objdump", package: "binutils" },
    // The purgatories of i386, arm64 and ppc64le run, and the device tree of a plan is read by another program.
    Need { what: "qemu-aarch64-static", package: "qemu-user-static" },
    Need { what: "qemu-i386-static", package: "qemu-user-static" },
    Need { what: "qemu-system-i386", package: "qemu-system-x86" },
    Need { what: "qemu-system-aarch64", package: "qemu-system-arm" },
    Need { what: "qemu-system-ppc64", package: "qemu-system-ppc" },
    Need { what: "powerpc64le-linux-gnu-strip", package: "binutils-powerpc64le-linux-gnu" },
    Need { what: "powerpc64le-linux-gnu-gcc", package: "gcc-powerpc64le-linux-gnu" },
    Need { what: "/usr/powerpc64le-linux-gnu/lib/libc.a", package: "libc6-dev-ppc64el-cross" },
    Need { what: "aarch64-linux-gnu-strip", package: "binutils-aarch64-linux-gnu" },
    Need { what: "qemu-ppc64le-static", package: "qemu-user-static" },
    Need { what: "dtc", package: "device-tree-compiler" },
    Need { what: "gdb-multiarch", package: "gdb-multiarch" },
];

/// Everything.
pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let clock = Clock::start();
    machine(clock)?;
    clock.say("programs of crates.io");
    tools::prepare()?;
    kernels(clock)?;
    clock.say("ready: try cargo xtask crash");
    Ok(())
}

/// Installs programs and peers, and Rust targets and components.
pub(crate) fn machine(clock: Clock) -> Result {
    let mut needs = [crash::needs(), consumers::needs(), capi::needs()].concat();
    needs.extend([rust_kernel::NEEDS, abi::NEEDS, formats::NEEDS, bench::NEEDS, TEST_NEEDS].concat());
    clock.say("Debian packages");
    apt::ensure(&needs)?;
    clock.say("Rust targets and components");
    rust::ensure_components(None, &["clippy", "rustfmt"])?;
    rust::ensure_targets(nostd::TARGETS)?;
    rust::ensure_targets(crash_note::TARGETS)?;
    rust::ensure_targets(&purgatory::targets())?;
    rust::ensure_targets(crash::GUEST_TARGETS)?;
    targets::prepare()?;
    rust::nightly()?;
    rust::ensure_components(Some(rust::NIGHTLY), &["miri", "rust-src"])
}

/// Fetches what guests run.
pub(crate) fn kernels(clock: Clock) -> Result {
    clock.say("Debian kernels and kdump-tools, unpacked below the target directory");
    crash::fetch_packages(clock)
}
