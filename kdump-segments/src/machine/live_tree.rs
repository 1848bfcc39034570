//! The device tree that /sys/firmware/devicetree/base shows as directories and files
//! (Documentation/ABI/testing/sysfs-firmware-ofw), flattened.

use std::io::{Error as IoError, ErrorKind};

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::open_file::{Content, Root, is_absent, read_limited};
use crate::Error;
use crate::target::device_tree::{SIZE_MAX, TreeWriter};

/// Deeper than any tree.
const DEPTH_MAX: usize = 64;
/// Nodes and properties of one node; far more than any has.
const ENTRIES_MAX: usize = 64 << 10;

/// Why there is no tree.
pub(super) enum Trouble {
    /// The machine shows none.
    Absent,
    /// What could not be read, and why.
    Unreadable(String),
    /// No memory.
    Own(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::OutOfMemory { .. } => Self::Own(error),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

/// Reads the tree below `base`.
pub(super) fn read(root: &Root, base: &str) -> Result<Vec<u8>, Trouble> {
    let mut reader = Reader { root, out: TreeWriter::default(), left: SIZE_MAX };
    reader.node(base, "", 0)?;
    Ok(reader.out.finish(&[], 0)?)
}

struct Reader<'r> {
    root: &'r Root,
    out: TreeWriter,
    /// Bytes that may still be read.
    left: u64,
}

impl Reader<'_> {
    fn node(&mut self, path: &str, name: &str, depth: usize) -> Result<(), Trouble> {
        if depth >= DEPTH_MAX {
            return Err(Trouble::Unreadable(format!("{path}: more than {DEPTH_MAX} nodes deep")));
        }
        let (mut names, more) = self.root.names(path, ENTRIES_MAX).map_err(|error| why(path, &error))?;
        if more {
            return Err(Trouble::Unreadable(format!("{path}: more than {ENTRIES_MAX} entries")));
        }
        names.sort_unstable();
        self.out.begin(name.as_bytes())?;
        let mut nodes = Vec::new();
        for name in names {
            let place = format!("{path}/{name}");
            match self.root.names(&place, 0) {
                Ok(_) => nodes.push((place, name)),
                Err(error) if error.kind() == ErrorKind::NotADirectory => self.property(&place, &name)?,
                // Removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(why(&place, &error)),
            }
        }
        for (place, name) in nodes {
            self.node(&place, &name, depth.saturating_add(1))?;
        }
        self.out.end().map_err(Trouble::from)
    }

    fn property(&mut self, path: &str, name: &str) -> Result<(), Trouble> {
        let file = self.root.open(path).map_err(|error| why(path, &error))?;
        match read_limited(file, self.left).map_err(|error| why(path, &error))? {
            Content::Whole(value) => {
                self.left = self.left.saturating_sub(value.len() as u64);
                self.out.property(name.as_bytes(), &value).map_err(Trouble::from)
            }
            Content::TooLong(_) => {
                Err(Trouble::Unreadable(format!("{path}: a tree of more than {SIZE_MAX:#x} bytes")))
            }
        }
    }
}

fn why(path: &str, error: &IoError) -> Trouble {
    match error.kind() {
        ErrorKind::OutOfMemory => Trouble::Own(Error::OutOfMemory { what: "device tree", need: 0 }),
        _ if is_absent(error) => Trouble::Absent,
        _ => Trouble::Unreadable(format!("{path}: {error}")),
    }
}
