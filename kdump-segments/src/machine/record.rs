//! Recording a machine: the files a description needs, copied into a directory.

use std::fs;
use std::path::{Component, Path};

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::paths::{ENVIRONMENT, FILES, KALLSYMS, KCORE, KCORE_VALUES};
use super::{Machine, MachineFiles};
use crate::MachineError;

/// The list of what was recorded, in the directory itself.
pub(super) const MANIFEST: &str = "kdump-collect.txt";

/// What a recording holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// lines of a few symbols; everything else verbatim. `to` is made if need be and must be
    /// empty.
    ///
    /// # Errors
    /// Those of [`MachineFiles::read`], and [`MachineError::Io`] when `to` is not empty or
    /// cannot be written.
    pub fn record(from: &Path, to: &Path) -> Result<Recorded, MachineError> {
        MachineFiles::read_all(from)?.write(to)
    }
}

impl MachineFiles {
    /// Writes the files into the directory `to`, which is made if need be and must be empty.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub fn write(&self, to: &Path) -> Result<Recorded, MachineError> {
        fs::create_dir_all(to).map_err(|error| io(to, &error))?;
        let mut entries = fs::read_dir(to).map_err(|error| io(to, &error))?;
        if entries.next().is_some() {
            let cause = "is not empty: an older recording would mix with this one".to_owned();
            return Err(MachineError::Io { path: to.display().to_string(), cause });
        }
        let mut recorded = Recorded::default();
        for (path, content) in self.iter() {
            if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
                let cause = "is not a plain relative path".to_owned();
                return Err(MachineError::Io { path: path.to_owned(), cause });
            }
            write_file(&to.join(path), content)?;
            recorded.copied.push((path.to_owned(), content.len() as u64));
        }
        recorded.unreadable =
            self.unreadable().map(|(path, cause)| (path.to_owned(), cause.to_owned())).collect();
        let wanted = FILES.into_iter().chain(ENVIRONMENT).chain([KCORE, KALLSYMS]);
        recorded.missing = wanted
            .filter(|&path| path != KCORE_VALUES)
            .filter(|path| self.get(path).is_none() && !self.unreadable().any(|(other, _)| other == *path))
            .map(ToOwned::to_owned)
            .collect();
        write_file(&to.join(MANIFEST), manifest(&recorded).as_bytes())?;
        Ok(recorded)
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
        let line = String::from_utf8_lossy(line);
        let (path, cause) = line.strip_prefix("unreadable ")?.split_once(' ')?;
        Some((path.to_owned(), cause.to_owned()))
    })
}

fn write_file(place: &Path, content: &[u8]) -> Result<(), MachineError> {
    if let Some(dir) = place.parent() {
        fs::create_dir_all(dir).map_err(|error| io(dir, &error))?;
    }
    fs::write(place, content).map_err(|error| io(place, &error))
}

fn io(place: &Path, error: &std::io::Error) -> MachineError {
    MachineError::Io { path: place.display().to_string(), cause: error.to_string() }
}
