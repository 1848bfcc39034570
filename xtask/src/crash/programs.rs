//! The static programs of the guest, built from this checkout.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::{repo, rust, shell};

pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";

#[derive(Debug)]
pub(crate) struct Programs {
    /// Runs in the guest and, being static, on the host as well.
    pub(crate) kdump: PathBuf,
    pub(crate) witness: PathBuf,
}

pub(crate) fn build() -> Result<Programs> {
    rust::ensure_targets(&[TARGET])?;
    let mut cargo = rust::cargo()?;
    cargo.args(["build", "--quiet", "--release", "--target", TARGET]);
    cargo.args(["--package", "kdump", "--package", "kdump-witness", "--bins"]);
    shell::run(&mut cargo)?;
    let dir = repo::target()?.join(TARGET).join("release");
    Ok(Programs { kdump: dir.join("kdump"), witness: dir.join("kdump-witness") })
}

/// The program that tries crash loads. Not of the release profile, so that it notices overflows.
pub(crate) fn soak() -> Result<PathBuf> {
    rust::ensure_targets(&[TARGET])?;
    let mut cargo = rust::cargo()?;
    shell::run(cargo.args([
        "build",
        "--quiet",
        "--config",
        "profile.dev.opt-level=1",
        "--target",
        TARGET,
        "--package",
        "kdump-soak",
    ]))?;
    Ok(repo::target()?.join(TARGET).join("debug/kdump-soak"))
}

/// The program without its debugging information: memory of the guest is scarce.
pub(crate) fn stripped(program: &Path, dir: &Path) -> Result<Vec<u8>> {
    let name = program.file_name().context(program.display())?;
    let out = dir.join(name).with_extension("stripped");
    shell::stdout(shell::tool("strip")?.arg("-o").arg(&out).arg(program))?;
    fs::read(&out).context(out.display())
}
