//! What a run needs: the kernel with and without debugging information, and `kdump`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Result;
use crate::{repo, rust, shell};

pub(crate) const TARGET: &str = "x86_64-unknown-none";

#[derive(Debug)]
pub(crate) struct Build {
    /// The directory with the sources.
    pub(crate) source: PathBuf,
    /// What QEMU boots and gdb reads.
    pub(crate) kernel: PathBuf,
    /// What the first kernel loads as the second.
    pub(crate) stripped: PathBuf,
    /// The command-line tool.
    pub(crate) kdump: PathBuf,
}

impl Build {
    pub(crate) fn make(dir: &Path) -> Result<Self> {
        rust::ensure_targets(&[TARGET])?;
        let source = repo::root()?.join("examples/rust-kernel");
        let target = repo::target()?;
        shell::run(kernel_cargo()?.args(["--bin", "rust-kernel"]))?;
        let mut cargo = rust::cargo()?;
        shell::run(cargo.args(["build", "--quiet", "--package", "kdump"]))?;
        let kernel = target.join("rust-kernel").join(TARGET).join("release/rust-kernel");
        let stripped = dir.join("capture.elf");
        shell::stdout(shell::tool("strip")?.arg("-o").arg(&stripped).arg(&kernel))?;
        Ok(Self { source, kernel, stripped, kdump: target.join("debug/kdump") })
    }
}

/// `cargo build` for the example. Run in its directory, cargo finds the flags and the linker
/// script of the kernel.
pub(crate) fn kernel_cargo() -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--release"]);
    cargo.current_dir(repo::root()?.join("examples/rust-kernel"));
    cargo.env("CARGO_TARGET_DIR", repo::target()?.join("rust-kernel"));
    Ok(cargo)
}
