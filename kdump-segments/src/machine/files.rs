//! The content of the files a machine is described from, held in memory.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Files by their path relative to the machine's root, for example `proc/iomem`.
///
/// This is the whole input of [`Machine::from_files`](crate::Machine::from_files), so a
/// machine can be described without any I/O.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFiles {
    files: BTreeMap<String, Vec<u8>>,
    unreadable: BTreeMap<String, String>,
}

impl MachineFiles {
    /// No files.
    #[must_use]
    pub const fn new() -> Self {
        Self { files: BTreeMap::new(), unreadable: BTreeMap::new() }
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Takes a file away.
    pub fn remove(&mut self, path: &str) -> Option<Vec<u8>> {
        self.files.remove(path)
    }

    /// Remembers that a file exists but could not be read, and why.
    pub fn insert_unreadable(&mut self, path: impl Into<String>, cause: impl Into<String>) {
        self.unreadable.insert(path.into(), cause.into());
    }

    /// The content of a file.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// All files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Files that exist but could not be read, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unreadable.iter().map(|(path, cause)| (path.as_str(), cause.as_str()))
    }

    /// Whether a file exists but could not be read.
    #[cfg(feature = "std")]
    pub(crate) fn is_unreadable(&self, path: &str) -> bool {
        self.unreadable.contains_key(path)
    }

    /// The files below the directory `dir`, which ends in a slash: their paths in it and their content.
    pub(crate) fn below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.files
            .range::<str, _>((core::ops::Bound::Excluded(dir), core::ops::Bound::Unbounded))
            .map_while(move |(path, content)| Some((path.strip_prefix(dir)?, content.as_slice())))
    }

    /// The files `<prefix>N/<name>` with a decimal number N: the number, the path, the content.
    /// In order of path, which is not the order of numbers.
    pub(crate) fn numbered<'a>(
        &'a self,
        prefix: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = (u32, &'a str, &'a [u8])> {
        self.files
            .range::<str, _>((core::ops::Bound::Included(prefix), core::ops::Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(prefix))
            .filter_map(move |(path, content)| {
                let (number, rest) = path.strip_prefix(prefix)?.split_once('/')?;
                Some((parse_index(number)?, path.as_str(), content.as_slice())).filter(|_| rest == name)
            })
    }
}

/// A directory's number, spelled as the kernel does: digits only, no leading zero.
pub(crate) fn parse_index(digits: &str) -> Option<u32> {
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}
