//! What a run needs: the kernel with and without debugging information, and `kdump`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Result;
use crate::{repo, rust, shell};

const TARGET: &str = "x86_64-unknown-none";

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
        // Run there, cargo finds the flags and the linker script of the kernel.
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--release", "--locked"]).current_dir(&source);
        shell::run(cargo.env("CARGO_TARGET_DIR", target.join("rust-kernel")))?;
        let mut cargo = rust::cargo()?;
        shell::run(cargo.args(["build", "--quiet", "--package", "kdump"]))?;
        let kernel = target.join("rust-kernel").join(TARGET).join("release/rust-kernel");
        let stripped = dir.join("capture.elf");
        shell::stdout(shell::tool("strip")?.arg("-o").arg(&stripped).arg(&kernel))?;
        Ok(Self { source, kernel, stripped, kdump: target.join("debug/kdump") })
    }
}
