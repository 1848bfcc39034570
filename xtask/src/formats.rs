//! `cargo xtask formats`: the dumps of other programs, page by page against what they were made
//! from and against libkdumpfile.

mod compare;
mod guest;
mod makedumpfile;
mod peer;
mod saved;

use std::path::{Path, PathBuf};

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::{Result, failed};
use crate::progress::{self, Clock, Row};
use crate::{consumers, repo, rust, shell};
use compare::Pages;
pub(crate) use makedumpfile::{CODECS, has};

pub(crate) const NEEDS: &[Need] = &[
    Need { what: "makedumpfile", package: "makedumpfile" },
    Need { what: "cc", package: "gcc" },
    Need { what: "/usr/include/libkdumpfile/kdumpfile.h", package: "libkdumpfile-dev" },
    Need { what: "qemu-system-x86_64", package: "qemu-system-x86" },
];

/// What is compared: the tool of this checkout with libkdumpfile.
#[derive(Debug)]
struct Readers {
    kdump: PathBuf,
    libkdumpfile: PathBuf,
}

/// Makes the rows of one kind of dumps.
type Part = fn(&Readers, &Path, &Path, Clock) -> Result<Vec<Row>>;

/// `cargo xtask formats [--dump FILE] [--only KIND]`, where FILE is an ELF core of a guest and KIND is
/// `makedumpfile`, `saved` (what `kdump save` writes) or `guest`.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    let only = args.value("--only")?;
    args.finish()?;
    apt::ensure(NEEDS)?;
    let clock = Clock::start();
    let dump = consumers::dump_or_crash(dump)?;
    clock.say("building kdump");
    let readers = Readers { kdump: tool()?, libkdumpfile: peer::build()? };
    let dir = repo::scratch("formats")?;
    let parts: [(&str, Part); 3] =
        [("makedumpfile", makedumpfile::rows), ("saved", saved::rows), ("guest", guest::rows)];
    if only.as_ref().is_some_and(|only| parts.iter().all(|(name, _)| name != only)) {
        return Err(failed("--only takes makedumpfile, saved or guest"));
    }
    let mut rows = Vec::new();
    for (name, part) in parts {
        if only.as_ref().is_none_or(|only| only == name) {
            rows.extend(part(&readers, &dump, &dir, clock)?);
        }
    }
    progress::close("formats: every page as its source and as libkdumpfile", &rows)
}

/// `kdump`, optimised: it decompresses gigabytes.
pub(crate) fn tool() -> Result<PathBuf> {
    let mut cargo = rust::cargo()?;
    cargo.args(["build", "--quiet", "--release", "--package", "kdump", "--bin", "kdump"]);
    // Whole-program optimisation takes minutes and is not what is tested.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    shell::run(&mut cargo)?;
    Ok(repo::target()?.join("release/kdump"))
}

/// A row for one dump of one or several files, which libkdumpfile reads from `theirs` when it can.
fn row(name: &str, readers: &Readers, files: &[PathBuf], theirs: &[PathBuf], source: &Pages) -> Row {
    let check = || {
        let ours = compare::ours(&readers.kdump, files, source)?;
        let mut said = compare::same_bytes("the source", source, &ours)?;
        if !theirs.is_empty() {
            let theirs = peer::read(&readers.libkdumpfile, theirs, source)?;
            compare::same_states(&ours, &theirs)?;
            said.push_str(", all as libkdumpfile");
        }
        Ok(said)
    };
    Row::of(name, check())
}

/// The path of `name` in `dir`.
fn at(dir: &Path, name: &str) -> PathBuf {
    dir.join(name)
}
