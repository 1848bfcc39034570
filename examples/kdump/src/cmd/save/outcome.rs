//! What became of a save: for the exit status, for people and for programs.

use core::time::Duration;
use std::path::Path;

use kdump_vmcore::codec::Codec;
use kdump_vmcore::{SaveFailure, SaveFormat, SaveReport};
use serde_json::{Value, json};

use super::{document, lacking, left_out, order};
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

impl Outcome {
    /// That of a save to `destination`, which --resume can go on with or not.
    pub(super) fn of(result: Result<SaveReport, SaveFailure>, destination: &Path, can_resume: bool) -> Self {
        match result {
            Ok(report) if report.is_whole() => Self::Whole(report),
            Ok(report) => Self::Lacking(report),
            Err(failure) => {
                let told = Failure::from(failure.clone()).of(destination.display());
                if failure.kept.is_none() && failure.good == 0 {
                    return Self::Nothing(told);
                }
                // Streams have no size that is known; nothing in them tells how far they are.
                let is_file = failure.kept.as_ref().is_some_and(|kept| kept != destination);
                let hint =
                    if can_resume && is_file && failure.size > 0 { "; --resume goes on with it" } else { "" };
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
    pub(super) fn document(&self, format: SaveFormat, destination: &Path, time: Duration) -> Value {
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
        let mut all = json!({
            "outcome": self.name(),
            "status": self.status(),
            "format": format_name(format),
            "codec": codec_name(format),
            "file": kept.map(|path| path.display().to_string()),
            "good_bytes": good,
            "error": error,
            "warnings": done.map(warnings).unwrap_or_default(),
            "report": done.map(|report| document(report, time)),
        });
        if let (Self::Part(..), Some(saved)) = (self, all.pointer_mut("/report/saved")) {
            *saved = false.into();
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
    let order = order(report.order).filter(|_| !super::is_followed(report.order));
    left_out(doubt).into_iter().filter(|line| odd && line.starts_with("kept")).chain(order).collect()
}
