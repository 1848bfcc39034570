//! What a finished run must show, one row per fact.

mod backup;
pub(super) mod cpus;
mod kcore;
mod loaded;
pub(super) mod log;
pub(super) mod pages;
pub(super) mod peers;
mod types;
mod vmcore;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kdump_witness::List;

pub(crate) use loaded::is_one;

use super::drive::Sightings;
use super::lab::Lab;
use super::options::Loader;
use crate::apt::Need;
use crate::error::{Context, Result, failed};
use crate::formats::Maker;
use crate::progress::Row;

/// Pages the witness records. At least [`pages::ENOUGH`] must come back.
pub(crate) const PAGES_PLANTED: usize = 512;

/// The peers that must be able to read the dump.
pub(crate) const NEEDS: &[Need] = peers::NEEDS;

/// What is left of a run.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) lab: &'static Lab,
    /// The makedumpfile that knows the dump, or why none does.
    pub(crate) maker: core::result::Result<Maker, &'static str>,
    /// The static kdump, which runs on the host as well.
    pub(crate) kdump: PathBuf,
    pub(crate) loader: Loader,
    /// For files that the checks make.
    pub(crate) dir: PathBuf,
    /// What was on the disk of the guest.
    pub(crate) files: PathBuf,
    /// The saved dump.
    pub(crate) dump: PathBuf,
    pub(crate) sightings: Sightings,
}

impl Evidence {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    fn dump(&self) -> PathBuf {
        self.dump.clone()
    }

    pub(super) fn text(&self, name: &str) -> Result<String> {
        read(&self.file(name))
    }

    pub(super) fn witness(&self) -> Result<List> {
        self.text("witness.txt")?.parse().context("witness.txt")
    }

    fn makedumpfile(&self) -> Result<Command> {
        self.maker.as_ref().map_err(|why| failed(*why))?.command()
    }

    fn kdump(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.kdump);
        command.args(args);
        command
    }
}

/// A check: its name in the table, and its code.
pub(super) type Check = (&'static str, fn(&Evidence) -> Result<String>);

const CHECKS: &[Check] = &[
    ("kexec_crash_loaded", |evidence| is_one(&evidence.file("crash_loaded"))),
    ("kdump status", loaded::status),
    ("kdump on /proc/kcore", kcore::readable),
    ("purgatory digest", loaded::digest),
    ("capture command line", loaded::command_line),
    ("vmcore size as planned", vmcore::size),
    ("vmcore phdrs as planned", vmcore::phdrs),
    ("kdump save", loaded::saved),
    ("witness pages", pages::witness),
    ("registers in the notes", cpus::in_file),
    ("kdump notes", cpus::in_notes),
    ("kdump dmesg", log::kdump),
    ("readelf", peers::readelf),
    ("gdb", peers::gdb),
    ("makedumpfile -c -d 31", peers::makedumpfile),
    ("makedumpfile --dump-dmesg", peers::makedumpfile_dmesg),
    ("libkdumpfile", peers::libkdumpfile),
];

/// The checks of a run with a backup region.
const BACKUP_CHECKS: &[Check] =
    &[("backup region planned", backup::planned), ("low memory saved", backup::content)];

/// The checks of a kernel whose pages are told apart.
const X86_64_CHECKS: &[Check] = &[("types of the kernel", types::tell_classes)];

pub(crate) fn all(evidence: &Evidence) -> Vec<Row> {
    let backup = if evidence.sightings.low.is_some() { BACKUP_CHECKS } else { &[] };
    let own = if evidence.lab.arch == "x86_64" { X86_64_CHECKS } else { &[] };
    let row = |(name, check): &Check| match &evidence.maker {
        Err(why) if name.starts_with("makedumpfile") => Row::untested(name, why),
        _ => Row::of(name, check(evidence)),
    };
    CHECKS.iter().chain(own).chain(backup).map(row).collect()
}

pub(super) fn read(path: &Path) -> Result<String> {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).context(path.display())
}
