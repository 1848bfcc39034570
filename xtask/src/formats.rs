//! `cargo xtask formats`: the dumps of other programs, page by page against what they were made
//! from and against libkdumpfile.

mod addresses;
mod booted;
mod compare;
mod guest;
mod machine;
mod makedumpfile;
mod peer;
mod saved;
mod struct_page;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::apt::{self, Need};
use crate::args::Args;
use crate::crash::options::Series;
use crate::error::{Result, failed};
use crate::progress::{self, Clock, Row};
use crate::{consumers, repo, rust, shell};
pub(crate) use compare::Pages;
pub(crate) use makedumpfile::{CODECS, Maker};

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

/// `cargo xtask formats [--dump FILE | --arch ARCH] [--kernel SERIES] [--only KIND] [--few-levels]`: FILE is an ELF
/// core of a guest, by default that of a fresh crash; with ARCH guests are booted and dumped by QEMU.
/// KIND is `makedumpfile`, `saved` (what `kdump save` writes) or `guest`; with `--few-levels` makedumpfile
/// leaves out nothing or all it can.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    let series = args.value("--kernel")?.map_or(Ok(Series::V6_1), |text| Series::parse(&text))?;
    let arch = args.value("--arch")?;
    let only = args.value("--only")?;
    let few = args.flag("--few-levels");
    let levels = if few { makedumpfile::FEW_LEVELS } else { makedumpfile::LEVELS };
    let saved_levels = if few { saved::FEW_LEVELS } else { saved::MATRIX };
    args.finish()?;
    let machines = arch.map_or(Ok(Vec::new()), |arch| machine::of(&arch, series))?;
    apt::ensure(NEEDS)?;
    let clock = Clock::start();
    let dump = if machines.is_empty() { Some(consumers::dump_or_crash_of(dump, series)?) } else { None };
    clock.say("building kdump");
    let readers = Readers { kdump: program()?, libkdumpfile: peer::build()? };
    let dir = repo::scratch("formats")?;
    if only.as_ref().is_some_and(|only| !["makedumpfile", "saved", "guest"].contains(&only.as_str())) {
        return Err(failed("--only takes makedumpfile, saved or guest"));
    }
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let mut rows = Vec::new();
    if let Some(dump) = dump {
        if wanted("makedumpfile") {
            let maker = Maker::host()?;
            rows.extend(makedumpfile::rows(&readers, &maker, &dump, &dir, levels, clock)?);
        }
        if wanted("saved") {
            rows.extend(saved::rows(&readers, &dump, &dir, saved_levels, clock)?);
        }
        if wanted("guest") {
            rows.extend(guest::rows(&readers, &dump, &dir, clock)?);
        }
    }
    for machine in machines {
        rows.extend(booted::rows(&readers, machine, &dir, clock)?);
    }
    let took = format!(
        "formats: every page as its source and as libkdumpfile, {:.0} s",
        clock.elapsed().as_secs_f32()
    );
    progress::close(&took, &rows)
}

/// `kdump`, optimised, for it decompresses gigabytes: the static program of the guests writes no zstd.
pub(crate) fn program() -> Result<PathBuf> {
    let mut cargo = rust::cargo()?;
    shell::run(cargo.args(["build", "--quiet", "--profile", "lab", "--package", "kdump", "--bin", "kdump"]))?;
    Ok(repo::target()?.join("lab/kdump"))
}

/// A row for one dump of one or several files, which libkdumpfile reads from `theirs` when it can.
fn row(name: &str, readers: &Readers, files: &[PathBuf], theirs: &[PathBuf], source: &Pages) -> Row {
    let check = || {
        let ours = compare::ours(&readers.kdump, files, source)?;
        let mut said = compare::same_bytes("the source", source, &ours)?;
        if !theirs.is_empty() {
            let theirs = peer::read(&readers.libkdumpfile, theirs, source)?;
            let is_elf = files.first().is_some_and(|file| elf_magic(file));
            compare::same_states(&ours, &theirs, is_elf)?;
            said.push_str(", all as libkdumpfile");
        }
        Ok(said)
    };
    Row::of(name, check())
}

/// Whether a file is an ELF core.
fn elf_magic(file: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(file).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

/// The path of `name` in `dir`.
fn at(dir: &Path, name: &str) -> PathBuf {
    dir.join(name)
}
