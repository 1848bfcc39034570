//! Writing a file: for its owner only, whole or not at all, never through a symbolic link and
//! never over what is read.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kdump_vmcore::{Draft, FileId};

use crate::failure::{CommandResult, Failure};
use crate::files;

/// A file that appears under its name when it is whole.
#[derive(Debug)]
pub(crate) struct NewFile {
    draft: Draft,
    place: PathBuf,
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
        let read: Vec<FileId> =
            inputs.iter().filter_map(|input| input.metadata().ok()).map(|found| FileId::of(&found)).collect();
        let draft = Draft::create(place, &read).map_err(|error| failure(place, &error))?;
        if draft.removed_leftover() {
            leftover(draft.name());
        }
        Ok(Self { draft, place: place.to_owned() })
    }

    pub(crate) fn file(&self) -> &File {
        self.draft.file()
    }

    /// Writes all of the content.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> CommandResult {
        io::Write::write_all(&mut self.draft.file(), bytes).map_err(|error| failure(&self.place, &error))
    }

    /// Gives the file its name, once it is on the disk.
    pub(crate) fn keep(self) -> CommandResult {
        let Self { draft, place } = self;
        draft.keep().map_err(|error| failure(&place, &error))
    }
}

/// Says that the unfinished file of a process that was killed is gone.
pub(crate) fn leftover(name: &Path) {
    let name = name.display();
    crate::terminal::tell!("{name}: left unfinished by a process that is gone, and removed");
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

fn link(place: &Path, what: &str) -> Failure {
    Failure::new(format!("{}: is a symbolic link; give the {what} it leads to", place.display()))
}

fn failure(place: &Path, error: &dyn core::fmt::Display) -> Failure {
    Failure::new(format!("{}: {error}", place.display()))
}
