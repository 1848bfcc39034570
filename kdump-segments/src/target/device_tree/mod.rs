//! Flattened device trees (Devicetree Specification v0.4, chapter 5): what is in one, and one with
//! another /chosen; and the loads of the architectures whose capture kernels are told everything by one.
//!
//! A tree is read token by token, never made a tree of: what is not understood is copied as it is.

mod chosen;
mod flatten;
mod handover;
mod header;
pub(super) mod layout;
mod memory;
mod plan;
pub(super) mod rules;
mod running;
mod tokens;
mod writer;

pub(crate) use chosen::Change;
pub use plan::DeviceTreePlan;
pub(super) use running::describe;
pub(crate) use running::running_tree;
pub(crate) use tokens::Token;
use tokens::Tokens;
pub(crate) use writer::TreeWriter;

use alloc::vec::Vec;

use kdump_elf::{Endian, PhysRange};

use crate::Error;

/// Bytes of the header (`struct fdt_header`).
const HEADER: usize = 40;
const MAGIC: u32 = 0xd00d_feed;
/// The version whose header tells the size of the structure block, written since 2007.
const VERSION: u32 = 17;
const LAST_COMPATIBLE: u32 = 16;
/// Bytes of an entry of the memory reservation block: address and size.
const RESERVATION: usize = 16;
/// Linux maps no more (Documentation/arch/arm64/booting.rst).
pub(crate) const SIZE_MAX: u64 = 2 << 20;
/// Deeper than any tree; dtc itself nests a dozen levels.
const DEPTH_MAX: usize = 64;
const CHOSEN: &[u8] = b"chosen";

/// A device tree whose blocks lie in the file and whose structure was walked once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeviceTree<'a> {
    boot_cpu: u32,
    /// Whole entries, without the empty one that ends them.
    reservations: &'a [u8],
    structure: &'a [u8],
    strings: &'a [u8],
}

/// How many 32-bit numbers an address and a size have below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    address: u32,
    size: u32,
}

impl<'a> DeviceTree<'a> {
    /// Reads header and blocks and walks through the structure.
    ///
    /// # Errors
    /// [`Error::DeviceTree`] naming the field.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let field = |name, offset| {
            let number: Option<u32> = Endian::Big.read(bytes, offset);
            number.ok_or_else(|| wrong(name, offset as u64, bytes.len() as u64, "40 bytes of header"))
        };
        let magic = field("magic", 0)?;
        if magic != MAGIC {
            return Err(wrong("magic", 0, u64::from(magic), "0xd00dfeed"));
        }
        let total = u64::from(field("totalsize", 4)?);
        let have = bytes.len() as u64;
        if total > have.min(SIZE_MAX) {
            return Err(wrong("totalsize", 4, total, "no more than the file has, and than 2 MiB"));
        }
        let bytes = usize::try_from(total).ok().and_then(|total| bytes.get(..total)).unwrap_or(bytes);
        let (version, compatible) = (field("version", 20)?, field("last_comp_version", 24)?);
        if version < VERSION || compatible > VERSION {
            return Err(wrong("version", 20, u64::from(version), "17, or compatible with it"));
        }
        let block = |name, at: u32, size: u32| {
            let start = usize::try_from(at).ok();
            let end = start.and_then(|start| start.checked_add(usize::try_from(size).ok()?));
            let found = start.zip(end).and_then(|(start, end)| bytes.get(start..end));
            found.ok_or_else(|| wrong(name, u64::from(at), u64::from(size), "a block inside the file"))
        };
        let tree = Self {
            boot_cpu: field("boot_cpuid_phys", 28)?,
            reservations: reservations(bytes, field("off_mem_rsvmap", 16)?)?,
            structure: block("dt_struct", field("off_dt_struct", 8)?, field("size_dt_struct", 36)?)?,
            strings: block("dt_strings", field("off_dt_strings", 12)?, field("size_dt_strings", 32)?)?,
        };
        tree.walk()?;
        Ok(tree)
    }

    /// Everything in the structure, in order.
    pub(crate) fn tokens(&self) -> Tokens<'a> {
        Tokens::new(self.structure, self.strings)
    }

    /// The value of a property of /chosen; of several nodes of that name the first counts.
    pub(crate) fn chosen(&self, name: &str) -> Option<&'a [u8]> {
        self.property(CHOSEN, name)
    }

    /// The memory that loaders must keep free, as address and size.
    pub(crate) fn reservations(&self) -> impl Iterator<Item = (u64, u64)> + 'a {
        self.reservations
            .chunks_exact(RESERVATION)
            .filter_map(|entry| Some((Endian::Big.read(entry, 0)?, Endian::Big.read(entry, 8)?)))
    }

    /// How addresses and sizes are written in /chosen and /memory: as the root says, which means
    /// two and one where it says nothing (Devicetree Specification v0.4, 2.3.5).
    ///
    /// # Errors
    /// [`Error::DeviceTree`] for other than one or two numbers.
    pub(crate) fn cells(&self) -> Result<Cells, Error> {
        let cells = |name, default: u32| {
            let told = self.property(b"", name).map(|value| Endian::Big.read::<u32>(value, 0).unwrap_or(0));
            let count = told.unwrap_or(default);
            let good = (1..=2).contains(&count);
            if good { Ok(count) } else { Err(wrong(name, 0, u64::from(count), "1 or 2")) }
        };
        Ok(Cells { address: cells("#address-cells", 2)?, size: cells("#size-cells", 1)? })
    }

    /// The value of a property of the root (an empty name) or of one of its nodes.
    pub(crate) fn property(&self, node: &[u8], name: &str) -> Option<&'a [u8]> {
        let (mut depth, mut inside) = (0_usize, false);
        for token in self.tokens() {
            match token.ok()? {
                Token::Begin(found) => {
                    depth = depth.saturating_add(1);
                    let level = if node.is_empty() { 1 } else { 2 };
                    inside = depth == level && (node.is_empty() || is_called(found, node));
                }
                Token::End if inside => return None,
                Token::End => depth = depth.saturating_sub(1),
                Token::Property { name: found, value, .. } if inside && found == name.as_bytes() => {
                    return Some(value);
                }
                Token::Property { .. } => {}
            }
        }
        None
    }

    /// One root, closed, and nothing that cannot be read.
    fn walk(&self) -> Result<(), Error> {
        let (mut depth, mut roots) = (0_usize, 0_u64);
        let mut tokens = self.tokens();
        while let Some(token) = tokens.next() {
            let at = tokens.at();
            match token? {
                Token::Begin(_) if depth >= DEPTH_MAX => {
                    return Err(wrong("depth of nodes", at, depth as u64, "at most 64"));
                }
                Token::Begin(_) => {
                    roots = roots.saturating_add(u64::from(depth == 0));
                    depth = depth.saturating_add(1);
                }
                Token::End if depth == 0 => {
                    return Err(wrong("FDT_END_NODE", at, 2, "a node to end"));
                }
                Token::End => depth = depth.saturating_sub(1),
                Token::Property { .. } if depth == 0 => {
                    return Err(wrong("FDT_PROP", at, 3, "a node around it"));
                }
                Token::Property { .. } => {}
            }
        }
        match (roots, depth) {
            (1, 0) => Ok(()),
            (1, _) => Err(wrong("nodes without an end", tokens.at(), depth as u64, "0")),
            _ => Err(wrong("root nodes", tokens.at(), roots, "1")),
        }
    }
}

impl Cells {
    /// `range` as a pair of address and size, appended to `out`.
    ///
    /// # Errors
    /// [`Error::DeviceTree`] when the tree has too few bits for it.
    pub(crate) fn push(self, out: &mut Vec<u8>, range: PhysRange) -> Result<(), Error> {
        for (name, count, number) in
            [("#address-cells", self.address, range.start()), ("#size-cells", self.size, range.size())]
        {
            let bytes = number.to_be_bytes();
            let narrow = u32::try_from(number).map(u32::to_be_bytes);
            match (count, narrow) {
                (2, _) => out.extend_from_slice(&bytes),
                (_, Ok(narrow)) => out.extend_from_slice(&narrow),
                _ => return Err(wrong(name, 0, number, "a number of 32 bits, as the root of the tree says")),
            }
        }
        Ok(())
    }

    /// A number as wide as a size, appended to `out`.
    ///
    /// # Errors
    /// [`Error::DeviceTree`] when the tree has too few bits for it.
    pub(crate) fn push_size(self, out: &mut Vec<u8>, number: u64) -> Result<(), Error> {
        match (self.size, u32::try_from(number)) {
            (2, _) => out.extend_from_slice(&number.to_be_bytes()),
            (_, Ok(narrow)) => out.extend_from_slice(&narrow.to_be_bytes()),
            _ => {
                return Err(wrong(
                    "#size-cells",
                    0,
                    number,
                    "a number of 32 bits, as the root of the tree says",
                ));
            }
        }
        Ok(())
    }

    /// The ranges in a property.
    pub(crate) fn ranges(self, value: &[u8]) -> impl Iterator<Item = (u64, u64)> {
        let width = |count: u32| if count == 2 { 8_usize } else { 4 };
        let (address, size) = (width(self.address), width(self.size));
        let number = move |bytes: &[u8], at, width| match width {
            8 => Endian::Big.read::<u64>(bytes, at),
            _ => Endian::Big.read::<u32>(bytes, at).map(u64::from),
        };
        let pairs = value.chunks_exact(address.saturating_add(size));
        pairs.filter_map(move |pair| Some((number(pair, 0, address)?, number(pair, address, size)?)))
    }
}

/// Whether a node has this name, with or without a unit address.
fn is_called(found: &[u8], name: &[u8]) -> bool {
    found.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"@"))
}

/// The entries up to the first that is empty.
fn reservations(bytes: &[u8], at: u32) -> Result<&[u8], Error> {
    let all = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let mut entries = all.chunks_exact(RESERVATION);
    let count = entries.position(|entry| entry.iter().all(|&byte| byte == 0));
    let used = count.and_then(|count| all.get(..count.checked_mul(RESERVATION)?));
    used.ok_or_else(|| wrong("off_mem_rsvmap", 16, u64::from(at), "a block that an empty entry ends"))
}

fn wrong(what: &'static str, offset: u64, value: u64, expected: &'static str) -> Error {
    Error::DeviceTree { what, offset, value, expected }
}
