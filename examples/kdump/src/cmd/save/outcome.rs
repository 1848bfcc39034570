//! What became of a save: for the exit status, for people and for programs.

use core::time::Duration;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{SaveFailure, SaveFormat, SaveReport};
use serde_json::{Value, json};

use super::report::{document, is_followed, lacking, left_out, order};
use crate::failure::{CommandResult, Failure};

/// How a save ended.
pub(super) enum Outcome {
    /// All is saved, and the source lacked nothing.
    Whole(SaveReport),
    /// All is saved that the source had.
    Lacking(SaveReport),
    /// A part is saved: in an unfinished file, or somewhere behind a pipe.
    Part(Failure, SaveFailure),
    /// Nothing is saved.
    Nothing(Failure),
}

/// What a document tells besides the outcome.
#[derive(Default)]
pub(super) struct Told {
    /// As far as it is known.
    pub(super) format: Option<SaveFormat>,
    /// What was said before the first byte was written.
    pub(super) warning: Option<String>,
    /// The files there are of a set.
    pub(super) set: Option<Vec<PathBuf>>,
}

/// Ends a save that could not begin: also then there is a document where one is asked for. Returns the failure.
///
/// # Errors
/// Where standard output takes no document.
pub(super) fn early(matches: &ArgMatches, failure: Failure) -> Result<Failure, Failure> {
    const USAGE: u8 = 2;
    if !matches.get_flag("json") || failure.status() == USAGE {
        return Ok(failure);
    }
    let outcome = Outcome::Nothing(failure);
    crate::json::print(&outcome.document(Told::default(), Path::new(""), Duration::ZERO))?;
    match outcome {
        Outcome::Nothing(failure) => Ok(failure),
        _ => Ok(Failure::new("nothing is saved")),
    }
}

impl Outcome {
    /// That of a save to `destination`, which --resume can go on with or not; of a set some files may be there even if
    /// nothing is of the one that failed.
    pub(super) fn of(
        result: Result<SaveReport, SaveFailure>,
        destination: &Path,
        can_resume: bool,
        others: bool,
    ) -> Self {
        match result {
            Ok(report) if report.is_whole() => Self::Whole(report),
            Ok(report) => Self::Lacking(report),
            Err(failure) => {
                let told = Failure::from(failure.clone()).of(destination.display());
                if failure.kept.is_none() && failure.good == 0 && !others {
                    return Self::Nothing(told);
                }
                let is_file = failure.kept.as_ref().is_some_and(|kept| kept != destination);
                let hint = if can_resume && is_file { "; --resume goes on with it" } else { "" };
                Self::Part(told.in_part().followed_by(hint), failure)
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Whole(_) => "complete",
            Self::Lacking(_) => "lacking",
            Self::Part(..) => "incomplete",
            Self::Nothing(_) => "nothing",
        }
    }

    /// What was done; nothing where nothing was.
    pub(super) fn report(&self) -> Option<&SaveReport> {
        match self {
            Self::Whole(report) | Self::Lacking(report) => Some(report),
            Self::Part(..) | Self::Nothing(_) => None,
        }
    }

    /// All of it, for a program.
    pub(super) fn document(&self, told: Told, destination: &Path, time: Duration) -> Value {
        let Told { format, warning, set } = told;
        let (done, kept, good) = match self {
            Self::Whole(report) | Self::Lacking(report) => {
                (Some(report), Some(destination), Some(report.file_size))
            }
            Self::Part(_, failure) => (Some(&*failure.report), failure.kept.as_deref(), Some(failure.good)),
            Self::Nothing(_) => (None, None, None),
        };
        let error = match self {
            Self::Whole(_) => None,
            Self::Lacking(report) => Some(lacking(report)),
            Self::Part(told, _) | Self::Nothing(told) => Some(told.to_string()),
        };
        let name = |path: &Path| path.display().to_string();
        // No file has the name that was given for a set.
        let one = kept.filter(|_| set.is_none()).map(name);
        let files = set.map(|set| set.iter().map(|path| name(path)).collect());
        let files: Vec<String> = files.unwrap_or_else(|| one.iter().cloned().collect());
        let warnings = done.map(warnings).unwrap_or_default();
        let mut all = json!({
            "outcome": self.name(),
            "status": self.status(),
            "format": format.map(format_name),
            "codec": format.and_then(codec_name),
            "file": one,
            "files": files,
            "good_bytes": good,
            "error": error,
            "warnings": warning.into_iter().chain(warnings).collect::<Vec<String>>(),
            "report": done.map(|report| document(report, time)),
        });
        // What is not there may be anything, and lack anything.
        for place in ["/report/saved", "/report/whole"] {
            if let (Self::Part(..), Some(value)) = (self, all.pointer_mut(place)) {
                *value = false.into();
            }
        }
        all
    }

    fn status(&self) -> u8 {
        match self {
            Self::Whole(_) => 0,
            Self::Lacking(_) => 3,
            Self::Part(told, _) | Self::Nothing(told) => told.status(),
        }
    }

    /// What the command returns.
    pub(super) fn end(self, destination: &Path) -> CommandResult {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Lacking(report) => {
                let text = format!("{} is saved, but {}", destination.display(), lacking(&report));
                Err(Failure::lacking(text))
            }
            Self::Part(told, _) | Self::Nothing(told) => Err(told),
        }
    }
}

fn format_name(format: SaveFormat) -> &'static str {
    match format {
        SaveFormat::Elf(_) => "elf",
        SaveFormat::Raw => "raw",
        SaveFormat::Kdump(_) => "kdump",
        SaveFormat::Flattened(_) => "flattened",
        SaveFormat::FlattenedElf(_) => "flattened elf",
        _ => "other",
    }
}

/// What its compressed pages are compressed by.
fn codec_name(format: SaveFormat) -> Option<&'static str> {
    match format {
        SaveFormat::Kdump(options) | SaveFormat::Flattened(options) => options.codec.map(Codec::name),
        _ => None,
    }
}

/// What is to be known of the file besides what it lacks.
fn warnings(report: &SaveReport) -> Vec<String> {
    let doubt = &report.left_out;
    let odd = doubt.doubt.is_some() || doubt.unreadable > 0 || doubt.without > 0;
    let order = order(report.order).filter(|_| !is_followed(report.order));
    left_out(doubt).into_iter().filter(|line| odd && line.starts_with("kept")).chain(order).collect()
}
