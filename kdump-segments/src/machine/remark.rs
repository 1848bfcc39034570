//! What was dropped, rounded or guessed when a machine was described. A remark, because a note is
//! what ELF calls one.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A sentence about something dropped, rounded or guessed, with the file it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remark {
    /// The file, relative to the root of the machine.
    pub path: String,
    /// The sentence.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Collects remarks.
#[derive(Debug, Default)]
pub(super) struct Remarks(Vec<Remark>);

impl Remarks {
    pub(super) fn add(&mut self, path: &str, text: impl Into<String>) {
        self.0.push(Remark { path: path.to_owned(), text: text.into() });
    }

    pub(super) fn into_list(self) -> Vec<Remark> {
        self.0
    }
}
