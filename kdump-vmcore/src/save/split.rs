//! Saving a dump as a set of files, as makedumpfile does with `--split`.

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::draft::{Draft, check};
use super::file::keep;
use super::{Interrupted, KdumpOptions, KdumpPlan, LeftOut, SaveFailure, SaveReport};
use crate::dump::{Dump, MAX_UNREADABLE};
use crate::error::Error;
use crate::progress::Progress;
use crate::room::push;

/// What takes room for each file.
const WHAT: &str = "the parts of the dump";

/// Saving a set of files that failed: one of them did first, or all cannot be begun.
#[derive(Clone, Debug, Error)]
#[error("{failure}")]
#[non_exhaustive]
pub struct SplitFailure {
    /// Which of the destinations failed; `None` where it is no matter of one.
    pub destination: Option<PathBuf>,
    /// How, and what is left of it. The report is that of all files.
    pub failure: Box<SaveFailure>,
    /// What there is of the set, in the order of the destinations: finished files under their names, and the others that
    /// are kept under those they were written by.
    pub files: Vec<PathBuf>,
}

impl SplitFailure {
    fn early(destination: Option<&Path>, error: Error) -> Self {
        let failure = Box::new(SaveFailure::early(error));
        Self { destination: destination.map(Path::to_owned), failure, files: Vec::new() }
    }

    fn all(error: Error) -> Self {
        Self::early(None, error)
    }
}

/// Saves `dump` as a set of kdump-compressed files, one at each of `destinations`, which must be given together to
/// read them ([`Dump::open_parts`]): here, to crash, to libkdumpfile, to `makedumpfile --reassemble`.
///
/// Each file has the headers and bitmaps of all and a share of the pages, by address; one thread writes it
/// ([`KdumpPlan::copy_split`]). It is written as [`save`](crate::save) writes one, and appears under its name when it
/// is finished. One that fails is kept as far as it came and ends none of the others. `progress` may end all.
///
/// The report is that of all files.
///
/// # Errors
/// [`SplitFailure`] of the first file that failed by itself.
pub fn save_split(
    dump: &Dump<'_>,
    destinations: &[PathBuf],
    options: KdumpOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SplitFailure> {
    if let Some(reason) = unlike_files(destinations) {
        return Err(SplitFailure::all(Error::Refused { reason }));
    }
    for destination in destinations {
        check(destination, dump.files()).map_err(|error| SplitFailure::early(Some(destination), error))?;
    }
    let plan = KdumpPlan::new(dump, options).map_err(SplitFailure::all)?;
    plan.split(u16::try_from(destinations.len()).unwrap_or(u16::MAX)).map_err(SplitFailure::all)?;
    let mut drafts = Vec::new();
    for destination in destinations {
        let draft = Draft::create(destination, dump.files());
        let draft = draft.map_err(|error| SplitFailure::early(Some(destination), error))?;
        push(&mut drafts, WHAT, draft).map_err(SplitFailure::all)?;
    }
    let mut sinks = Vec::new();
    for draft in &drafts {
        push(&mut sinks, WHAT, draft.file()).map_err(SplitFailure::all)?;
    }
    let outcomes = plan.copy_split(&mut sinks, progress).map_err(SplitFailure::all)?;
    let mut all = SaveReport::default();
    let (mut failures, mut files) = (Vec::new(), Vec::new());
    for ((draft, destination), outcome) in drafts.into_iter().zip(destinations).zip(outcomes) {
        all.removed_leftover |= draft.removed_leftover();
        let failure = match outcome {
            Ok(report) => {
                let failed = place(draft, destination, report.file_size).err();
                all = joined(all, report);
                failed
            }
            Err(Interrupted { error, good, size, report }) => {
                all = joined(all, *report);
                let report = Box::default();
                Some(keep(draft, Interrupted { error, good, size, report }, true))
            }
        };
        let there = failure.as_ref().map_or(Some(destination), |failure| failure.kept.as_ref());
        files.extend(there.cloned());
        let destination = Some(destination.clone());
        let of = |failure| SplitFailure { destination, failure: Box::new(failure), files: Vec::new() };
        failures.extend(failure.map(of));
    }
    // Those that were asked to end tell less than one that failed by itself.
    let own = failures.iter().position(|failed| failed.failure.error != Error::Cancelled).unwrap_or(0);
    match failures.into_iter().nth(own) {
        Some(mut failed) => {
            failed.failure.report = Box::new(all);
            failed.files = files;
            Err(failed)
        }
        None => Ok(all),
    }
}

/// Why these cannot be the files of one set.
fn unlike_files(destinations: &[PathBuf]) -> Option<&'static str> {
    let twice = |(index, path): (usize, &PathBuf)| {
        destinations.get(..index).unwrap_or_default().iter().any(|other| other == path)
    };
    if destinations.is_empty() {
        return Some("a set of parts has one file at least");
    }
    let twice = destinations.iter().enumerate().any(twice);
    twice.then_some("two parts of one dump would be the same file")
}

/// The report of two files of a set, of which the first tells what the source lacked.
fn joined(mut all: SaveReport, other: SaveReport) -> SaveReport {
    let sums = [
        (&mut all.file_size, other.file_size),
        (&mut all.memory, other.memory),
        (&mut all.written, other.written),
        (&mut all.missing, other.missing),
        (&mut all.corrupt, other.corrupt),
        (&mut all.given_up, other.given_up),
        (&mut all.stored.zero, other.stored.zero),
        (&mut all.stored.plain, other.stored.plain),
        (&mut all.stored.compressed, other.stored.compressed),
        (&mut all.unreadable.bytes, other.unreadable.bytes),
        (&mut all.unreadable.unlisted, other.unreadable.unlisted),
    ];
    for (sum, other) in sums {
        *sum = sum.saturating_add(other);
    }
    all.times.add(other.times);
    all.source_defects = all.source_defects.max(other.source_defects);
    if all.left_out == LeftOut::default() {
        all.left_out = other.left_out;
    }
    let ranges = &mut all.unreadable.ranges;
    for lost in other.unreadable.ranges {
        if ranges.len() < MAX_UNREADABLE && ranges.try_reserve(1).is_ok() {
            ranges.push(lost);
        } else {
            all.unreadable.unlisted = all.unreadable.unlisted.saturating_add(1);
        }
    }
    all
}

/// Puts a file that is written in its place.
fn place(mut draft: Draft, destination: &Path, size: u64) -> Result<(), SaveFailure> {
    let synced = draft.sync();
    let good = if synced.is_ok() { size } else { 0 };
    synced.and_then(|()| draft.place_it()).map_err(|error| {
        let kept = Some(if draft.is_placed() { destination.to_owned() } else { draft.leave() });
        SaveFailure { error, kept, good, size, report: Box::default() }
    })
}
