//! A dump that is saved as a set of files

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use kdump_vmcore::SaveFormat;

use crate::failure::{CommandResult, Failure};

/// How many files are asked for; one is no set.
fn count(matches: &ArgMatches) -> u16 {
    matches.get_one::<u16>("split").copied().unwrap_or(1)
}

/// Whether it is asked for.
pub(super) fn is_asked(matches: &ArgMatches) -> bool {
    count(matches) > 1
}

/// Refuses what cannot be a set.
pub(super) fn check(matches: &ArgMatches, format: SaveFormat) -> CommandResult {
    if !is_asked(matches) {
        return Ok(());
    }
    let given = |name: &&&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if let Some(name) = ["resume", "min-free", "on-full", "order"].iter().find(given) {
        return Err(Failure::usage(format!("--{name} is of one file: leave it out, or --split")));
    }
    if matches!(format, SaveFormat::Kdump(_)) {
        return check_name(matches);
    }
    let (name, instead) = match format {
        SaveFormat::Elf(_) => ("--format elf", "use --format kdump"),
        SaveFormat::Raw => ("--format raw", "use --format kdump"),
        _ => ("a flattened stream", "name files, and leave out --flattened and --format flattened"),
    };
    Err(Failure::usage(format!("--split: {name} is no set of files: {instead}")))
}

/// Refuses the name of what is no file: DST-1 beside a device would be a file in /dev.
fn check_name(matches: &ArgMatches) -> CommandResult {
    let Some(destination) = matches.get_one::<PathBuf>("dst") else { return Ok(()) };
    let Ok(found) = destination.metadata() else { return Ok(()) };
    let kind = match found.file_type() {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory: name files in it",
        kind if kind.is_block_device() => "a block device, which takes one dump",
        kind if kind.is_fifo() => "a FIFO",
        _ => "no regular file",
    };
    let place = destination.display();
    Err(Failure::usage(format!("--split: DST-1 and so on are files, and {place} is {kind}")))
}

/// What stands for the name of any of the files.
pub(super) fn any(destination: &Path) -> PathBuf {
    let mut name = destination.as_os_str().to_owned();
    name.push("-N");
    PathBuf::from(name)
}

/// The names of the files, `DST-1` and so on; none where one file is asked for.
pub(super) fn destinations(matches: &ArgMatches, destination: &Path) -> Vec<PathBuf> {
    let name = |index: u16| {
        let mut name = destination.as_os_str().to_owned();
        name.push(format!("-{index}"));
        PathBuf::from(name)
    };
    if is_asked(matches) { (1..=count(matches)).map(name).collect() } else { Vec::new() }
}

/// Bytes of all files at most, where one file would have `size` with so much memory in it: each has headers and
/// bitmaps of its own.
pub(super) fn max_size(matches: &ArgMatches, size: u64, memory: u64) -> u64 {
    let more = u64::from(count(matches)).saturating_sub(1);
    size.saturating_add(size.saturating_sub(memory).saturating_mul(more))
}
