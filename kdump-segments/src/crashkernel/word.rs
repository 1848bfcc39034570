//! One `crashkernel=` word, read from left to right.

use alloc::string::String;

use super::memparse::memparse;
use crate::Error;

/// The kinds of word, told apart by how they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    High,
    Low,
    Cma,
}

impl Kind {
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::High => ",high",
            Self::Low => ",low",
            Self::Cma => ",cma",
        }
    }

    fn of(value: &str) -> Self {
        [Self::High, Self::Low, Self::Cma]
            .into_iter()
            .find(|kind| value.ends_with(kind.suffix()))
            .unwrap_or(Self::Plain)
    }
}

/// The last word of a kind. Words are found wherever `crashkernel=` stands, also inside
/// another word or in quotes, and end at a blank.
pub(super) fn last_word(cmdline: &str, kind: Kind) -> Option<&str> {
    const KEY: &str = "crashkernel=";
    cmdline
        .match_indices(KEY)
        .filter_map(|(at, _)| cmdline.get(at.saturating_add(KEY.len())..))
        .map(|rest| rest.split([' ', '\n']).next().unwrap_or_default())
        .filter(|value| Kind::of(value) == kind)
        .last()
}

/// Reads a word.
pub(super) struct Cursor<'a> {
    value: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(value: &'a str) -> Self {
        Self { value, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.value.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn number(&mut self) -> Result<u64, Error> {
        match memparse(self.rest()) {
            None => Err(self.error("the number does not fit 64 bits")),
            Some((_, 0)) => Err(self.error("a size or address is expected")),
            Some((number, read)) => {
                self.at = self.at.saturating_add(read);
                Ok(number)
            }
        }
    }

    /// Steps over `byte` if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.rest().first() == Some(&byte);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    /// Steps to the next `byte`, if there is one, and over it.
    pub(super) fn seek(&mut self, byte: u8) -> bool {
        let found = self.rest().iter().position(|&other| other == byte);
        self.at = self.at.saturating_add(found.map_or(0, |skip| skip.saturating_add(1)));
        found.is_some()
    }

    pub(super) fn error(&self, reason: &'static str) -> Error {
        Error::Crashkernel { value: String::from(self.value), offset: self.at, reason }
    }
}
