//! The Rust toolchains: targets and components, added when missing.

use std::path::Path;
use std::process::Command;

use crate::error::{Result, failed};
use crate::{repo, shell};

/// The toolchain that fuzzing and Miri need.
pub(crate) const NIGHTLY: &str = "nightly";

/// `cargo` of the pinned toolchain, run at the root of the checkout.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new("cargo");
    command.current_dir(repo::root()?);
    Ok(command)
}

/// `cargo` of the nightly toolchain, run at the root of the checkout.
pub(crate) fn nightly() -> Result<Command> {
    ensure_toolchain(NIGHTLY)?;
    cargo_of(NIGHTLY)
}

/// Installs a toolchain that is missing.
pub(crate) fn ensure_toolchain(name: &str) -> Result {
    let installed = shell::text(Command::new("rustup").args(["toolchain", "list"]))?;
    if !installed.lines().any(|line| line.starts_with(name)) {
        let mut install = Command::new("rustup");
        shell::run(install.args(["toolchain", "install", name, "--profile", "minimal"]))?;
    }
    Ok(())
}

/// `cargo` of an installed toolchain, run at the root of the checkout.
pub(crate) fn cargo_of(toolchain: &str) -> Result<Command> {
    program_of(toolchain, Path::new("cargo"))
}

/// A program that calls the cargo of a toolchain.
pub(crate) fn program_of(toolchain: &str, program: &Path) -> Result<Command> {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain]).arg(program).current_dir(repo::root()?);
    // Set by the cargo that runs us, and meant for its own toolchain.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Makes sure the pinned toolchain can build for `targets`.
pub(crate) fn ensure_targets(targets: &[&str]) -> Result {
    let installed = rustup(&["target", "list", "--installed"])?;
    for target in targets.iter().filter(|&&target| !installed.lines().any(|l| l == target)) {
        rustup(&["target", "add", target])?;
    }
    Ok(())
}

/// Makes sure `toolchain` (of rustup; none is the pinned one) has `components`.
pub(crate) fn ensure_components(toolchain: Option<&str>, components: &[&str]) -> Result {
    let chosen: Vec<_> = toolchain.map(|name| ["--toolchain", name]).into_iter().flatten().collect();
    let mut list = vec!["component", "list", "--installed"];
    list.extend(&chosen);
    let installed = rustup(&list)?;
    for &component in components {
        if installed.lines().any(|line| line.starts_with(component)) {
            continue;
        }
        let mut add = vec!["component", "add", component];
        add.extend(&chosen);
        rustup(&add)?;
    }
    Ok(())
}

fn rustup(args: &[&str]) -> Result<String> {
    if shell::find("rustup").is_none() {
        return Err(failed("rustup: no such program (it adds targets and components)"));
    }
    shell::text(Command::new("rustup").args(args).current_dir(repo::root()?))
}
