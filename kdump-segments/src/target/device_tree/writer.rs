//! Writes a flattened device tree, node by node (Devicetree Specification v0.4, chapter 5).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::tokens::{BEGIN_NODE, END, END_NODE, PROP};
use super::{HEADER, LAST_COMPATIBLE, MAGIC, RESERVATION, SIZE_MAX, VERSION, wrong};
use crate::{Error, room};

/// What messages call the parts of a tree.
const WHAT: &str = "device tree";
const TOKEN: usize = 4;

/// A tree in the making.
#[derive(Debug, Default)]
pub(crate) struct TreeWriter {
    structure: Vec<u8>,
    strings: Vec<u8>,
    /// Where each name stands in the strings.
    names: BTreeMap<Vec<u8>, u64>,
}

impl TreeWriter {
    /// Begins a node; that of the root has no name.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn begin(&mut self, name: &[u8]) -> Result<(), Error> {
        self.number(BEGIN_NODE)?;
        room::append(&mut self.structure, WHAT, name)?;
        room::push(&mut self.structure, WHAT, 0)?;
        self.pad()
    }

    /// A property of the node that was begun last; those of a node stand before its nodes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and [`Error::DeviceTree`] for sizes above 32 bits.
    pub(crate) fn property(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        let name_at = match self.names.get(name) {
            Some(&at) => at,
            None => {
                let at = self.strings.len() as u64;
                room::append(&mut self.strings, WHAT, name)?;
                room::push(&mut self.strings, WHAT, 0)?;
                self.names.insert(room::copy(WHAT, name)?, at);
                at
            }
        };
        self.number(PROP)?;
        self.number(narrow("size of a property", value.len() as u64)?)?;
        self.number(narrow("name of a property", name_at)?)?;
        room::append(&mut self.structure, WHAT, value)?;
        self.pad()
    }

    /// Ends the node that was begun last.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.number(END_NODE)
    }

    /// The tree, whose root was ended, with memory that must be kept free, as address and size.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and [`Error::DeviceTree`] for a tree of more than 2 MiB.
    pub(crate) fn finish(mut self, reservations: &[(u64, u64)], boot_cpu: u32) -> Result<Vec<u8>, Error> {
        self.number(END)?;
        let entries = reservations.len().saturating_add(1).saturating_mul(RESERVATION);
        let structure = HEADER.saturating_add(entries);
        let strings = structure.saturating_add(self.structure.len());
        let total = strings.saturating_add(self.strings.len());
        if total as u64 > SIZE_MAX {
            return Err(wrong("totalsize", 4, total as u64, "at most 2 MiB"));
        }
        let mut out = Vec::new();
        room::reserve(&mut out, WHAT, total)?;
        let sizes = [total, structure, strings, HEADER, self.strings.len(), self.structure.len()];
        let mut fields = [0; 6];
        for (field, size) in fields.iter_mut().zip(sizes) {
            *field = narrow("totalsize", size as u64)?;
        }
        let [total, structure, strings, reserved, size_strings, size_structure] = fields;
        let header = [
            MAGIC,
            total,
            structure,
            strings,
            reserved,
            VERSION,
            LAST_COMPATIBLE,
            boot_cpu,
            size_strings,
            size_structure,
        ];
        out.extend(header.into_iter().flat_map(u32::to_be_bytes));
        for &(start, size) in reservations.iter().chain([&(0, 0)]) {
            out.extend(start.to_be_bytes());
            out.extend(size.to_be_bytes());
        }
        out.extend_from_slice(&self.structure);
        out.extend_from_slice(&self.strings);
        Ok(out)
    }

    fn number(&mut self, number: u32) -> Result<(), Error> {
        room::append(&mut self.structure, WHAT, &number.to_be_bytes())
    }

    fn pad(&mut self) -> Result<(), Error> {
        while self.structure.len() % TOKEN != 0 {
            room::push(&mut self.structure, WHAT, 0)?;
        }
        Ok(())
    }
}

fn narrow(what: &'static str, number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| wrong(what, 0, number, "what 32 bits hold"))
}
