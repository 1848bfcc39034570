//! What a dump lacks, as far as its headers and its length tell.

use alloc::vec::Vec;

use crate::error::Error;

/// Whether everything a dump says it holds is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completeness {
    /// Bytes the file has.
    pub file_size: u64,
    /// Bytes the file must have to hold all that its headers list.
    pub expected_size: u64,
    /// Bytes of memory that are behind the end of the file, were behind the end of the one it was
    /// saved from, or were not written because saving ended early.
    pub missing: u64,
    /// Bytes of memory the dump is known to have lost in another way: they could not be read
    /// when it was saved, or their place cannot be right.
    pub unreadable: u64,
    /// Everything else that was found damaged and is left out.
    pub defects: Vec<Error>,
}

impl Completeness {
    /// Whether saving the dump was not finished.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.defects.iter().any(|defect| matches!(defect, Error::Unfinished { .. } | Error::Incomplete))
    }

    /// Whether nothing is known to be missing or damaged. [`verify`](super::verify()) judges by
    /// the same, for a file that is too short lacks memory or has a defect.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0
            && self.unreadable == 0
            && self.expected_size <= self.file_size
            && self.defects.is_empty()
    }
}
