//! kexec of Debian's kexec-tools, its crash loading done by libkdump.

use std::fs;
use std::path::{Path, PathBuf};

use super::source;
use crate::apt::{self, Need};
use crate::error::{Context, Result, failed};
use crate::install::{self, Places};
use crate::progress::Clock;
use crate::{repo, shell};

pub(super) const NEEDS: &[Need] = &[
    Need { what: "dpkg-source", package: "dpkg-dev" },
    Need { what: "ld", package: "binutils" },
    Need { what: "nm", package: "binutils" },
];

/// The function of ours that callers of kexec-tools' own end up in.
const WRAPPER: &str = "__wrap_load_crashdump_segments";

/// Builds it and returns the program.
pub(super) fn build(places: &Places, clock: Clock) -> Result<PathBuf> {
    apt::ensure(NEEDS)?;
    let dir = repo::scratch("kexec-tools")?;
    clock.say("building kexec-tools from its source package, with one object of ours");
    let source = source::unpack("kexec-tools", &dir)?;
    super::make("examples/kexec-tools", places, &dir, &[format!("SOURCE={}", source.display()).into()])?;
    Ok(dir.join("kexec"))
}

/// The same kexec without libkdump, linked of the same objects. To be called after [`build`].
pub(super) fn build_stock() -> Result<PathBuf> {
    let dir = repo::scratch("kexec-tools")?;
    let source = source::unpack("kexec-tools", &dir)?;
    let (linked, kept) = (source.join("build/sbin/kexec"), dir.join("kexec-alone"));
    fs::remove_file(&linked).context(linked.display())?;
    shell::stdout(shell::tool("make")?.args(["-s", "-C"]).arg(&source).arg("build/sbin/kexec"))?;
    fs::rename(&linked, &kept).context(kept.display())?;
    Ok(kept)
}

/// That the program is what it is meant to be: wrapped, and linked with the library.
pub(super) fn check(kexec: &Path, places: &Places) -> Result<String> {
    let symbols = shell::text(shell::tool("nm")?.arg(kexec))?;
    if !symbols.lines().any(|line| line.ends_with(&format!(" T {WRAPPER}"))) {
        return Err(failed(format!("{} has no {WRAPPER}", kexec.display())));
    }
    let mut ldd = install::with_library(shell::tool("ldd")?, places);
    if !shell::text(ldd.arg(kexec))?.contains("libkdump.so.0 => /") {
        return Err(failed(format!("{} is not linked with libkdump.so.0", kexec.display())));
    }
    let mut version = install::with_library(std::process::Command::new(kexec), places);
    Ok(format!("{}, wrapped, with libkdump.so.0", shell::text(version.arg("--version"))?.trim()))
}
