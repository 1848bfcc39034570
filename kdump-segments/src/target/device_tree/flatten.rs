//! A flattened tree of the files in which the kernel shows its tree (/proc/device-tree): a directory is a
//! node, a file a property.

use alloc::vec::Vec;

use super::{DEPTH_MAX, SIZE_MAX, TreeWriter, wrong};
use crate::Error;

/// The property that the kernel makes of each node's name, which says nothing else.
const NAME: &str = "name";

/// A property and the nodes it is in, the outermost first; the root is in none.
struct Entry<'f> {
    nodes: Vec<&'f str>,
    name: &'f str,
    value: &'f [u8],
}

/// The tree of `files`, paths relative to the root with their values. A node without any property is not
/// known of; the kernel gives each a `name`. Nodes stand in the order of their names, because the files
/// have none. `reservations` (address and size) and the hart or CPU that boots are not among the files.
///
/// # Errors
/// [`Error::DeviceTree`] for trees deeper than 64 nodes or larger than 2 MiB; [`Error::OutOfMemory`].
pub(crate) fn flatten<'f>(
    files: impl Iterator<Item = (&'f str, &'f [u8])>,
    reservations: &[(u64, u64)],
    boot_cpu: u32,
) -> Result<Vec<u8>, Error> {
    let entries = entries(files)?;
    let mut tree = TreeWriter::default();
    let mut open: &[&str] = &[];
    tree.begin(b"")?;
    for entry in &entries {
        let same = open.iter().zip(&entry.nodes).take_while(|(one, other)| one == other).count();
        for _ in same..open.len() {
            tree.end()?;
        }
        for name in entry.nodes.iter().skip(same) {
            tree.begin(name.as_bytes())?;
        }
        open = &entry.nodes;
        if entry.name != NAME {
            tree.property(entry.name.as_bytes(), entry.value)?;
        }
    }
    for _ in 0..=open.len() {
        tree.end()?;
    }
    tree.finish(reservations, boot_cpu)
}

/// The properties, those of a node before those of the nodes in it.
fn entries<'f>(files: impl Iterator<Item = (&'f str, &'f [u8])>) -> Result<Vec<Entry<'f>>, Error> {
    /// Header, the reservation that ends all, the root node and the last token.
    const FIXED: u64 = 128;
    /// A property's token, size and name, its NUL and what pads it; the same for a node.
    const EACH: u64 = 24;
    let mut entries = Vec::new();
    let mut need = FIXED;
    for (path, value) in files {
        let nodes: Vec<&str> = path.split('/').collect();
        let depth = nodes.len();
        let Some((name, nodes)) = nodes.split_last() else { continue };
        if depth > DEPTH_MAX {
            return Err(wrong("depth of nodes", 0, depth as u64, "at most 64"));
        }
        // Every property pays for all its nodes, of which only the first of a node brings any.
        let new = nodes.len().saturating_sub(shared(nodes, &entries)) as u64;
        let names = path.len() as u64;
        need = need
            .saturating_add(names)
            .saturating_add(value.len() as u64)
            .saturating_add(new.saturating_add(1).saturating_mul(EACH));
        if need > SIZE_MAX.saturating_mul(2) {
            return Err(wrong("bytes of all properties", 0, need, "a tree of at most 2 MiB"));
        }
        entries.try_reserve(1).map_err(|_| Error::OutOfMemory { what: "device tree", need })?;
        entries.push(Entry { nodes: nodes.to_vec(), name, value });
    }
    entries.sort_by(|one, other| (&one.nodes, one.name).cmp(&(&other.nodes, other.name)));
    Ok(entries)
}

/// How many of the outermost nodes are those of the entry before.
fn shared(nodes: &[&str], before: &[Entry<'_>]) -> usize {
    let last = before.last().map_or(&[][..], |entry| &entry.nodes);
    nodes.iter().zip(last).take_while(|(one, other)| one == other).count()
}
