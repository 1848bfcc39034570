//! A device tree with another /chosen; everything else is copied.

use alloc::vec::Vec;

use super::header::{Parts, finish_header};
use super::tokens::{BEGIN_NODE, END, END_NODE, PROP, Token};
use super::{CHOSEN, DeviceTree, HEADER, RESERVATION, is_called, wrong};
use crate::Error;

/// Bytes of a token, and of those before the value of a property.
const TOKEN: usize = 4;
const PROPERTY: usize = 12;

/// What is to become of one property of /chosen.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) name: &'static str,
    /// `None` takes it out.
    pub(crate) value: Option<Vec<u8>>,
}

impl DeviceTree<'_> {
    /// The tree with these properties in /chosen, in this order before its others. The node is
    /// made where there is none.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], and [`Error::DeviceTree`] for a tree too large to be written.
    pub(crate) fn with_chosen(&self, changes: &[Change]) -> Result<Vec<u8>, Error> {
        let set = || changes.iter().filter_map(|change| Some((change.name, change.value.as_deref()?)));
        let padded = |len: usize| len.saturating_add(TOKEN);
        let added = set().map(|(name, value)| {
            padded(value.len()).saturating_add(name.len()).saturating_add(PROPERTY).saturating_add(1)
        });
        // The node itself, should it be missing, and what pads the blocks.
        let room = added.fold(64_usize, usize::saturating_add);
        let parts = [HEADER, self.reservations.len(), RESERVATION, self.structure.len(), self.strings.len()];
        let need = parts.into_iter().fold(room, usize::saturating_add);
        let mut out = Vec::new();
        out.try_reserve_exact(need)
            .map_err(|_| Error::OutOfMemory { what: "device tree", need: need as u64 })?;
        out.resize(HEADER, 0);
        out.extend_from_slice(self.reservations);
        out.resize(out.len().saturating_add(RESERVATION), 0);
        let structure = out.len();
        self.write_structure(&mut out, changes)?;
        let strings = out.len();
        out.extend_from_slice(self.strings);
        for (name, _) in set() {
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
        finish_header(&mut out, Parts { structure, strings, boot_cpu: self.boot_cpu })?;
        Ok(out)
    }

    fn write_structure(&self, out: &mut Vec<u8>, changes: &[Change]) -> Result<(), Error> {
        let is_changed = |name: &[u8]| changes.iter().any(|change| change.name.as_bytes() == name);
        let (mut depth, mut inside, mut done) = (0_usize, false, false);
        for token in self.tokens() {
            match token? {
                Token::Begin(name) => {
                    depth = depth.saturating_add(1);
                    inside = depth == 2 && is_called(name, CHOSEN);
                    begin(out, name);
                    if inside && !done {
                        self.write_changes(out, changes)?;
                        done = true;
                    }
                }
                Token::End => {
                    if depth == 1 && !done {
                        begin(out, CHOSEN);
                        self.write_changes(out, changes)?;
                        number(out, END_NODE);
                        done = true;
                    }
                    number(out, END_NODE);
                    depth = depth.saturating_sub(1);
                    inside = false;
                }
                Token::Property { name, .. } if inside && is_changed(name) => {}
                Token::Property { name_at, value, .. } => property(out, u64::from(name_at), value)?,
            }
        }
        number(out, END);
        Ok(())
    }

    /// The names of new properties stand behind the strings of the tree.
    fn write_changes(&self, out: &mut Vec<u8>, changes: &[Change]) -> Result<(), Error> {
        let mut at = self.strings.len() as u64;
        for change in changes {
            if let Some(value) = &change.value {
                property(out, at, value)?;
                at = at.saturating_add(change.name.len() as u64).saturating_add(1);
            }
        }
        Ok(())
    }
}

pub(super) fn begin(out: &mut Vec<u8>, name: &[u8]) {
    number(out, BEGIN_NODE);
    out.extend_from_slice(name);
    out.push(0);
    pad(out);
}

pub(super) fn property(out: &mut Vec<u8>, name_at: u64, value: &[u8]) -> Result<(), Error> {
    let field =
        |what, number: u64| u32::try_from(number).map_err(|_| wrong(what, 0, number, "what 32 bits hold"));
    number(out, PROP);
    number(out, field("size of a property", value.len() as u64)?);
    number(out, field("name of a property", name_at)?);
    out.extend_from_slice(value);
    pad(out);
    Ok(())
}

pub(super) fn number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Everything before it is a multiple of four long: the header, the reservations, tokens.
fn pad(out: &mut Vec<u8>) {
    while out.len() % TOKEN != 0 {
        out.push(0);
    }
}
