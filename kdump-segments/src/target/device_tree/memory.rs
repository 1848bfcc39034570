//! What memory a device tree names, and what of it it keeps from the kernel.

use alloc::vec::Vec;

use super::tokens::Token;
use super::{DeviceTree, is_called};
use crate::{Error, room};

const RANGES: &str = "memory of the device tree";
const RESERVED: &[u8] = b"reserved-memory";

/// What a node says of memory.
#[derive(Clone, Copy, Default)]
struct Node<'a> {
    reg: &'a [u8],
    is_memory: bool,
    is_disabled: bool,
}

impl<'a> DeviceTree<'a> {
    /// The RAM, as address and size: that of the nodes of device type `memory` (Devicetree
    /// Specification v0.4, 3.4).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and those of [`DeviceTree::cells`].
    pub(crate) fn memory(&self) -> Result<Vec<(u64, u64)>, Error> {
        self.ranges_of(None, |node| node.is_memory)
    }

    /// What is kept for others by a place of its own: the nodes of /reserved-memory that have one
    /// (Devicetree Specification v0.4, 3.5), whose numbers are as long as the root's.
    ///
    /// # Errors
    /// Those of [`DeviceTree::memory`].
    pub(crate) fn reserved_memory(&self) -> Result<Vec<(u64, u64)>, Error> {
        self.ranges_of(Some(RESERVED), |_| true)
    }

    /// Those of the nodes of the root, or of the node `parent` of it.
    fn ranges_of(
        &self,
        parent: Option<&[u8]>,
        wanted: impl Fn(&Node<'a>) -> bool,
    ) -> Result<Vec<(u64, u64)>, Error> {
        let cells = self.cells()?;
        let level = if parent.is_none() { 2 } else { 3 };
        let (mut depth, mut inside, mut node) = (0_usize, parent.is_none(), Node::default());
        let mut all = Vec::new();
        for token in self.tokens() {
            match token? {
                Token::Begin(name) => {
                    depth = depth.saturating_add(1);
                    match parent {
                        Some(parent) if depth == 2 => inside = is_called(name, parent),
                        _ => {}
                    }
                    if depth == level {
                        node = Node::default();
                    }
                }
                Token::End => {
                    if depth == level && inside && !node.is_disabled && wanted(&node) {
                        room::extend(&mut all, RANGES, cells.ranges(node.reg))?;
                    }
                    depth = depth.saturating_sub(1);
                }
                Token::Property { name, value, .. } if depth == level => node.take(name, value),
                Token::Property { .. } => {}
            }
        }
        Ok(all)
    }
}

impl<'a> Node<'a> {
    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        match name {
            b"reg" => self.reg = value,
            b"device_type" => self.is_memory = value == b"memory\0",
            // Devicetree Specification v0.4, 2.3.4.
            b"status" => self.is_disabled = !matches!(value, b"okay\0" | b"ok\0"),
            _ => {}
        }
    }
}
