//! Saving into a file or onto a block device, so that a crash in between leaves no file that
//! looks complete.

use core::ops::ControlFlow;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::device::{self, Device};
use super::draft::{Draft, check, failed};
use super::{Interrupted, SavePlan, SaveReport};
use crate::dump::Dump;
use crate::error::Error;
use crate::progress::Progress;

/// Saving that failed, and what is left of it.
#[derive(Clone, Debug, Error)]
#[error("{error}{}", self.left())]
pub struct SaveFailure {
    /// Why.
    pub error: Error,
    /// Where the part that was saved is, which says that it is unfinished; `None` when there is
    /// none.
    pub kept: Option<PathBuf>,
    /// Bytes from the start of the file that are good.
    pub good: u64,
    /// Bytes the file should have had.
    pub size: u64,
    /// What was done until then.
    pub report: Box<SaveReport>,
}

impl SaveFailure {
    fn left(&self) -> String {
        match (&self.kept, self.good) {
            (Some(path), 0) => format!("; what was written is kept in {}", path.display()),
            (Some(path), good) => {
                format!("; the first {good} of {} bytes are usable in {}", self.size, path.display())
            }
            (None, _) => String::new(),
        }
    }

    fn early(error: Error) -> Self {
        Self { error, kept: None, good: 0, size: 0, report: Box::default() }
    }
}

/// What the caller of [`save`] allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaveOptions {
    /// Write over a device that holds something else than zeros or a dump.
    pub force: bool,
}

/// Saves `dump` as an ELF core at `destination`.
///
/// A regular file is written under its name with `.incomplete` appended ([`Draft`]), synced, and
/// renamed when it is finished; whatever was there is replaced in one step. An `.incomplete` file
/// that no process has locked was left by one that was killed, and is removed first. Zero pages
/// become holes. When the file system is full, or saving ends early for another reason, the
/// `.incomplete` file stays, cut to what is good: it says that it is unfinished. The file is
/// readable by its owner only: it holds the secrets of the dead kernel.
///
/// A block device is written in place, zeros included; nobody else may be using it, and its
/// first MiB must be zeros or begin with a dump, unless `options` say otherwise.
///
/// Neither is anything the dump is read from. What the source lacked is no failure: the copy
/// remembers it, and [`SaveReport::is_whole`] tells.
///
/// # Errors
/// [`SaveFailure`].
pub fn save(
    dump: &Dump<'_>,
    destination: &Path,
    options: SaveOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    match std::fs::metadata(destination) {
        Ok(found) if found.file_type().is_block_device() => {
            let plan = SavePlan::elf(dump).map_err(SaveFailure::early)?;
            save_to_device(&plan, destination, options, progress)
        }
        _ => save_to_file(dump, destination, progress),
    }
}

fn save_to_file(
    dump: &Dump<'_>,
    destination: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    // First, so that nothing long is done for a name that cannot be used.
    check(destination, dump.files()).map_err(SaveFailure::early)?;
    // Before the draft: it takes the place of one that may be all there is of an earlier dump.
    let plan = SavePlan::elf(dump).map_err(SaveFailure::early)?;
    let mut draft = Draft::create(destination, dump.files()).map_err(SaveFailure::early)?;
    let mut report = match plan.copy(&mut draft.file(), progress) {
        Ok(report) => report,
        Err(interrupted) => return Err(keep(draft, interrupted)),
    };
    report.removed_leftover = draft.removed_leftover();
    match draft.place_it() {
        Ok(()) => Ok(report),
        Err(error) => {
            let placed = draft.is_placed();
            let (kept, good) =
                (Some(if placed { destination.to_owned() } else { draft.leave() }), plan.size());
            Err(SaveFailure { error, kept, good, size: plan.size(), report: Box::new(report) })
        }
    }
}

/// Cuts the file to its good part, or removes it when there is none.
fn keep(draft: Draft, interrupted: Interrupted) -> SaveFailure {
    let Interrupted { error, good, size, mut report } = interrupted;
    report.removed_leftover = draft.removed_leftover();
    let kept = (good != 0).then(|| {
        // Neither step can help when it fails: the error that ended the work is the one to tell.
        let _ = draft.file().set_len(good).and_then(|()| draft.file().sync_all());
        draft.leave()
    });
    SaveFailure { error, kept, good, size, report }
}

fn save_to_device(
    plan: &SavePlan<'_>,
    destination: &Path,
    options: SaveOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    let device = device::open(destination, plan.dump.files(), plan.size(), options.force);
    let device = device.map_err(SaveFailure::early)?;
    let report = plan.copy(&mut Device(&device), progress).map_err(|interrupted| {
        let Interrupted { error, good, size, report } = interrupted;
        let kept = (good != 0).then(|| destination.to_owned());
        SaveFailure { error, kept, good, size, report }
    })?;
    match device.sync_all().map_err(failed("sync the device")) {
        Ok(()) => Ok(report),
        Err(error) => {
            let (kept, size, report) = (Some(destination.to_owned()), plan.size(), Box::new(report));
            Err(SaveFailure { error, kept, good: 0, size, report })
        }
    }
}
