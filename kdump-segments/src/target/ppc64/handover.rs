//! The running kernel's tree for the capture kernel.

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use super::{lmb, number};
use crate::cmdline::CommandLine;
use crate::target::device_tree::{Cells, DeviceTree, Token, TreeWriter};
use crate::{Error, RangeSet, room};

pub(super) const USABLE: &str = "linux,usable-memory";
pub(super) const USABLE_BLOCKS: &str = "linux,drconf-usable-memory";
pub(super) const INITRD_START: &str = "linux,initrd-start";
pub(super) const INITRD_END: &str = "linux,initrd-end";
pub(super) const BOOTARGS: &str = "bootargs";
const BOOTED_FROM_KEXEC: &str = "linux,booted-from-kexec";
const RNG_SEED: &str = "rng-seed";
/// What the running kernel has added to /chosen for itself and its own loaders.
const DROPPED: [&str; 11] = [
    BOOTARGS,
    INITRD_START,
    INITRD_END,
    BOOTED_FROM_KEXEC,
    RNG_SEED,
    "kaslr-seed",
    "linux,crashkernel-base",
    "linux,crashkernel-size",
    "linux,elfcorehdr",
    "linux,kernel-end",
    "linux,memory-limit",
];
const BLOCKS: &[u8] = b"ibm,dynamic-reconfiguration-memory";

/// What goes into the tree.
pub(super) struct Told<'t> {
    pub(super) cmdline: &'t CommandLine,
    /// Address and bytes.
    pub(super) initrd: Option<(u64, u64)>,
    pub(super) usable: PhysRange,
    pub(super) reserved: &'t RangeSet,
}

/// The running kernel's tree for the capture kernel. The CPU it boots on is entered by the purgatory.
pub(super) fn device_tree(
    tree: &DeviceTree<'_>,
    told: &Told<'_>,
    seed: Option<&[u8; 32]>,
    notes: &mut Vec<String>,
) -> Result<Vec<u8>, Error> {
    if seed.is_none() {
        notes.push(String::from("the capture kernel gets no seed for its random numbers"));
    }
    let mut edit =
        Edit { told, seed, cells: tree.cells()?, out: TreeWriter::default(), depth: 0, node: Node::Other };
    for token in tree.tokens() {
        edit.token(&token?)?;
    }
    let reserved = told.reserved.iter().map(|range| (range.start(), range.size()));
    edit.out.finish(&room::collect("device tree", reserved)?, 0)
}

/// The node whose properties are read at present.
enum Node<'a> {
    Chosen,
    Memory,
    /// Bytes of a block, and the blocks in either form.
    Blocks {
        size: Option<u64>,
        list: Option<(&'a [u8], bool)>,
    },
    Other,
}

struct Edit<'t, 'a> {
    told: &'t Told<'t>,
    seed: Option<&'t [u8; 32]>,
    cells: Cells,
    out: TreeWriter,
    depth: usize,
    node: Node<'a>,
}

impl<'a> Edit<'_, 'a> {
    fn token(&mut self, token: &Token<'a>) -> Result<(), Error> {
        match *token {
            Token::Begin(name) => {
                self.leave()?;
                self.depth = self.depth.saturating_add(1);
                self.out.begin(name)?;
                self.node = match name {
                    _ if self.depth != 2 => Node::Other,
                    b"chosen" => Node::Chosen,
                    b"memory" => Node::Memory,
                    BLOCKS => Node::Blocks { size: None, list: None },
                    name if name.starts_with(b"memory@") => Node::Memory,
                    _ => Node::Other,
                };
                if matches!(self.node, Node::Chosen) {
                    self.chosen()?;
                }
                Ok(())
            }
            Token::End => {
                self.leave()?;
                self.depth = self.depth.saturating_sub(1);
                self.out.end()
            }
            Token::Property { name, value, .. } => self.property(name, value),
        }
    }

    fn property(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), Error> {
        let is = |other: &str| other.as_bytes() == name;
        match &mut self.node {
            Node::Chosen if DROPPED.iter().any(|&dropped| is(dropped)) => return Ok(()),
            Node::Memory if is(USABLE) => return Ok(()),
            Node::Blocks { .. } if is(USABLE_BLOCKS) => return Ok(()),
            Node::Memory if is("reg") => {
                let usable = self.usable(value)?;
                self.out.property(USABLE.as_bytes(), &usable)?;
            }
            Node::Blocks { size, .. } if is("ibm,lmb-size") => *size = number(value),
            Node::Blocks { list, .. } if is("ibm,dynamic-memory-v2") => *list = Some((value, true)),
            // A tree with both forms says the same in them.
            Node::Blocks { list, .. } if is("ibm,dynamic-memory") && list.is_none() => {
                *list = Some((value, false))
            }
            _ => {}
        }
        self.out.property(name, value)
    }

    /// What a node has besides, known when its own properties were read.
    fn leave(&mut self) -> Result<(), Error> {
        if let Node::Blocks { size: Some(size), list: Some((list, grouped)) } = self.node {
            let blocks = lmb::assigned(size, list, grouped)?;
            let usable = lmb::usable(&blocks, self.told.usable, self.cells)?;
            self.out.property(USABLE_BLOCKS.as_bytes(), &usable)?;
        }
        self.node = Node::Other;
        Ok(())
    }

    /// The ranges of a memory node that may be used; an empty one where there is none, or all of them would
    /// be.
    fn usable(&self, reg: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for (start, size) in self.cells.ranges(reg) {
            let range = PhysRange::from_len(start, size).ok();
            if let Some(common) = range.and_then(|range| range.intersection(self.told.usable)) {
                self.cells.push(&mut out, common)?;
            }
        }
        if out.is_empty() {
            self.cells.push_size(&mut out, 0)?;
            self.cells.push_size(&mut out, 0)?;
        }
        Ok(out)
    }

    fn chosen(&mut self) -> Result<(), Error> {
        let mut line = room::copy("command line", self.told.cmdline.as_str().as_bytes())?;
        room::push(&mut line, "command line", 0)?;
        self.out.property(BOOTARGS.as_bytes(), &line)?;
        self.out.property(BOOTED_FROM_KEXEC.as_bytes(), &[])?;
        if let Some((start, size)) = self.told.initrd {
            self.out.property(INITRD_START.as_bytes(), &start.to_be_bytes())?;
            self.out.property(INITRD_END.as_bytes(), &start.saturating_add(size).to_be_bytes())?;
        }
        match self.seed {
            Some(seed) => self.out.property(RNG_SEED.as_bytes(), seed),
            None => Ok(()),
        }
    }
}
