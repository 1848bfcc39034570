//! The structure block of a device tree, one token after the other (Devicetree Specification v0.4,
//! 5.4).

use kdump_elf::{Endian, align_up};

use super::wrong;
use crate::Error;

pub(super) const BEGIN_NODE: u32 = 1;
pub(super) const END_NODE: u32 = 2;
pub(super) const PROP: u32 = 3;
const NOP: u32 = 4;
pub(super) const END: u32 = 9;

/// What the structure is made of; what means nothing (FDT_NOP) is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A node begins; its name with the unit address, empty for the root.
    Begin(&'a [u8]),
    /// The innermost node ends.
    End,
    /// A property of the innermost node; `name_at` is where its name stands in the strings block.
    Property { name: &'a [u8], name_at: u32, value: &'a [u8] },
}

/// Reads token by token. Behind an error nothing comes.
pub(crate) struct Tokens<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    /// Where the last token began, and where the next one does.
    last: usize,
    at: usize,
    done: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(structure: &'a [u8], strings: &'a [u8]) -> Self {
        Self { structure, strings, last: 0, at: 0, done: false }
    }

    /// Offset of the last token in the structure block.
    pub(super) fn at(&self) -> u64 {
        self.last as u64
    }

    fn read(&mut self) -> Result<Option<Token<'a>>, Error> {
        loop {
            self.last = self.at;
            match self.number("token of the structure")? {
                BEGIN_NODE => {
                    let name = until_nul(self.structure, self.at);
                    let name = name.ok_or_else(|| self.cut("name of a node", self.at))?;
                    // With its NUL, filled up to a whole word.
                    self.skip(name.len().saturating_add(1))?;
                    return Ok(Some(Token::Begin(name)));
                }
                END_NODE => return Ok(Some(Token::End)),
                PROP => return self.property().map(Some),
                NOP => {}
                END => return Ok(None),
                other => {
                    let expected = "a token of a device tree";
                    return Err(wrong(
                        "token of the structure",
                        self.last as u64,
                        u64::from(other),
                        expected,
                    ));
                }
            }
        }
    }

    fn property(&mut self) -> Result<Token<'a>, Error> {
        let size = self.number("size of a property")?;
        let name_at = self.number("name of a property")?;
        let start = self.at;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let end = start.checked_add(size);
        let value = end.and_then(|end| self.structure.get(start..end));
        let value = value.ok_or_else(|| self.cut("size of a property", size))?;
        self.skip(size)?;
        let name = usize::try_from(name_at).ok().and_then(|at| until_nul(self.strings, at));
        let name = name.ok_or_else(|| {
            wrong("name of a property", self.last as u64, u64::from(name_at), "a text of the strings block")
        })?;
        Ok(Token::Property { name, name_at, value })
    }

    fn number(&mut self, what: &'static str) -> Result<u32, Error> {
        let number = Endian::Big.read(self.structure, self.at).ok_or_else(|| self.cut(what, self.at))?;
        self.skip(4)?;
        Ok(number)
    }

    /// Goes on behind `size` bytes, at a multiple of four.
    fn skip(&mut self, size: usize) -> Result<(), Error> {
        let end = self.at.checked_add(size).and_then(|end| align_up(end as u64, 4));
        let end = end.and_then(|end| usize::try_from(end).ok());
        self.at = end.ok_or_else(|| self.cut("token of the structure", size))?;
        Ok(())
    }

    fn cut(&self, what: &'static str, value: usize) -> Error {
        wrong(what, self.last as u64, value as u64, "an end inside the structure block")
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let token = self.read().transpose();
        self.done = !matches!(token, Some(Ok(_)));
        token
    }
}

fn until_nul(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let tail = bytes.get(at..)?;
    let end = tail.iter().position(|&byte| byte == 0)?;
    tail.get(..end)
}
