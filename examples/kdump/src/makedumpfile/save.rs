//! Dumps as makedumpfile writes them: into a file, as a stream, and of the parts of one.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, Dump, ElfOptions, Error, KdumpOptions, SaveFailure, SaveFormat, SaveOptions, SaveReport,
};

use super::options::Options;
use super::usage;
use super::{open, refuse_existing, translate};
use crate::cmd::save::{lacking, stdout};
use crate::failure::{CommandResult, Failure};

/// Lines about defects of the source; the rest is counted.
const LINES: usize = 16;

/// The codec in the place of one that this build cannot write.
const INSTEAD: Codec = Codec::Lzo;

/// Into a file, or into the files of a set.
pub(super) fn dump(options: &Options, from: &PathBuf, to: &[PathBuf]) -> CommandResult {
    to.iter().try_for_each(|to| refuse_existing(options, to))?;
    let dump = open(core::slice::from_ref(from), options)?;
    begin(options, &dump);
    let mut levels = options.levels.iter().copied().peekable();
    while let Some(level) = levels.next() {
        let format = format(options, level)?;
        let mut place = to.first().cloned().unwrap_or_default();
        let result = match (to, format) {
            ([to], format) => to_file(options, &dump, to, format),
            (parts, SaveFormat::Kdump(kdump)) => to_parts(options, &dump, parts, kdump, &mut place),
            // Refused with the command line.
            _ => return Err(unsupported("--split with -E", "leave out one of them")),
        };
        let failure = match result {
            Ok(report) => return end(options, &report, to),
            Err(failure) => failure,
        };
        // makedumpfile(8), "-d": the next level is for a disk that is full.
        let full = is_out_of_space(&failure.error);
        let said = Failure::from(failure).of(place.display());
        match levels.peek() {
            Some(next) if full => options.voice.warn(&format!("makedumpfile: {said}; trying -d {next}")),
            _ => return Err(said),
        }
    }
    Ok(())
}

/// Into the files of a set.
fn to_parts(
    options: &Options,
    dump: &Dump<'_>,
    parts: &[PathBuf],
    kdump: KdumpOptions,
    place: &mut PathBuf,
) -> Result<SaveReport, SaveFailure> {
    let mut meter = options.voice.meter();
    let mut progress = |state| {
        meter.show(state);
        ControlFlow::Continue(())
    };
    let result = kdump_vmcore::save_split(dump, parts, kdump, &mut progress);
    meter.finish();
    result.map_err(|failed| {
        *place = failed.destination.unwrap_or_else(|| place.clone());
        *failed.failure
    })
}

/// To standard output.
pub(super) fn stream(options: &Options, from: &PathBuf) -> CommandResult {
    let dump = open(core::slice::from_ref(from), options)?;
    begin(options, &dump);
    // What went into a pipe cannot be taken back: there is no second level to try.
    let level = options.levels.first().copied().unwrap_or(0);
    let format = format(options, level)?;
    let mut meter = options.voice.meter();
    let mut progress = |state| {
        meter.show(state);
        ControlFlow::Continue(())
    };
    let result = kdump_vmcore::save_stream(&dump, format, &mut stdout()?, &mut progress);
    meter.finish();
    end(options, &result?, &[PathBuf::from("STDOUT")])
}

/// One file of the parts of a dump.
pub(super) fn reassemble(options: &Options, from: &[PathBuf], to: &PathBuf) -> CommandResult {
    refuse_existing(options, to)?;
    let dump = open(from, options)?;
    // Whoever forgets a part has it: nothing is lost by asking for it.
    let defects = &dump.completeness().defects;
    if let Some(forgotten) = defects.iter().find(|defect| matches!(defect, Error::PartNotGiven { .. })) {
        let failure = Failure::new(forgotten);
        return Err(match beside(from) {
            Some(names) => failure.and_says(&format!("beside those that were given are {names}")),
            None => failure,
        });
    }
    let codecs = dump.facts().details.iter().find(|(name, _)| *name == "codecs");
    let used = codecs.and_then(|(_, text)| Codec::ALL.into_iter().find(|codec| text.contains(codec.name())));
    let kdump = KdumpOptions::default()
        .codec(options.codec.or(used).map(|codec| writable(options, codec)))
        .threads(options.threads);
    let report = to_file(options, &dump, to, SaveFormat::Kdump(kdump));
    end(
        options,
        &report.map_err(|failure| Failure::from(failure).of(to.display()))?,
        core::slice::from_ref(to),
    )
}

/// Files that are called like the parts that were given but for a number in their names, and may be the others; also
/// those that were not finished.
fn beside(given: &[PathBuf]) -> Option<String> {
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    let names: Vec<String> = given.iter().filter_map(|path| name(path)).collect();
    let directory = given.first()?.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(directory.unwrap_or(Path::new("."))).ok()?;
    let others = entries.flatten().filter_map(|entry| name(&entry.path()));
    let mut others: Vec<String> = others
        .filter(|other| !names.contains(other) && names.iter().any(|name| stem(name) == stem(other)))
        .collect();
    others.sort();
    others.truncate(LINES);
    (!others.is_empty()).then(|| others.join(", "))
}

/// A name with a sign in the place of each number.
fn stem(name: &str) -> String {
    let mut stem = String::new();
    for letter in name.strip_suffix(".incomplete").unwrap_or(name).chars() {
        match letter {
            '0'..='9' if stem.ends_with('#') => {}
            '0'..='9' => stem.push('#'),
            _ => stem.push(letter),
        }
    }
    stem
}

/// What is written, in the one place that knows which of the options this version can follow.
fn format(options: &Options, level: u8) -> Result<SaveFormat, Failure> {
    let exclude = Classes::from_level(level);
    if options.elf {
        return Ok(SaveFormat::Elf(ElfOptions::default().exclude(exclude).threads(options.threads)));
    }
    let codec = options.codec.map(|codec| writable(options, codec));
    Ok(SaveFormat::Kdump(KdumpOptions::default().codec(codec).exclude(exclude).threads(options.threads)))
}

/// The codec, or one that every reader knows in its place: no dump is worse than one that is
/// compressed otherwise.
fn writable(options: &Options, codec: Codec) -> Codec {
    if codec.can_encode() {
        return codec;
    }
    options
        .voice
        .warn(&format!("makedumpfile: this build does not write {codec}: pages are compressed by {INSTEAD}"));
    INSTEAD
}

fn unsupported(what: &str, instead: &str) -> Failure {
    Failure::new(format!("{what} is not supported by this version: {instead}"))
}

/// What is told and asked for in front of the copy.
fn begin(options: &Options, dump: &Dump<'_>) {
    let defects = &dump.completeness().defects;
    for defect in defects.iter().take(LINES) {
        options.voice.warn(&format!("makedumpfile: the source is damaged: {defect}"));
    }
    if let Some(more) = defects.len().checked_sub(LINES).filter(|&more| more > 0) {
        options.voice.warn(&format!("makedumpfile: and {more} more defects"));
    }
    // makedumpfile(8), "--vtop": "it does not affect the dumpfile creation".
    if let Some(Err(failure)) = options.vtop.map(|vaddr| translate(options, dump, vaddr)) {
        options.voice.warn(&format!("makedumpfile: {failure}"));
    }
}

fn to_file(
    options: &Options,
    dump: &Dump<'_>,
    to: &Path,
    format: SaveFormat,
) -> Result<SaveReport, SaveFailure> {
    let mut meter = options.voice.meter();
    let mut progress = |state| {
        meter.show(state);
        ControlFlow::Continue(())
    };
    let how = SaveOptions::default().force(options.force).format(format);
    let result = kdump_vmcore::save(dump, to, how, &mut progress);
    meter.finish();
    result
}

/// The ending that scripts look for. What the source lacked is told, and is no failure: scripts throw
/// away what they are told has failed.
fn end(options: &Options, report: &SaveReport, places: &[PathBuf]) -> CommandResult {
    let place = listed(places);
    options.voice.report(&usage::statistics(report));
    if !report.is_whole() {
        options.voice.warn(&format!("makedumpfile: {place} is saved, but {}", lacking(report)));
    }
    let files = if places.len() == 1 { "dumpfile is" } else { "dumpfiles are" };
    options.voice.say(&format!("\nThe {files} saved to {place}."));
    Ok(())
}

/// Names in a sentence.
fn listed(places: &[PathBuf]) -> String {
    let names: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// Whether a disk was full.
fn is_out_of_space(error: &Error) -> bool {
    matches!(error, Error::Io { cause, .. } | Error::File { cause, .. } if cause.is_out_of_space())
}
