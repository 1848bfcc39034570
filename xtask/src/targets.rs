//! `cargo xtask targets`: the minimum compiler, the other word sizes and the other byte order.
//!
//! Everything is compiled by the oldest Rust that is promised; the libraries with std are checked
//! for every target a distribution builds them for; unit tests run where a word has 32 bits and
//! where the byte order is the other one, under QEMU's user emulation where the machine needs it.

use std::process::{Command, Stdio};

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::Result;
use crate::progress::{self, Clock, Row};
use crate::{repo, rust, shell};

/// `rust-version` of Cargo.toml.
const MINIMUM: &str = "1.85.0";

/// Targets the libraries are checked for.
const CHECKED: &[&str] = &[
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "i686-unknown-linux-gnu",
    "powerpc64le-unknown-linux-gnu",
    "riscv64gc-unknown-linux-gnu",
    "s390x-unknown-linux-gnu",
];

/// A target whose tests run here: its linker, the place of its libraries, and the emulator.
struct Emulated {
    target: &'static str,
    linker: &'static str,
    libraries: &'static str,
    emulator: &'static str,
    /// Starts programs of the target where the machine runs them itself.
    loader: &'static str,
}

impl Emulated {
    /// Most x86_64 machines run i686 themselves, eight times as fast as the emulator. Where programs of
    /// other machines are given to an emulator by the kernel, this finds the same.
    fn runs_without(&self) -> bool {
        let mut loader = Command::new(self.loader);
        loader.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        loader.status().is_ok_and(|status| status.success())
    }
}

const EMULATED: &[Emulated] = &[
    Emulated {
        target: "i686-unknown-linux-gnu",
        linker: "i686-linux-gnu-gcc",
        libraries: "/usr/i686-linux-gnu",
        emulator: "qemu-i386-static",
        loader: "/usr/i686-linux-gnu/lib/ld-linux.so.2",
    },
    Emulated {
        target: "s390x-unknown-linux-gnu",
        linker: "s390x-linux-gnu-gcc",
        libraries: "/usr/s390x-linux-gnu",
        emulator: "qemu-s390x-static",
        loader: "/usr/s390x-linux-gnu/lib/ld64.so.1",
    },
];

/// The C compilers are for zstd, which the tests are linked with, and link them.
pub(crate) const NEEDS: &[Need] = &[
    Need { what: "pkg-config", package: "pkg-config" },
    Need { what: "/usr/include/zstd.h", package: "libzstd-dev" },
    Need { what: "qemu-s390x-static", package: "qemu-user-static" },
    Need { what: "i686-linux-gnu-gcc", package: "gcc-i686-linux-gnu" },
    Need { what: "/usr/i686-linux-gnu/lib/libc.so.6", package: "libc6-dev-i386-cross" },
    Need { what: "s390x-linux-gnu-gcc", package: "gcc-s390x-linux-gnu" },
    Need { what: "/usr/s390x-linux-gnu/lib/libc.so.6", package: "libc6-dev-s390x-cross" },
];

/// What has std and is not tied to the machine it is built on.
const LIBRARIES: &[&str] = &["kdump-elf", "kdump-segments", "kdump-purgatory", "kdump-vmcore", "kdump-ffi"];
/// Of these, what is tested under emulation: kdump-purgatory runs its x86_64 objects.
const TESTED: &[&str] = &["kdump-elf", "kdump-segments", "kdump-vmcore"];

pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let only = args.value("--only")?;
    args.finish()?;
    prepare()?;
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    let clock = Clock::start();
    let mut rows = Vec::new();
    let mut step = |name: String, work: &dyn Fn() -> Result| {
        if wanted(&name) {
            clock.say(&name);
            rows.push(Row::of(&name, work().map(|()| String::new())));
        }
    };
    step(format!("check with Rust {MINIMUM}"), &minimum);
    step(format!("check for {}", CHECKED.join(", ")), &|| check(CHECKED));
    for emulated in EMULATED {
        step(format!("test on {}", emulated.target), &|| test(emulated));
    }
    progress::close("targets", &rows)
}

/// Installs the compilers, standard libraries and emulators.
pub(crate) fn prepare() -> Result {
    apt::ensure(NEEDS)?;
    rust::ensure_toolchain(MINIMUM)?;
    rust::ensure_targets(CHECKED)
}

/// The whole workspace, tests included, with the oldest compiler that is promised. What it builds
/// stands in a place of its own: two compilers in one would build everything anew at every turn.
fn minimum() -> Result {
    let mut cargo = rust::cargo_of(MINIMUM)?;
    cargo.args(["check", "--quiet", "--workspace", "--all-targets"]);
    shell::run(unlinked(&mut cargo).arg("--target-dir").arg(repo::scratch("minimum")?))
}

/// All targets in one call: what runs on the host while building is compiled once. What the tests
/// build stands elsewhere, with a zstd of its own.
fn check(targets: &[&str]) -> Result {
    let mut cargo = rust::cargo()?;
    cargo.args(["check", "--quiet"]);
    targets.iter().for_each(|target| _ = cargo.args(["--target", target]));
    unlinked(packages(&mut cargo, LIBRARIES)).arg("--target-dir").arg(repo::scratch("checked")?);
    shell::run(&mut cargo)
}

/// Nothing is linked, so the C code of zstd need not be compiled: the host's library stands for it.
fn unlinked(cargo: &mut Command) -> &mut Command {
    cargo.env("ZSTD_SYS_USE_PKG_CONFIG", "1").env("PKG_CONFIG_ALLOW_CROSS", "1")
}

/// Property tests draw few cases: emulation is slow, and they have drawn many on the host. What is
/// emulated is optimised a little: s390x's tests then take a quarter of the processor time.
fn test(emulated: &Emulated) -> Result {
    let name = emulated.target.to_uppercase().replace('-', "_");
    let mut cargo = rust::cargo()?;
    cargo.args(["test", "--no-fail-fast", "--target", emulated.target]);
    cargo.env(format!("CARGO_TARGET_{name}_LINKER"), emulated.linker);
    if emulated.runs_without() {
        // Not `loader PROGRAM`: a test that starts itself again would start the loader.
        let flags = format!(
            "-Clink-arg=-Wl,--dynamic-linker={} -Clink-arg=-Wl,-rpath={}/lib",
            emulated.loader, emulated.libraries
        );
        cargo.env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), &flags);
        cargo.env(format!("CARGO_TARGET_{name}_RUSTDOCFLAGS"), flags);
    } else {
        let runner = format!("{} -L {}", emulated.emulator, emulated.libraries);
        cargo.env(format!("CARGO_TARGET_{name}_RUNNER"), runner);
    }
    cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_TEST_OPT_LEVEL", "1");
    shell::run(packages(cargo.env("PROPTEST_CASES", "8"), TESTED))
}

fn packages<'c>(cargo: &'c mut Command, names: &[&str]) -> &'c mut Command {
    names.iter().fold(cargo, |cargo, name| cargo.args(["--package", name]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::MINIMUM;
    use crate::repo;

    #[test]
    fn the_minimum_is_the_promised_one() {
        let manifest = fs::read_to_string(repo::root().unwrap().join("Cargo.toml")).unwrap();
        let promised = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
        assert_eq!(format!("{}.0", promised.trim_matches('"')), MINIMUM);
    }
}
