//! One C program on three machines, from the header and a static library alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::Need;
use crate::error::{Context, Result, failed};
use crate::{repo, rust, shell};

pub(crate) const NEEDS: &[Need] = &[
    Need { what: "i686-linux-gnu-gcc", package: "gcc-i686-linux-gnu" },
    Need { what: "/usr/i686-linux-gnu/lib/libc.so.6", package: "libc6-dev-i386-cross" },
    Need { what: "arm-linux-gnueabihf-gcc", package: "gcc-arm-linux-gnueabihf" },
    Need { what: "/usr/arm-linux-gnueabihf/lib/libc.so.6", package: "libc6-dev-armhf-cross" },
    Need { what: "qemu-arm-static", package: "qemu-user-static" },
];

struct Other {
    target: &'static str,
    compiler: &'static str,
    /// The emulator and its arguments.
    runner: &'static [&'static str],
}

const MACHINES: [Other; 3] = [
    Other { target: "x86_64-unknown-linux-gnu", compiler: "cc", runner: &[] },
    Other {
        target: "i686-unknown-linux-gnu",
        compiler: "i686-linux-gnu-gcc",
        runner: &["qemu-i386-static", "-L", "/usr/i686-linux-gnu"],
    },
    Other {
        target: "armv7-unknown-linux-gnueabihf",
        compiler: "arm-linux-gnueabihf-gcc",
        runner: &["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"],
    },
];

/// Builds examples/c/integrate.c for each machine and runs it: it reads by threads, plans, has
/// segments judged, and saves into a pipe, from which the same bytes must come everywhere.
pub(super) fn check(dump: &Path, kernel: &Path, dir: &Path) -> Result<String> {
    let mut first: Option<Vec<u8>> = None;
    for machine in &MACHINES {
        let program = build(machine, dir)?;
        let mut line = machine.runner.iter().map(PathBuf::from).chain([program]);
        let mut run = Command::new(line.next().context("a run has a program")?);
        run.args(line).arg(dump).arg(repo::root()?.join(super::MACHINE)).arg(kernel);
        let saved = shell::stdout(&mut run)?;
        match &first {
            None => first = Some(saved),
            Some(first) if *first == saved => {}
            Some(_) => return Err(failed(format!("{} saves other bytes", machine.target))),
        }
    }
    let bytes = first.map_or(0, |saved| saved.len());
    Ok(format!("integrate.c on x86_64, i686 and armv7: the same {bytes} bytes through a pipe"))
}

fn build(machine: &Other, dir: &Path) -> Result<PathBuf> {
    rust::ensure_targets(&[machine.target])?;
    let (target, listing) = (repo::target()?, dir.join(format!("{}-libs", machine.target)));
    let mut cargo = rust::cargo()?;
    cargo.args(["rustc", "--quiet", "--package", "kdump-ffi", "--lib", "--features", "quiet"]);
    cargo.args(["--crate-type", "staticlib", "--target", machine.target]).arg("--target-dir").arg(&target);
    // Code of the host's C compiler must not slip in.
    let name = machine.target.replace('-', "_");
    cargo.env(format!("CC_{name}"), machine.compiler);
    cargo.arg("--").arg(format!("--print=native-static-libs={}", listing.display()));
    shell::stdout(&mut cargo)?;
    let libs = std::fs::read_to_string(&listing).context(listing.display())?;
    let root = repo::root()?;
    let program = dir.join(format!("integrate-{}", machine.target));
    let mut cc = shell::tool(machine.compiler)?;
    cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]).arg(root.join("include"));
    cc.arg("-o").arg(&program).arg(root.join("examples/c/integrate.c"));
    cc.arg(target.join(machine.target).join("debug/libkdump_ffi.a")).args(libs.split_whitespace());
    shell::stdout(&mut cc)?;
    Ok(program)
}
