//! `kdump save`: copies a dump, or /proc/vmcore, to a safe place.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use kdump_vmcore::{Error, SaveReport};

use super::info;
use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::progress::{self, Reporter};

const EXAMPLES: &str = "\
The dump is written as DST.incomplete, synced and renamed: a file called DST is complete. When
saving ends early, DST.incomplete stays with what is good. Zero pages become holes. Memory that
cannot be read becomes zeros and is listed on standard error; it does not end the work. What is
behind the end of a truncated SRC is no part of DST and is listed, too. DST may be a block device. Saving as ELF is done by one thread.

Examples:
  kdump save /proc/vmcore /var/crash/vmcore
  kdump save --progress json /proc/vmcore /dev/vdb";

pub(crate) fn command() -> Command {
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).value_name(value).required(true).value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("save")
        .about("Save a dump or /proc/vmcore")
        .after_help(EXAMPLES)
        .arg(
            path("dump", "SRC", "The dump to copy; several files are the parts of one split dump")
                .num_args(1..),
        )
        .arg(path("dst", "DST", "Where to; - streams flattened output"))
        .arg(option("format", "FORMAT", "Format of DST").value_parser(["elf", "kdump", "flattened"]))
        .arg(
            option("compress", "METHOD", "Compression of pages")
                .value_parser(["none", "zlib", "lzo", "snappy", "zstd"]),
        )
        .arg(
            option("exclude", "CLASSES", "Kinds of pages to leave out, separated by commas")
                .value_delimiter(',')
                .value_parser(["zero", "cache", "cache-private", "user", "free"])
                .conflicts_with("level"),
        )
        .arg(
            Arg::new("level")
                .short('d')
                .value_name("LEVEL")
                .value_parser(value_parser!(u8).range(0..=31))
                .help("Kinds of pages to leave out, as the number makedumpfile uses"),
        )
        .arg(option("threads", "N", "At most this many threads").value_parser(value_parser!(u16).range(1..)))
        .arg(option("split", "N", "Split into N files").value_parser(value_parser!(u16).range(1..)))
        .arg(progress::arg())
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    refuse_unsupported(matches)?;
    let dump = info::open(matches)?;
    let destination = matches.get_one::<PathBuf>("dst").ok_or_else(|| Failure::usage("DST is missing"))?;
    for defect in &dump.completeness().defects {
        crate::terminal::tell!("kdump save: the source is damaged: {defect}");
    }
    // The library removes what an earlier attempt has left there.
    let mut incomplete = destination.clone().into_os_string();
    incomplete.push(".incomplete");
    let incomplete = PathBuf::from(incomplete);
    for source in matches.get_many::<PathBuf>("dump").unwrap_or_default() {
        files::refuse_same(&incomplete, source)?;
    }
    let mut reporter = Reporter::new(matches);
    let result = kdump_vmcore::save(&dump, destination, &mut |state| reporter.show(state));
    reporter.finish();
    let report = result.map_err(|failure| Failure::new(format!("{}: {failure}", destination.display())))?;
    tell(&report);
    Ok(())
}

/// What needs a format or a filter this version does not have ends here, before anything is
/// written.
fn refuse_unsupported(matches: &ArgMatches) -> CommandResult {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let refuse = |what: &str| {
        Err(Failure::new(format!("{what} is unsupported: only uncompressed ELF can be written")))
    };
    if matches.get_one::<PathBuf>("dst").is_some_and(|path| path.as_os_str() == "-") {
        return refuse("DST -, which streams the flattened format,");
    }
    match text("format") {
        None | Some("elf") => {}
        Some(format) => return refuse(&format!("--format {format}")),
    }
    match text("compress") {
        None | Some("none") => {}
        Some(method) => return refuse(&format!("--compress {method}")),
    }
    if matches.contains_id("exclude") && matches.get_many::<String>("exclude").is_some() {
        return refuse("--exclude");
    }
    match matches.get_one::<u8>("level") {
        None | Some(0) => {}
        Some(level) => return refuse(&format!("-d {level}")),
    }
    match matches.get_one::<u16>("split") {
        None | Some(1) => Ok(()),
        Some(parts) => refuse(&format!("--split {parts}")),
    }
}

/// What a reader of the log must know about the file.
fn tell(report: &SaveReport) {
    let size = info::human_size;
    crate::terminal::tell!(
        "saved {} of memory, {} written, file size {} bytes",
        size(report.memory),
        size(report.written),
        report.file_size
    );
    if report.shared > 0 {
        crate::terminal::tell!("{} that several PT_LOADs list are stored once", size(report.shared));
    }
    for index in &report.dropped_phdrs {
        crate::terminal::tell!(
            "program header {index} of the source is neither PT_LOAD nor PT_NOTE, or wraps: left out"
        );
    }
    let unreadable = &report.unreadable;
    if unreadable.is_empty() {
        return;
    }
    crate::terminal::tell!("{} bytes of memory could not be read:", unreadable.bytes);
    for bad in &unreadable.ranges {
        let fate = match bad.error {
            Error::Truncated { .. } => "not in the copy",
            _ => "zeros in the copy",
        };
        crate::terminal::tell!("  {}, {fate}: {}", bad.range, bad.error);
    }
    if unreadable.unlisted > 0 {
        crate::terminal::tell!("  and {} more ranges", unreadable.unlisted);
    }
}
