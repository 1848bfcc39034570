//! A linked object, whose symbols can be read and written by name.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::Error;

/// An object linked for a load address.
///
/// A symbol can be read or written if it is global, lies in a section with content, and the
/// value has exactly its size (`st_size`): a symbol of another size has another meaning.
#[derive(Clone, Debug)]
pub struct LinkedImage {
    base: u64,
    bytes: Vec<u8>,
    memsz: u64,
    symbols: Vec<Symbol>,
}

/// A global symbol.
#[derive(Clone)]
pub(crate) struct Symbol {
    pub(crate) name: Vec<u8>,
    /// Relative to the load address.
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// Whether all of it lies in the content of its section.
    pub(crate) writable: bool,
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = crate::elf::lossy(&self.name);
        write!(f, "{name}@{:#x}+{:#x}", self.offset, self.size)
    }
}

impl LinkedImage {
    pub(crate) fn new(base: u64, bytes: Vec<u8>, memsz: u64, symbols: Vec<Symbol>) -> Self {
        Self { base, bytes, memsz, symbols }
    }

    /// The bytes to load at the load address; the rest up to `memsz` is zero.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes to load, without the symbols.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The addresses it occupies once loaded, zero-filled tail included; the end is exclusive.
    #[must_use]
    pub fn memory(&self) -> Range<u64> {
        // Linking refused a sum that overflows.
        self.base..self.base.saturating_add(self.memsz)
    }

    /// Whether a global symbol of that name is defined.
    #[must_use]
    pub fn contains(&self, symbol: &str) -> bool {
        self.find(symbol).is_ok()
    }

    /// The address of a symbol, wherever it lies.
    ///
    /// # Errors
    /// No global symbol of that name is defined.
    pub fn address(&self, symbol: &str) -> Result<u64, Error> {
        let found = self.find(symbol)?;
        Ok(self.base.wrapping_add(found.offset))
    }

    /// The value of a symbol.
    ///
    /// # Errors
    /// No such symbol, or it has no content.
    pub fn get(&self, symbol: &str) -> Result<&[u8], Error> {
        let range = self.range(symbol)?;
        self.bytes.get(range).ok_or_else(|| unusable(symbol))
    }

    /// Writes the value of a symbol.
    ///
    /// # Errors
    /// No such symbol, it has no content, or another size than `value`.
    pub fn set(&mut self, symbol: &str, value: &[u8]) -> Result<(), Error> {
        let range = self.range(symbol)?;
        let target = self.bytes.get_mut(range).ok_or_else(|| unusable(symbol))?;
        if target.len() != value.len() {
            return Err(Error::SymbolSize {
                symbol: symbol.to_owned(),
                size: crate::elf::length(target),
                value: crate::elf::length(value),
            });
        }
        target.copy_from_slice(value);
        Ok(())
    }

    fn find(&self, symbol: &str) -> Result<&Symbol, Error> {
        self.symbols
            .iter()
            .find(|candidate| candidate.name == symbol.as_bytes())
            .ok_or_else(|| Error::SymbolMissing { symbol: symbol.to_owned() })
    }

    /// Where the value of a symbol lies in the bytes.
    fn range(&self, symbol: &str) -> Result<Range<usize>, Error> {
        let found = self.find(symbol)?;
        if !found.writable {
            return Err(unusable(symbol));
        }
        let end = found.offset.saturating_add(found.size);
        match (usize::try_from(found.offset), usize::try_from(end)) {
            (Ok(start), Ok(end)) => Ok(start..end),
            _ => Err(unusable(symbol)),
        }
    }
}

fn unusable(symbol: &str) -> Error {
    Error::SymbolUnusable { symbol: symbol.to_owned(), why: "not in the content of a section" }
}
