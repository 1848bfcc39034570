//! A file in the making: under a name of its own in the same directory, locked, and in its place
//! when it is whole.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use crate::error::Error;
use crate::source::{FileId, custom};

/// Appended to the name of a file that is being written.
const SUFFIX: &str = ".incomplete";
/// Longest name that gets the suffix as it is; file systems allow 255 bytes.
const LONGEST: usize = 240;
/// How often another process may take the name away between two steps.
const ATTEMPTS: u32 = 16;

/// A file that is being written, and appears under its name when it is whole.
///
/// The draft is `NAME.incomplete` beside it, made anew, mode 0600, and locked (`flock(2)`) as long as
/// this lives. A draft that is there already and not locked was left by a process that was killed, and is
/// removed; a locked one is an error. Unless it is kept or left, the draft is removed when this is dropped.
#[derive(Debug)]
pub struct Draft {
    file: File,
    place: PathBuf,
    name: PathBuf,
    id: FileId,
    removed_leftover: bool,
    stays: bool,
    placed: bool,
}

impl Draft {
    /// Begins a file at `place`. What is there stays until [`Draft::keep`]; it must be a regular
    /// file. None of `sources`, which are being read, is ever written over or removed.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::File`].
    pub fn create(place: &Path, sources: &[FileId]) -> Result<Self, Error> {
        check(place, sources)?;
        let name = draft_name(place)?;
        let (file, removed_leftover) = exclusive(&name, sources)?;
        let id = file.metadata().map_err(failed("look at the .incomplete file"))?;
        let (place, id) = (place.to_owned(), FileId::of(&id));
        Ok(Self { file, place, name, id, removed_leftover, stays: false, placed: false })
    }

    /// Goes on with the draft that an earlier attempt has left at `place`, which stays whatever becomes of this one;
    /// `None` when there is none.
    ///
    /// # Errors
    /// Those of [`Draft::create`].
    pub(super) fn leftover(place: &Path, sources: &[FileId]) -> Result<Option<Self>, Error> {
        check(place, sources)?;
        let name = draft_name(place)?;
        let Some((file, id)) = open_leftover(&name, sources, true)? else { return Ok(None) };
        let place = place.to_owned();
        Ok(Some(Self { file, place, name, id, removed_leftover: false, stays: true, placed: false }))
    }

    /// The file to write.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its name until it is kept.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether a draft of a process that was killed was removed.
    #[must_use]
    pub fn removed_leftover(&self) -> bool {
        self.removed_leftover
    }

    /// Puts the file in its place, once it is on the disk.
    ///
    /// # Errors
    /// [`Error::File`] when the system refuses, [`Error::Refused`] when the draft's name no longer
    /// means this file.
    pub fn keep(mut self) -> Result<(), Error> {
        self.sync()?;
        self.place_it()
    }

    /// Leaves the draft where it is and returns its name.
    #[must_use]
    pub fn leave(mut self) -> PathBuf {
        self.stays = true;
        self.name.clone()
    }

    /// As [`Draft::leave`]; `None` when its name means another file, or none.
    pub(super) fn leave_if_named(self) -> Option<PathBuf> {
        is_named(&self.name, self.id).then(|| self.leave())
    }

    /// Whether the file has its name.
    pub(super) fn is_placed(&self) -> bool {
        self.placed
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(failed("sync the file"))
    }

    /// Of a file that is synced.
    pub(super) fn place_it(&mut self) -> Result<(), Error> {
        if !is_named(&self.name, self.id) {
            let reason = "another process has renamed or removed the .incomplete file: nothing is replaced";
            return Err(Error::Refused { reason });
        }
        fs::rename(&self.name, &self.place).map_err(failed("rename the .incomplete file"))?;
        (self.stays, self.placed) = (true, true);
        let parent = self.place.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new(".")));
        directory.and_then(|directory| directory.sync_all()).map_err(failed("sync the directory"))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.stays && is_named(&self.name, self.id) {
            let _ = fs::remove_file(&self.name);
        }
    }
}

pub(super) fn failed(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::File { action, cause: (&error).into() }
}

/// Whether a file can be written at `place` at all.
pub(super) fn check(place: &Path, sources: &[FileId]) -> Result<(), Error> {
    let refuse = |reason| Err(Error::Refused { reason });
    let bytes = place.as_os_str().as_bytes();
    if bytes.is_empty() {
        return refuse("an empty name is no file to write");
    }
    if place.file_name().is_none() || bytes.ends_with(b"/") {
        return refuse("this is no name of a file to write");
    }
    match place.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at what is there")(error)),
        Ok(found) if found.is_symlink() => refuse("is a symbolic link; give the file it leads to"),
        Ok(found) if found.is_dir() => refuse("is a directory, no regular file; name a file in it"),
        Ok(found) if !found.is_file() => refuse("is no regular file, and is not replaced"),
        Ok(found) if sources.contains(&FileId::of(&found)) => {
            refuse("writing it would destroy the very file that is to be read")
        }
        Ok(_) => Ok(()),
    }
}

/// `NAME.incomplete`; of a name that is too long for that the beginning and a number made of all of it.
fn draft_name(place: &Path) -> Result<PathBuf, Error> {
    let name = place.file_name().ok_or(Error::Refused { reason: "this is no name of a file to write" })?;
    let mut draft = OsString::from(name);
    if name.len() > LONGEST {
        // FNV-1a: names that begin alike get drafts of their own.
        let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let hash = name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
        draft = OsStr::from_bytes(name.as_bytes().get(..200).unwrap_or_default()).to_owned();
        draft.push(format!(".{hash:016x}"));
    }
    draft.push(SUFFIX);
    Ok(place.with_file_name(draft))
}

/// Bytes of the file system that a draft of an earlier attempt takes.
pub(super) fn room_of_leftover(place: &Path) -> u64 {
    let found = draft_name(place).ok().and_then(|name| name.symlink_metadata().ok());
    // st_blocks counts 512 bytes (stat(2)).
    found.filter(fs::Metadata::is_file).map_or(0, |found| found.blocks().saturating_mul(512))
}

/// Whether the name still means this file.
fn is_named(name: &Path, id: FileId) -> bool {
    name.symlink_metadata().is_ok_and(|found| FileId::of(&found) == id)
}

/// Makes the file `name` anew and locks it; says whether one was removed for it.
fn exclusive(name: &Path, sources: &[FileId]) -> Result<(File, bool), Error> {
    let create = failed("create the .incomplete file");
    // What a killed process left stays locked until there is a new one.
    let mut leftover = None;
    for _ in 0..ATTEMPTS {
        let mut options = OpenOptions::new();
        match options.read(true).write(true).create_new(true).mode(0o600).open(name) {
            Ok(file) => {
                match lock(&file) {
                    // A file system without locks has none to respect.
                    Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOLCK | Errno::NOSYS) => {}
                    Err(_) => return Err(busy()),
                }
                let id = FileId::of(&file.metadata().map_err(&create)?);
                if is_named(name, id) {
                    return Ok((file, leftover.is_some()));
                }
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                leftover = remove_leftover(name, sources)?.or(leftover);
            }
            Err(error) => return Err(create(error)),
        }
    }
    Err(busy())
}

/// Removes a draft nobody works on; returns it, locked, when it was there.
fn remove_leftover(name: &Path, sources: &[FileId]) -> Result<Option<File>, Error> {
    let Some((file, _)) = open_leftover(name, sources, false)? else { return Ok(None) };
    fs::remove_file(name).map_err(failed("remove the .incomplete file of an earlier attempt"))?;
    Ok(Some(file))
}

/// Opens a draft nobody works on and locks it.
fn open_leftover(name: &Path, sources: &[FileId], write: bool) -> Result<Option<(File, FileId)>, Error> {
    let taken = "the name with .incomplete appended is taken by something that is no file; move it away";
    match name.symlink_metadata() {
        Err(_) => return Ok(None),
        Ok(found) if !found.is_file() => return Err(Error::Refused { reason: taken }),
        Ok(_) => {}
    }
    let flags = custom(OFlags::NOFOLLOW | OFlags::NONBLOCK);
    let file = match OpenOptions::new().read(true).write(write).custom_flags(flags).open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open the .incomplete file of an earlier attempt")(error)),
    };
    let look = failed("look at the .incomplete file of an earlier attempt");
    let id = FileId::of(&file.metadata().map_err(look)?);
    if sources.contains(&id) {
        let reason = "the .incomplete file beside it is the one to be read, and writing would destroy it; rename it first";
        return Err(Error::Refused { reason });
    }
    lock(&file).map_err(|_| busy())?;
    Ok(is_named(name, id).then_some((file, id)))
}

fn lock(file: &File) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

fn busy() -> Error {
    Error::Refused { reason: "another process is writing it: its .incomplete file is locked" }
}
