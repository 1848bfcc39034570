//! What a run needs: the kernel with and without debugging information, and `kdump`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::programs;
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
        let kernel = target.join("rust-kernel").join(TARGET).join("release/rust-kernel");
        let stripped = dir.join("capture.elf");
        shell::stdout(shell::tool("strip")?.arg("-o").arg(&stripped).arg(&kernel))?;
        Ok(Self { source, kernel, stripped, kdump: programs::build()?.kdump })
    }
}

/// Formatting and lints of the example, which the workspace's own do not reach.
pub(crate) fn lint() -> Result {
    rust::ensure_targets(&[TARGET])?;
    let mut fmt = Command::new("cargo");
    fmt.args(["fmt", "--check"]).current_dir(repo::root()?.join("examples/rust-kernel"));
    shell::run(&mut fmt)?;
    let mut clippy = example_cargo("clippy")?;
    shell::run(clippy.args(["--bins", "--features", "size-all", "--", "-D", "warnings"]))
}

/// `cargo build` for the example.
pub(crate) fn kernel_cargo() -> Result<Command> {
    example_cargo("build")
}

/// Run in the example's directory, cargo finds the flags and the linker script of the kernel.
fn example_cargo(command: &str) -> Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--quiet", "--release"]);
    cargo.current_dir(repo::root()?.join("examples/rust-kernel"));
    cargo.env("CARGO_TARGET_DIR", repo::target()?.join("rust-kernel"));
    Ok(cargo)
}
