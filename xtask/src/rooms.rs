//! The module tables of docs/ARCHITECTURE.md, made from the first sentence of each file.

use core::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::args::Args;
use crate::error::{Context, Result, failed};
use crate::repo;

/// A heading of the tables and the directory it is about.
const HOUSES: &[(&str, &str)] = &[
    ("kdump-elf", "kdump-elf/src"),
    ("kdump-segments", "kdump-segments/src"),
    ("kdump-purgatory", "kdump-purgatory/src"),
    ("kdump-purgatory/purgatory: the freestanding program", "kdump-purgatory/purgatory/src"),
    ("kdump-vmcore", "kdump-vmcore/src"),
    ("kdump-ffi/core: the C interface without allocator", "kdump-ffi/core/src"),
    ("kdump-ffi", "kdump-ffi/src"),
    ("examples/kdump: the tool", "examples/kdump/src"),
    ("xtask: the automation", "xtask/src"),
    ("tests/lab: the guests of xtask", "tests/lab/src"),
];
const BEGIN: &str = "<!-- modules: begin, made by `cargo xtask rooms` -->\n";
const END: &str = "<!-- modules: end -->";

/// Writes the tables into the document, or with `--check` compares.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let check = args.flag("--check");
    args.finish()?;
    let path = repo::root()?.join("docs/ARCHITECTURE.md");
    let old = fs::read_to_string(&path).context(path.display())?;
    let markers = "docs/ARCHITECTURE.md has lost its module markers";
    let (head, rest) = old.split_once(BEGIN).context(markers)?;
    let (_, tail) = rest.split_once(END).context(markers)?;
    let new = format!("{head}{BEGIN}{}{END}{tail}", tables()?);
    if new == old {
        return Ok(());
    }
    if check {
        return Err(failed("the module tables of docs/ARCHITECTURE.md are stale: run `cargo xtask rooms`"));
    }
    fs::write(&path, new).context(path.display())
}

fn tables() -> Result<String> {
    let root = repo::root()?;
    let mut out = String::new();
    for (title, directory) in HOUSES {
        let mut files = Vec::new();
        find(&root.join(directory), &mut files)?;
        files.sort();
        // Writing to a String cannot fail.
        let _ = write!(out, "\n### {title}\n\n| file | duty |\n|---|---|\n");
        for file in &files {
            let name = file.strip_prefix(root.join(directory)).context("a file outside its directory")?;
            let _ = writeln!(out, "| {} | {} |", name.display(), duty(file)?);
        }
    }
    out.push('\n');
    Ok(out)
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) -> Result {
    for entry in fs::read_dir(directory).context(directory.display())? {
        let path = entry.context(directory.display())?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The first sentence of the file's `//!` comment.
fn duty(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).context(file.display())?;
    let lines = text.lines().skip_while(|line| !line.starts_with("//!"));
    let comment: Vec<&str> = lines
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let comment = comment.join(" ");
    let end = comment.match_indices(". ").next().map_or(comment.len(), |(at, _)| at);
    let sentence = comment.get(..end).unwrap_or(&comment).trim_end_matches('.');
    if sentence.is_empty() {
        return Err(failed(format!("{} does not begin with a //! line", file.display())));
    }
    Ok(sentence.replace('|', "\\|"))
}
