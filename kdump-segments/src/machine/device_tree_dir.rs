//! Reading the directories in which the kernel shows its device tree.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::collect::{ENTRIES_LIMIT, Reader};
use super::paths::DEVICE_TREE;
use crate::{Error, room};

/// Deeper than any tree.
const DEPTH_MAX: usize = 64;
/// Nodes and properties together: the largest trees of servers have some ten thousand.
const MOST: usize = 4 * ENTRIES_LIMIT;

impl Reader<'_> {
    /// All properties below /proc/device-tree.
    pub(super) fn device_tree(&mut self) -> Result<(), Error> {
        let mut left = MOST;
        let mut nodes: Vec<(String, usize)> = Vec::new();
        room::push(&mut nodes, "nodes of the device tree", (String::from(DEVICE_TREE), 0))?;
        while let Some((node, depth)) = nodes.pop() {
            let names = match self.root.names(&node, left) {
                Ok((names, false)) => names,
                Ok((_, true)) => {
                    let cause = format!("it has more than {MOST} nodes and properties, and is not used");
                    return self.no_tree(cause);
                }
                Err(error) if depth == 0 && is_no_directory(&error) => return Ok(()),
                Err(error) => return self.no_tree(format!("{node}: {error}")),
            };
            left = left.saturating_sub(names.len());
            for name in names {
                let path = format!("{node}/{name}");
                let Some(file) = self.open(&path, &path)? else { continue };
                if !file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                    self.text(&path)?;
                } else if depth >= DEPTH_MAX {
                    return self.no_tree(format!("{path} lies deeper than {DEPTH_MAX} nodes"));
                } else {
                    let next = depth.saturating_add(1);
                    room::push(&mut nodes, "nodes of the device tree", (path, next))?;
                }
            }
        }
        Ok(())
    }

    /// A part of a tree is worse than none: nothing of it is kept.
    fn no_tree(&mut self, cause: String) -> Result<(), Error> {
        self.without_directories()?;
        self.files.insert_unreadable(DEVICE_TREE, cause);
        Ok(())
    }

    /// Keeps nothing of what was read of the tree.
    pub(super) fn without_directories(&mut self) -> Result<(), Error> {
        let dir = format!("{DEVICE_TREE}/");
        let read = self.files.below(&dir).map(|(path, _)| format!("{dir}{path}"));
        for path in room::collect("files of the machine", read)? {
            self.files.remove(&path);
        }
        Ok(())
    }
}

fn is_no_directory(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
