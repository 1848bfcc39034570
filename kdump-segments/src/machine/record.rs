//! Recording a machine: the files a description needs, copied into a directory.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::paths::{ARCH, ENVIRONMENT, FILES, KALLSYMS, KCORE, KCORE_VALUES};
use super::text_file::bounded;
use super::{Machine, MachineFiles};
use crate::Error;
use crate::target::ppc64::TREE;

/// The list of what was recorded, in the directory itself.
pub(super) const MANIFEST: &str = "kdump-collect.txt";

/// Names tried for a draft.
const ATTEMPTS: u32 = 1000;

/// What a recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Paths relative to the root, and the bytes written.
    pub copied: Vec<(String, u64)>,
    /// Files that exist but could not be read, and why.
    pub unreadable: Vec<(String, String)>,
    /// Files looked for that this machine does not have.
    pub missing: Vec<String>,
}

impl Machine {
    /// Copies the files a description is made from into the directory `to`, so that
    /// [`Machine::collect`] of it gives the same machine anywhere, and those that tell whether
    /// the kernel would accept a load ([`probe_environment`](crate::load::probe_environment)).
    ///
    /// Of proc/kcore ELF header, program headers and notes are copied, of proc/kallsyms the
    /// lines of a few symbols; everything else verbatim. How `to` is written:
    /// [`MachineFiles::write`].
    ///
    /// # Errors
    /// Those of [`MachineFiles::read`] and [`MachineFiles::write`], and [`Error::File`] when
    /// nothing can be read below `from`.
    pub fn record(from: &Path, to: &Path) -> Result<Recorded, Error> {
        let files = MachineFiles::read_all(from)?;
        // The architecture alone, which may be this program's own, is no recording.
        if files.iter().all(|(path, _)| path == ARCH) {
            let cause = match files.unreadable().next() {
                Some((path, cause)) => format!("nothing can be read, first of all {path}: {cause}"),
                None => "has no files of /proc and /sys: nothing to record".to_owned(),
            };
            return Err(Error::File { path: from.display().to_string(), cause });
        }
        files.write(to)
    }
}

impl MachineFiles {
    /// Writes the files into the directory `to`, which is made if need be and must be empty.
    ///
    /// What is written is for its owner only (modes 0700 and 0600). It appears when it is whole,
    /// the list `kdump-collect.txt` last; when anything fails, nothing of it stays.
    ///
    /// # Errors
    /// [`Error::File`], also when `to` is a symbolic link or not empty.
    pub fn write(&self, to: &Path) -> Result<Recorded, Error> {
        let place = Place::new(to)?;
        let draft = Draft::new(&place)?;
        let mut recorded = Recorded::default();
        for (path, content) in self.iter() {
            if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
                let cause = "is not a plain relative path".to_owned();
                return Err(Error::File { path: path.to_owned(), cause });
            }
            write_file(&draft.0.join(path), content)?;
            recorded.copied.push((path.to_owned(), content.len() as u64));
        }
        recorded.unreadable =
            self.unreadable().map(|(path, cause)| (path.to_owned(), cause.to_owned())).collect();
        let wanted = FILES.into_iter().chain(ENVIRONMENT).chain([KCORE, KALLSYMS]);
        recorded.missing = wanted
            .filter(|path| ![KCORE_VALUES, TREE].contains(path))
            .filter(|path| self.get(path).is_none() && !self.unreadable().any(|(other, _)| other == *path))
            .map(ToOwned::to_owned)
            .collect();
        write_file(&draft.0.join(MANIFEST), manifest(&recorded).as_bytes())?;
        draft.publish(&place)?;
        Ok(recorded)
    }
}

/// The directory to be.
struct Place {
    path: PathBuf,
    exists: bool,
}

impl Place {
    fn new(to: &Path) -> Result<Self, Error> {
        // Without a slash at the end, which would follow a link; `.` and `..` have no name.
        let path = match to.file_name() {
            Some(_) => to.components().collect(),
            None => to.canonicalize().map_err(|error| io(to, &error))?,
        };
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { path, exists: false }),
            Err(error) => return Err(io(to, &error)),
            Ok(metadata) if metadata.is_symlink() => {
                let cause = "is a symbolic link: give the directory it leads to".to_owned();
                return Err(Error::File { path: to.display().to_string(), cause });
            }
            Ok(_) => {}
        }
        let mut entries = fs::read_dir(&path).map_err(|error| io(to, &error))?;
        if entries.next().is_some() {
            let cause = "is not empty: an older recording would mix with this one".to_owned();
            return Err(Error::File { path: to.display().to_string(), cause });
        }
        Ok(Self { path, exists: true })
    }
}

/// A directory on the same file system, removed unless it is published.
struct Draft(PathBuf);

impl Draft {
    fn new(place: &Place) -> Result<Self, Error> {
        let parent = if place.exists { Some(place.path.as_path()) } else { place.path.parent() };
        // A relative name of one word has an empty parent.
        let parent = parent.filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        directory(parent)?;
        // Other names are of attempts that were killed.
        for attempt in 0..ATTEMPTS {
            let draft = parent.join(format!(".kdump-collect.{}.{attempt}.part", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&draft) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result.map(|()| Self(draft.clone())).map_err(|error| io(&draft, &error)),
            }
        }
        let cause = "remove the directories .kdump-collect.*.part in it".to_owned();
        Err(Error::File { path: parent.display().to_string(), cause })
    }

    fn publish(self, place: &Place) -> Result<(), Error> {
        if !place.exists {
            return fs::rename(&self.0, &place.path).map_err(|error| io(&place.path, &error));
        }
        let entries = fs::read_dir(&self.0).map_err(|error| io(&self.0, &error))?;
        let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort_by_key(|name| name == MANIFEST);
        for name in names {
            let path = place.path.join(&name);
            fs::rename(self.0.join(&name), &path).map_err(|error| io(&path, &error))?;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone when it was published as a whole.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn manifest(recorded: &Recorded) -> String {
    let mut text = String::new();
    for (path, size) in &recorded.copied {
        text.push_str(&format!("copied {path} {size}\n"));
    }
    for (path, cause) in &recorded.unreadable {
        text.push_str(&format!("unreadable {path} {}\n", cause.replace('\n', " ")));
    }
    for path in &recorded.missing {
        text.push_str(&format!("missing {path}\n"));
    }
    text
}

/// The unreadable files of a manifest, and why they were.
pub(super) fn parse_manifest(text: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    text.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_prefix(b"unreadable ")?;
        let (path, cause) = line.split_at_checked(line.iter().position(|&byte| byte == b' ')?)?;
        Some((bounded(path), bounded(cause.get(1..)?)))
    })
}

/// Makes a directory for its owner only, with those above it that are missing.
fn directory(place: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(place).map_err(|error| io(place, &error))
}

fn write_file(place: &Path, content: &[u8]) -> Result<(), Error> {
    if let Some(dir) = place.parent() {
        directory(dir)?;
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(place);
    file.and_then(|mut file| file.write_all(content)).map_err(|error| io(place, &error))
}

fn io(place: &Path, error: &std::io::Error) -> Error {
    Error::File { path: place.display().to_string(), cause: error.to_string() }
}
