//! libkdumpfile, through a program of a few lines.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::compare::{PAGE, Pages};
use crate::error::{Context, Result, failed};
use crate::{repo, shell};

const SOURCE: &str = include_str!("../../peers/libkdumpfile_pages.c");

/// Compiles the program.
pub(super) fn build() -> Result<PathBuf> {
    let dir = repo::scratch("formats")?;
    let (source, program) = (dir.join("libkdumpfile_pages.c"), dir.join("libkdumpfile_pages"));
    fs::write(&source, SOURCE).context(source.display())?;
    let mut cc = shell::tool("cc")?;
    cc.args(["-O2", "-Wall", "-Werror", "-o"]).arg(&program).arg(&source).arg("-lkdumpfile");
    shell::stdout(&mut cc)?;
    Ok(program)
}

/// What it has of the pages of `source`.
pub(super) fn read(program: &Path, files: &[PathBuf], source: &Pages) -> Result<Pages> {
    let mut command = Command::new(program);
    command.args(files).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let line = shell::describe(&command);
    let mut child = command.spawn().context(&line)?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let addresses: String = source.0.keys().map(|paddr| format!("{paddr:x}\n")).collect();
    // From a thread of its own: the program answers while it still reads.
    let writer = std::thread::spawn(move || stdin.write_all(addresses.as_bytes()));
    let output = child.wait_with_output().context(&line)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("libkdumpfile: {}: {}", output.status, said.trim())));
    }
    match writer.join() {
        Ok(written) => written.context(&line)?,
        Err(_) => return Err(failed(format!("{line}: the writing thread died"))),
    }
    let mut pages = Pages::default();
    let mut rest = output.stdout.as_slice();
    for &paddr in source.0.keys() {
        let (&state, tail) = rest.split_first().context("libkdumpfile answered too few pages")?;
        rest = tail;
        let page = match state {
            b'N' => None,
            _ => {
                let (page, tail) =
                    rest.split_at_checked(PAGE).context("libkdumpfile answered half a page")?;
                rest = tail;
                Some(page.to_vec())
            }
        };
        pages.0.insert(paddr, page);
    }
    Ok(pages)
}
