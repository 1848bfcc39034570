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

/// What is not worth optimising, as it is for the tests: a dump of a few pages is read here.
const PLAIN: [&str; 6] = ["kdump-elf", "kdump-vmcore", "miniz_oxide", "snap", "zlib-rs", "zstd-sys"];

struct Other {
    /// None is this one, whose library is installed.
    target: Option<&'static str>,
    name: &'static str,
    compiler: &'static str,
    /// The emulator and its arguments.
    runner: &'static [&'static str],
}

const MACHINES: [Other; 3] = [
    Other { target: None, name: "x86_64", compiler: "cc", runner: &[] },
    Other {
        target: Some("i686-unknown-linux-gnu"),
        name: "i686",
        compiler: "i686-linux-gnu-gcc",
        runner: &["qemu-i386-static", "-L", "/usr/i686-linux-gnu"],
    },
    Other {
        target: Some("armv7-unknown-linux-gnueabihf"),
        name: "armv7",
        compiler: "arm-linux-gnueabihf-gcc",
        runner: &["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"],
    },
];

/// Builds examples/c/integrate.c for each machine and runs it: it reads by threads, plans, has
/// segments judged, and saves into a pipe, from which the same bytes must come everywhere. `installed` is what the
/// compiler of this machine is told to link the library statically.
pub(super) fn check(dump: &Path, kernel: &Path, installed: &str, dir: &Path) -> Result<String> {
    let mut first: Option<Vec<u8>> = None;
    for machine in &MACHINES {
        let flags = match machine.target {
            Some(target) => library(machine, target, dir)?,
            None => ["-static"].into_iter().chain(installed.split_whitespace()).map(str::to_owned).collect(),
        };
        let program = program(machine, &flags, dir)?;
        let mut line = machine.runner.iter().map(PathBuf::from).chain([program]);
        let mut run = Command::new(line.next().context("a run has a program")?);
        run.args(line).arg(dump).arg(repo::root()?.join(super::MACHINE)).arg(kernel);
        let saved = shell::stdout(&mut run)?;
        match &first {
            None => first = Some(saved),
            Some(first) if *first == saved => {}
            Some(_) => return Err(failed(format!("{} saves other bytes", machine.name))),
        }
    }
    let bytes = first.map_or(0, |saved| saved.len());
    Ok(format!("integrate.c on x86_64, i686 and armv7: the same {bytes} bytes through a pipe"))
}

/// The static library for another machine, and what it must be linked with.
fn library(machine: &Other, target: &str, dir: &Path) -> Result<Vec<String>> {
    rust::ensure_targets(&[target])?;
    let (built, listing) = (repo::target()?, dir.join(format!("{}-libs", machine.name)));
    let mut cargo = rust::cargo()?;
    cargo.args(["rustc", "--quiet", "--package", "kdump-ffi", "--lib", "--features", "quiet"]);
    cargo.args(["--crate-type", "staticlib", "--target", target]).arg("--target-dir").arg(&built);
    // Code of the host's C compiler must not slip in.
    cargo.env(format!("CC_{}", target.replace('-', "_")), machine.compiler);
    cargo.args(PLAIN.map(|package| format!("--config=profile.dev.package.{package}.opt-level=0")));
    cargo.arg("--").arg(format!("--print=native-static-libs={}", listing.display()));
    shell::stdout(&mut cargo)?;
    let libs = std::fs::read_to_string(&listing).context(listing.display())?;
    let archive = built.join(target).join("debug/libkdump_ffi.a").display().to_string();
    Ok([archive].into_iter().chain(libs.split_whitespace().map(str::to_owned)).collect())
}

fn program(machine: &Other, flags: &[String], dir: &Path) -> Result<PathBuf> {
    let root = repo::root()?;
    let program = dir.join(format!("integrate-{}", machine.name));
    let mut cc = shell::tool(machine.compiler)?;
    cc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]).arg(root.join("include"));
    cc.arg("-o").arg(&program).arg(root.join("examples/c/integrate.c")).args(flags);
    shell::stdout(&mut cc)?;
    Ok(program)
}
