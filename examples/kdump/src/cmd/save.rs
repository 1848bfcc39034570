//! `kdump save`: copies a dump, or /proc/vmcore, to a safe place.

mod options;
mod outcome;
mod report;
mod space;
mod split;

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kdump_vmcore::{Dump, ReadOptions, SaveFormat, save_split};
use serde_json::json;

pub(crate) use self::options::command;
pub(crate) use self::report::{from_btf, lacking};

use self::options::{format, is_stdout, options, refuse_of_stream, threads};
use self::outcome::{Outcome, Told};
use self::report::{LINES, document, left_out, left_out_pages, tell};
use super::info;
use crate::failure::{CommandResult, Failure};
use crate::new_file;
use crate::progress::Reporter;

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let Job { destination, format, dump } = match Job::of(matches) {
        Ok(job) => job,
        Err(failure) => return Err(outcome::early(matches, failure)?),
    };
    if matches.get_flag("dry-run") {
        return match dry_run(matches, &dump, format) {
            Err(failure) => Err(outcome::early(matches, failure)?),
            done => done,
        };
    }
    let options = options(matches, format);
    let parts = split::destinations(matches, destination);
    let warning = if is_stdout(destination) { None } else { space::warning(&dump, options, destination) };
    if let Some(warning) = &warning {
        crate::terminal::tell!("kdump save: {warning}");
    }
    let begun = std::time::Instant::now();
    let mut reporter = Reporter::new(matches);
    let mut progress = |state| reporter.show(state);
    let mut place = destination.clone();
    let mut files = Vec::new();
    let result = match format {
        SaveFormat::Kdump(options) if !parts.is_empty() => {
            let saved = save_split(&dump, &parts, options, &mut progress);
            files = saved.as_ref().map_or_else(|failed| failed.files.clone(), |_| parts.clone());
            saved.map_err(|failed| {
                place = failed.destination.unwrap_or_else(|| destination.clone());
                *failed.failure
            })
        }
        _ if is_stdout(destination) => {
            kdump_vmcore::save_stream(&dump, format, &mut stdout()?, &mut progress)
        }
        _ => kdump_vmcore::save(&dump, destination, options, &mut progress),
    };
    reporter.finish();
    let removed = match &result {
        Ok(report) => report.removed_leftover,
        Err(failure) => failure.report.removed_leftover,
    };
    if removed {
        let name = if parts.is_empty() { destination.clone() } else { split::any(destination) };
        let mut name = name.into_os_string();
        name.push(".incomplete");
        new_file::leftover(&PathBuf::from(name));
    }
    let time = begun.elapsed();
    let can_resume = parts.is_empty() && matches!(format, SaveFormat::Elf(_) | SaveFormat::Kdump(_));
    let outcome = Outcome::of(result, &place, can_resume, !files.is_empty());
    if let Outcome::Whole(report) | Outcome::Lacking(report) = &outcome {
        tell(report);
    }
    if matches.get_one::<String>("progress").is_some_and(|how| how == "json") {
        if let Some(report) = outcome.report() {
            crate::terminal::tell!("{}", document(report, time));
        }
    }
    if matches.get_flag("json") {
        let told = Told { format: Some(format), warning, set: (!parts.is_empty()).then_some(files) };
        // The status tells what became of the dump, whoever reads of it.
        if let Err(error) = crate::json::print(&outcome.document(told, destination, time)) {
            crate::terminal::tell!("kdump save: the JSON document could not be printed: {error}");
        }
    }
    outcome.end(destination)
}

/// What is to be saved, and as what.
struct Job<'m> {
    destination: &'m PathBuf,
    format: SaveFormat,
    dump: Dump<'static>,
}

impl<'m> Job<'m> {
    /// Refuses what makes no sense, and opens the source.
    fn of(matches: &'m ArgMatches) -> Result<Self, Failure> {
        let destination =
            matches.get_one::<PathBuf>("dst").ok_or_else(|| Failure::usage("DST is missing"))?;
        let format = format(matches)?;
        split::check(matches, format)?;
        if !matches.get_flag("dry-run") {
            if is_stdout(destination) {
                refuse_of_stream(matches)?;
            } else {
                space::check(options(matches, format), destination)?;
            }
        }
        let mut dump = info::open(matches)?;
        if let Some(threads) = threads(matches) {
            dump = dump.read_options(ReadOptions::default().threads(threads.into()));
        }
        let defects = &dump.completeness().defects;
        for defect in defects.iter().take(LINES) {
            crate::terminal::tell!("kdump save: the source is damaged: {defect}");
        }
        if let Some(more) = defects.len().checked_sub(LINES).filter(|&more| more > 0) {
            crate::terminal::tell!("kdump save: and {more} more defects");
        }
        Ok(Self { destination, format, dump })
    }
}

/// Tells what would be saved. Pages of zeros are known when they are read only: the size is the most there
/// can be.
fn dry_run(matches: &ArgMatches, dump: &Dump<'_>, format: SaveFormat) -> CommandResult {
    let estimate = kdump_vmcore::estimate(dump, format).map_err(|error| Failure::new(error.to_string()))?;
    let to_stdout = matches.get_flag("json");
    if to_stdout || matches.get_one::<String>("progress").is_some_and(|how| how == "json") {
        let document = json!({
            "saved": false,
            "memory": estimate.memory,
            "max_size": split::max_size(matches, estimate.max_size, estimate.memory),
            "left_out_pages": left_out_pages(&estimate.left_out),
            "undecided_pages": estimate.left_out.unreadable,
            "pages_without_record": estimate.left_out.without,
        });
        if to_stdout {
            crate::json::print(&document)?;
        } else {
            crate::terminal::tell!("{document}");
        }
        return Ok(());
    }
    for line in left_out(&estimate.left_out) {
        crate::terminal::tell!("{line}");
    }
    let size = split::max_size(matches, estimate.max_size, estimate.memory);
    let memory = info::human_size(estimate.memory);
    crate::terminal::tell!("would save {memory} of memory in at most {size} bytes; nothing is written");
    Ok(())
}

/// Standard output without the buffer that looks for the ends of lines.
pub(crate) fn stdout() -> Result<File, Failure> {
    if was_closed() {
        return Err(Failure::new("standard output is closed"));
    }
    let own = std::io::stdout().as_fd().try_clone_to_owned();
    own.map(File::from).map_err(|error| Failure::new(format!("standard output: {error}")))
}

/// Whether the program was started without standard output. Rust's runtime opens /dev/null in its
/// place, for reading and writing as no shell does.
fn was_closed() -> bool {
    let is_null = std::fs::read_link("/proc/self/fd/1").is_ok_and(|path| path == Path::new("/dev/null"));
    let text = std::fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    // O_ACCMODE and O_RDWR (include/uapi/asm-generic/fcntl.h).
    is_null && flags.is_some_and(|flags| flags & 3 == 2)
}
