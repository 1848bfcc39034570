//! What a dump lacks, as far as its headers and its length tell.

use alloc::vec::Vec;

use crate::error::Error;

/// Whether everything a dump says it holds is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Bytes the file has.
    pub file_size: u64,
    /// Bytes the file must have to hold all that its headers list.
    pub expected_size: u64,
    /// Bytes of memory that are behind the end of the file.
    pub missing: u64,
    /// Everything else that was found damaged and is left out.
    pub defects: Vec<Error>,
}

impl Completeness {
    /// Whether nothing is known to be missing or damaged. [`verify`](super::verify()) judges by
    /// the same, for a file that is too short lacks memory or has a defect.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.expected_size <= self.file_size && self.defects.is_empty()
    }
}
