//! `cargo xtask crash-note`: no panic is linked into the crash-note path of kdump-elf, and one
//! architecture's note is small.
//!
//! Each function of `tests/crash-note` is linked alone, without what it does not reach, and the
//! program is searched. The sizes are bytes of the function with all it calls; rodata includes tables
//! of addresses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::progress::{self, Row};
use crate::{repo, rust, shell};

pub(crate) const TARGETS: &[&str] =
    &["x86_64-unknown-none", "aarch64-unknown-none", "riscv64gc-unknown-none-elf"];

pub(crate) const NEEDS: &[Need] = &[Need { what: "readelf", package: "binutils" }];

/// The functions that must not panic, and the most bytes of code and constants each may take.
const ROOTS: &[(&str, u64)] = &[
    ("note_of_any_architecture", 16 << 10),
    ("crash_path_x86_64", 2 << 10),
    ("crash_path_arm64", 2 << 10),
    ("crash_path_riscv64", 2 << 10),
];

/// The function that does.
const CONTROL: &str = "may_panic";

/// Parts of the names of what panics consist of.
const TRACES: &[&str] = &["panic_is_linked", "panicking", "rust_begin_unwind", "_fail", "fmt"];

/// All that may be needed to build them.
const PACKAGES: &[&str] = &[
    "crash-note-object",
    "kdump-elf",
    "zerocopy",
    "zerocopy-derive",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// What a linked function consists of.
struct Linked {
    symbols: Vec<String>,
    text: u64,
    rodata: u64,
}

pub(crate) fn run(args: &[String]) -> Result {
    Args::new(args).finish()?;
    apt::ensure(NEEDS)?;
    rust::ensure_targets(TARGETS)?;
    let mut rows = vec![Row::of("packages", packages())];
    for target in TARGETS {
        let archive = build(target)?;
        let control = link(&archive, CONTROL).and_then(|linked| match trace(&linked) {
            Some(found) => Ok(format!("found: {found}")),
            None => Err(failed("a panic was not found, so this check finds none")),
        });
        rows.push(Row::of(&format!("{target}: control"), control));
        for &(root, limit) in ROOTS {
            let outcome = link(&archive, root).and_then(|linked| judge(&linked, limit));
            rows.push(Row::of(&format!("{target}: {root}"), outcome));
        }
    }
    progress::close("crash-note", &rows)
}

/// Nothing is needed but zerocopy, and what its derive macro is built from.
fn packages() -> Result<String> {
    let path = repo::root()?.join("tests/crash-note/Cargo.lock");
    let text = fs::read_to_string(&path).context(path.display())?;
    let names =
        text.lines().filter_map(|line| line.strip_prefix("name = ")).map(|name| name.trim_matches('"'));
    let names: Vec<&str> = names.collect();
    match names.iter().find(|name| !PACKAGES.contains(name)) {
        Some(name) => Err(failed(format!("{name} is needed: {}", path.display()))),
        None if names.contains(&"kdump-elf") => Ok(names.join(", ")),
        None => Err(failed(format!("{}: no kdump-elf", path.display()))),
    }
}

fn judge(linked: &Linked, limit: u64) -> Result<String> {
    let Linked { text, rodata, .. } = *linked;
    match trace(linked) {
        Some(found) => Err(failed(format!("{found} is linked: something on the way can panic"))),
        None if text.saturating_add(rodata) > limit => {
            Err(failed(format!("{text} bytes of text and {rodata} of rodata, more than {limit}")))
        }
        None => Ok(format!("no panic; {text} bytes of text, {rodata} of rodata")),
    }
}

fn trace(linked: &Linked) -> Option<&str> {
    let is_trace = |symbol: &&String| TRACES.iter().any(|trace| symbol.contains(trace));
    linked.symbols.iter().find(is_trace).map(String::as_str)
}

/// Builds the archive that has all functions.
fn build(target: &str) -> Result<PathBuf> {
    let source = repo::root()?.join("tests/crash-note");
    let out = repo::target()?.join("crash-note");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--release", "--target", target]).current_dir(source);
    shell::run(cargo.env("CARGO_TARGET_DIR", &out))?;
    Ok(out.join(target).join("release/libcrash_note_object.a"))
}

/// Links `root` and what it reaches into a program of its own.
fn link(archive: &Path, root: &str) -> Result<Linked> {
    let sysroot = shell::text(Command::new("rustc").args(["--print", "sysroot"]))?;
    let version = shell::text(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let lld = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    let program = archive.with_file_name(root);
    let mut linker = Command::new(lld);
    linker.args(["-flavor", "gnu", "--gc-sections", "-static", "-e", root, "-u", root]);
    shell::run(linker.arg(archive).arg("-o").arg(&program))?;
    let readelf = |flag: &str| shell::text(shell::tool("readelf")?.args([flag, "-W"]).arg(&program));
    // Num, value, size, type, bind, visibility, section, name.
    let table = readelf("-s")?;
    let rows = table.lines().filter_map(|line| line.split_whitespace().nth(7));
    let symbols: Vec<String> = rows.map(str::to_owned).collect();
    if !symbols.iter().any(|symbol| symbol == root) {
        return Err(failed(format!("{}: no symbol {root}", program.display())));
    }
    let sections = readelf("-S")?;
    let size = |name: &str| {
        let sizes = sections.lines().filter_map(|line| {
            // The number in brackets may have a space in it.
            let (_, line) = line.split_once(']')?;
            let mut words = line.split_whitespace();
            let found = words.next()?;
            let own = found == name || found.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            own.then(|| u64::from_str_radix(words.nth(3)?, 16).ok()).flatten()
        });
        sizes.sum()
    };
    Ok(Linked { symbols, text: size(".text"), rodata: size(".rodata").saturating_add(size(".data")) })
}
