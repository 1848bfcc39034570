//! `kdump save`: copies a dump, or /proc/vmcore, to a safe place.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_vmcore::{SaveOptions, SaveReport};
use serde_json::{Value, json};

use super::info;
use crate::failure::{CommandResult, Failure};
use crate::new_file;
use crate::progress::{self, Reporter};

/// Lines about one thing at most; the rest is counted.
const LINES: usize = 32;

const EXAMPLES: &str = "\
The dump is written as DST.incomplete, synced and renamed: a file called DST is finished. When
saving ends early, DST.incomplete stays with what is good and says that it is unfinished; the next
save to DST removes it, unless its process still lives. Zero pages become holes. Memory that cannot
be read does not end the work: the copy remembers which it is and why, as it does for what SRC
lacked already. DST may be a block device nobody uses: what is no dump there is written over with
--force only. What is written is uncompressed ELF with everything SRC has, by one thread; options
that ask for another format, compression, fewer pages or several files are refused.

Exit status: 0 saved; 3 saved, but SRC lacked something; 1 not saved.

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
        .arg(path("dst", "DST", "Where to: a file or a block device"))
        .arg(option("format", "FORMAT", "Format of DST; elf only").value_parser([
            "elf",
            "kdump",
            "flattened",
        ]))
        .arg(
            option("compress", "METHOD", "Compression of pages; none only")
                .value_parser(["none", "zlib", "lzo", "snappy", "zstd"]),
        )
        .arg(
            option("exclude", "CLASSES", "Kinds of pages to leave out, separated by commas; none can be")
                .value_delimiter(',')
                .value_parser(["zero", "cache", "cache-private", "user", "free"])
                .conflicts_with("level"),
        )
        .arg(
            Arg::new("level")
                .short('d')
                .value_name("LEVEL")
                .value_parser(value_parser!(u8).range(0..=31))
                .help("Kinds of pages to leave out, as the number makedumpfile uses; 0 only"),
        )
        .arg(option("threads", "N", "At most this many threads").value_parser(value_parser!(u16).range(1..)))
        .arg(option("split", "N", "Split into N files; 1 only").value_parser(value_parser!(u16).range(1..)))
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Write over a device even if it holds something else than zeros or a dump"),
        )
        .arg(progress::arg())
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    refuse_unsupported(matches)?;
    let dump = info::open(matches)?;
    let destination = matches.get_one::<PathBuf>("dst").ok_or_else(|| Failure::usage("DST is missing"))?;
    let defects = &dump.completeness().defects;
    for defect in defects.iter().take(LINES) {
        crate::terminal::tell!("kdump save: the source is damaged: {defect}");
    }
    if let Some(more) = defects.len().checked_sub(LINES).filter(|&more| more > 0) {
        crate::terminal::tell!("kdump save: and {more} more defects");
    }
    let options = SaveOptions { force: matches.get_flag("force") };
    let mut reporter = Reporter::new(matches);
    let result = kdump_vmcore::save(&dump, destination, options, &mut |state| reporter.show(state));
    reporter.finish();
    let removed = match &result {
        Ok(report) => report.removed_leftover,
        Err(failure) => failure.report.removed_leftover,
    };
    if removed {
        let mut name = destination.clone().into_os_string();
        name.push(".incomplete");
        new_file::leftover(&PathBuf::from(name));
    }
    let report = result.map_err(|failure| Failure::from(failure).of(destination.display()))?;
    tell(&report);
    if matches.get_one::<String>("progress").is_some_and(|how| how == "json") {
        crate::terminal::tell!("{}", document(&report));
    }
    if report.is_whole() {
        return Ok(());
    }
    Err(Failure::lacking(format!("{} is saved, but {}", destination.display(), lacking(&report))))
}

/// What the source lacked, in a sentence.
fn lacking(report: &SaveReport) -> String {
    let unreadable = unreadable(report);
    let kinds = [
        (report.missing, "missing: behind the end of the source"),
        (unreadable, "could not be read"),
        (report.corrupt, "corrupt"),
        (report.given_up, "given up, because the list of what could not be read was full"),
    ];
    let kinds = kinds.iter().filter(|(bytes, _)| *bytes > 0);
    let mut text = format!("the source lacked {} bytes of memory", report.lacking());
    for (index, (bytes, kind)) in kinds.enumerate() {
        let separator = if index == 0 { " (" } else { ", " };
        text.push_str(&format!("{separator}{bytes} {kind}"));
    }
    if report.lacking() > 0 {
        text.push(')');
    }
    if report.source_defects > 0 {
        text.push_str(&format!(", and had {} other defects", report.source_defects));
    }
    text
}

/// Bytes that could not be read, those told apart left out.
fn unreadable(report: &SaveReport) -> u64 {
    report.unreadable.bytes.saturating_sub(report.missing).saturating_sub(report.corrupt)
}

fn document(report: &SaveReport) -> Value {
    json!({
        "saved": true,
        "whole": report.is_whole(),
        "file_size": report.file_size,
        "memory": report.memory,
        "missing": report.missing,
        "unreadable": unreadable(report),
        "corrupt": report.corrupt,
        "given_up": report.given_up,
        "source_defects": report.source_defects,
    })
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
    let dropped = report.dropped_phdrs.iter().map(|index| format!("program header {index} of the source"));
    crate::terminal::tell_some("left out, neither PT_LOAD nor PT_NOTE or past the last address", dropped);
    let unreadable = &report.unreadable;
    if unreadable.is_empty() {
        return;
    }
    crate::terminal::tell!("{} bytes of memory could not be read:", unreadable.bytes);
    for bad in unreadable.ranges.iter().take(LINES) {
        crate::terminal::tell!("  {}: {}", bad.range, bad.error);
    }
    let more = unreadable.ranges.len().saturating_sub(LINES) as u64;
    let more = more.saturating_add(unreadable.unlisted);
    if more > 0 {
        crate::terminal::tell!("  and {more} more ranges; `kdump map` of the copy has them all");
    }
}
