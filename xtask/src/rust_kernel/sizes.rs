//! What the kdump crates add to a kernel, in bytes.

use std::process::Command;

use super::build::{TARGET, kernel_cargo};
use crate::error::{Context, Result};
use crate::{repo, rust, shell};

/// A feature of the example, and what it stands for.
const STEPS: [(&str, &str); 5] = [
    ("size", "no kdump crate"),
    ("size-crash-note", "crash notes of x86_64, order of the crash"),
    ("size-notes", "and of any, VMCOREINFO, elfcorehdr"),
    ("size-view", "notes and the vmcore view"),
    ("size-all", "everything: plan, purgatory, view, saving"),
];

/// Bytes of code and of constants.
#[derive(Debug, Clone, Copy)]
struct Size {
    text: u64,
    rodata: u64,
}

/// Builds the program of `sizes/main.rs` once per step and prints what each adds to the first.
pub(crate) fn print() -> Result {
    rust::ensure_targets(&[TARGET])?;
    println!("{:44} {:>12} {:>12}", "added to a kernel (opt-level s, fat LTO)", "text", "rodata");
    let mut base = None;
    for (feature, what) in STEPS {
        let size = measure(feature)?;
        let base = *base.get_or_insert(size);
        let (text, rodata) = (size.text.saturating_sub(base.text), size.rodata.saturating_sub(base.rodata));
        println!("{what:44} {text:12} {rodata:12}");
    }
    Ok(())
}

fn measure(feature: &str) -> Result<Size> {
    let mut cargo = kernel_cargo()?;
    shell::run(cargo.args(["--bin", "sizes", "--features", feature]))?;
    let program = repo::target()?.join("rust-kernel").join(TARGET).join("release/sizes");
    let table = shell::text(Command::new("size").args(["-A", "-d"]).arg(&program))?;
    let section = |name: &str| {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
        let bytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        bytes.context(format!("{}: no section {name}", program.display()))
    };
    Ok(Size { text: section(".text")?, rodata: section(".rodata")? })
}
