//! What was dropped, rounded or guessed when a machine was described. A remark, because a note is
//! what ELF calls one.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::text_file::bounded;
use crate::Error;
use crate::room::{self, REMARKS};

/// A sentence about something dropped, rounded or guessed, with the file it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remark {
    /// The file, relative to the root of the machine.
    pub path: String,
    /// The sentence.
    pub text: String,
}

impl Remark {
    /// A remark about the file at `path`.
    #[must_use]
    pub const fn new(path: String, text: String) -> Self {
        Self { path, text }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Collects remarks; that memory was refused to one is said at the end.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    list: Vec<Remark>,
    refused: Option<Error>,
}

impl Remarks {
    pub(super) fn add(&mut self, path: &str, text: impl Into<String>) {
        let remark = Remark { path: bounded(path.as_bytes()), text: text.into() };
        if let Err(error) = room::push(&mut self.list, REMARKS, remark) {
            self.refused = Some(error);
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when one is missing.
    pub(super) fn into_list(self) -> Result<Vec<Remark>, Error> {
        self.refused.map_or(Ok(self.list), Err)
    }
}
