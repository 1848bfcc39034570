//! Saving into a file or onto a block device, so that a crash in between leaves no file that
//! looks complete.

use core::ops::ControlFlow;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Interrupted, SavePlan, SaveReport, WriteAt};
use crate::dump::Dump;
use crate::error::Error;
use crate::progress::Progress;

/// Saving that failed, and what is left of it.
#[derive(Clone, Debug, Error)]
#[error("{error}{}", self.left())]
pub struct SaveFailure {
    /// Why.
    pub error: Error,
    /// Where the part that was saved is, with valid headers; `None` when there is none.
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

/// Saves `dump` as an ELF core at `destination`.
///
/// A regular file is written under its name with `.incomplete` appended, synced, and renamed
/// when it is complete; whatever was there is replaced in one step, and an `.incomplete` file
/// of an earlier attempt is removed. Zero pages become holes. When the file system is full,
/// or saving ends early for another reason, the `.incomplete` file stays, cut to what is
/// good: its headers are valid and a reader can tell how much is missing. The file is
/// readable by its owner only: it holds the secrets of the dead kernel.
///
/// A block device is written in place, zeros included.
///
/// # Errors
/// [`SaveFailure`].
pub fn save(
    dump: &Dump<'_>,
    destination: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    let plan = SavePlan::elf(dump).map_err(SaveFailure::early)?;
    match std::fs::metadata(destination) {
        Ok(found) if found.file_type().is_block_device() => save_to_device(&plan, destination, progress),
        Ok(found) if !found.is_file() => Err(SaveFailure::early(Error::Unsupported {
            what: "the destination is neither a file nor a block device",
        })),
        _ => save_to_file(&plan, destination, progress),
    }
}

fn save_to_file(
    plan: &SavePlan<'_>,
    destination: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    let failed = |action| move |error| SaveFailure::early(file_error(action, &error));
    let incomplete = incomplete_name(destination);
    match std::fs::remove_file(&incomplete) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("remove the .incomplete file of an earlier attempt")(error));
        }
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&incomplete);
    let file = file.map_err(failed("create the .incomplete file"))?;
    let report = match plan.copy(&mut &file, progress) {
        Ok(report) => report,
        Err(interrupted) => return Err(keep(&file, &incomplete, interrupted)),
    };
    let kept = |good, action| {
        let (kept, report) = (Some(incomplete.clone()), Box::new(report.clone()));
        move |error| SaveFailure { error: file_error(action, &error), kept, good, size: plan.size(), report }
    };
    let synced = file.sync_all();
    synced.map_err(kept(0, "sync the file"))?;
    std::fs::rename(&incomplete, destination).map_err(kept(plan.size(), "rename the complete file"))?;
    sync_directory(destination).map_err(failed("sync the directory"))?;
    Ok(report)
}

/// Cuts the file to its good part, or removes it when there is none.
fn keep(file: &File, path: &Path, interrupted: Interrupted) -> SaveFailure {
    let Interrupted { error, good, size, report } = interrupted;
    // Neither step can help when it fails: the error that ended the work is the one to tell.
    let kept = if good == 0 {
        let _ = std::fs::remove_file(path);
        None
    } else {
        let _ = file.set_len(good).and_then(|()| file.sync_all());
        Some(path.to_owned())
    };
    SaveFailure { error, kept, good, size, report }
}

/// A block device keeps its old content where nothing is written.
struct Device<'a>(&'a File);

impl WriteAt for Device<'_> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.0;
        WriteAt::write_all_at(&mut file, offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        false
    }

    /// A device keeps its size.
    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        Ok(())
    }
}

fn save_to_device(
    plan: &SavePlan<'_>,
    destination: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SaveReport, SaveFailure> {
    let failed = |action| move |error| SaveFailure::early(file_error(action, &error));
    let mut device = OpenOptions::new().write(true).open(destination).map_err(failed("open the device"))?;
    let capacity = device.seek(SeekFrom::End(0)).map_err(failed("find the size of the device"))?;
    if capacity < plan.size() {
        let (value, limit) = (plan.size(), capacity);
        return Err(SaveFailure::early(Error::TooLarge { what: "size of the dump", value, limit }));
    }
    let report = plan.copy(&mut Device(&device), progress).map_err(|interrupted| {
        let Interrupted { error, good, size, report } = interrupted;
        let kept = (good != 0).then(|| destination.to_owned());
        SaveFailure { error, kept, good, size, report }
    })?;
    device.sync_all().map_err(failed("sync the device"))?;
    Ok(report)
}

fn incomplete_name(destination: &Path) -> PathBuf {
    let mut name = OsString::from(destination);
    name.push(".incomplete");
    name.into()
}

/// Makes a rename last.
fn sync_directory(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn file_error(action: &'static str, error: &std::io::Error) -> Error {
    Error::File { action, cause: error.into() }
}
