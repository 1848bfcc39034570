//! Writing a file: for its owner only, whole or not at all, never through a symbolic link and
//! never over what is read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{CommandResult, Failure};
use crate::files;

/// Names tried for a draft; earlier ones are of attempts that were killed.
const ATTEMPTS: u32 = 1000;

/// A file that appears under its name when it is whole.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    place: PathBuf,
    /// In the same directory; removed unless it becomes the file.
    draft: PathBuf,
}

impl NewFile {
    /// Begins a file at `place`, mode 0600. What is there stays until [`NewFile::keep`]; it must
    /// be a regular file, and none of `inputs`.
    pub(crate) fn create(place: &Path, inputs: &[&Path]) -> Result<Self, Failure> {
        if place.file_name().is_none() {
            return Err(Failure::new(format!(
                "{:?} is no name of a file to write",
                place.display().to_string()
            )));
        }
        inputs.iter().try_for_each(|input| files::refuse_same(place, input))?;
        match place.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failure(place, &error)),
            Ok(there) if there.is_symlink() => return Err(link(place, "file")),
            Ok(there) if !there.is_file() => {
                return Err(Failure::new(format!(
                    "{}: is no regular file, and is not replaced",
                    place.display()
                )));
            }
            Ok(_) => {}
        }
        let (file, draft) = draft(place).map_err(|error| failure(place, &error))?;
        Ok(Self { file, place: place.to_owned(), draft })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Writes all of the content.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> CommandResult {
        io::Write::write_all(&mut self.file, bytes).map_err(|error| failure(&self.place, &error))
    }

    /// Gives the file its name, once it is on the disk.
    pub(crate) fn keep(self) -> CommandResult {
        let kept = self.file.sync_all().and_then(|()| fs::rename(&self.draft, &self.place));
        kept.map_err(|error| failure(&self.place, &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Not there any more when it was kept.
        let _ = fs::remove_file(&self.draft);
    }
}

/// Makes a directory, mode 0700, and those above it that are missing. One that is there is used as it
/// is.
pub(crate) fn directory(place: &Path) -> CommandResult {
    match place.symlink_metadata() {
        Ok(there) if there.is_symlink() => return Err(link(place, "directory")),
        _ => {}
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(place).map_err(|error| failure(place, &error))
}

/// A new file in the directory of `place`, whatever the length of its name.
fn draft(place: &Path) -> io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    for attempt in 0..ATTEMPTS {
        let draft = place.with_file_name(format!(".kdump.{}.{attempt}.part", std::process::id()));
        match options.open(&draft) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (file, draft)),
        }
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "remove the files .kdump.*.part beside it"))
}

fn link(place: &Path, what: &str) -> Failure {
    Failure::new(format!("{}: is a symbolic link; give the {what} it leads to", place.display()))
}

fn failure(place: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", place.display()))
}
