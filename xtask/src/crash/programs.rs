//! The static programs of the guest, built from this checkout.

use std::fs;
use std::path::{Path, PathBuf};

use super::lab::{self, Lab};
use crate::error::{Context, Result};
use crate::{apt, repo, rust, shell};

#[derive(Debug)]
pub(crate) struct Programs {
    /// Runs in the guest and, being static, on the host as well.
    pub(crate) kdump: PathBuf,
    pub(crate) witness: PathBuf,
    /// The program that tries crash loads.
    pub(crate) soak: PathBuf,
}

/// Those for guests like the host.
pub(crate) fn build() -> Result<Programs> {
    build_for(&lab::X86_64)
}

/// Those for guests like the host, without the soak, as a distribution puts them into an initramfs; `kdump` is that
/// program if it is there already.
pub(crate) fn build_shipped(kdump: Option<&Path>) -> Result<Programs> {
    let packages: &[&str] = if kdump.is_some() { &["kdump-witness"] } else { &["kdump", "kdump-witness"] };
    let built = build_by(&lab::X86_64, "release", packages)?;
    Ok(Programs { kdump: kdump.map_or(built.kdump, Path::to_owned), ..built })
}

/// Those for guests of a machine.
pub(crate) fn build_for(lab: &Lab) -> Result<Programs> {
    build_by(lab, "lab", &["kdump", "kdump-witness", "kdump-soak"])
}

/// All of them at once: built one by one, they would share less of what they are linked with.
fn build_by(lab: &Lab, profile: &str, packages: &[&str]) -> Result<Programs> {
    rust::ensure_targets(&[lab.target])?;
    let mut cargo = rust::cargo()?;
    apt::ensure(lab.linker_needs)?;
    cargo.envs(lab.linker.iter().copied());
    cargo.args(["build", "--quiet", "--profile", profile, "--target", lab.target, "--bins"]);
    shell::run(cargo.args(packages.iter().flat_map(|name| ["--package", *name])))?;
    let dir = repo::target()?.join(lab.target).join(profile);
    let program = |name: &str| dir.join(name);
    Ok(Programs { kdump: program("kdump"), witness: program("kdump-witness"), soak: program("kdump-soak") })
}

/// The program without its debugging information: memory of the guest is scarce.
pub(crate) fn stripped(program: &Path, dir: &Path) -> Result<Vec<u8>> {
    stripped_by(lab::X86_64.strip.what, program, dir)
}

/// The same by another `strip`.
pub(crate) fn stripped_by(strip: &str, program: &Path, dir: &Path) -> Result<Vec<u8>> {
    let name = program.file_name().context(program.display())?;
    let out = dir.join(name).with_extension("stripped");
    shell::stdout(shell::tool(strip)?.arg("-o").arg(&out).arg(program))?;
    fs::read(&out).context(out.display())
}
