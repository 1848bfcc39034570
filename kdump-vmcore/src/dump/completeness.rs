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
    /// Whether nothing is known to be missing or damaged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.judge().next().is_none()
    }

    /// All that is wrong beside missing memory, which verifying finds range by range: the one
    /// judgement of whether a dump is whole, memory or not.
    pub fn judge(&self) -> impl Iterator<Item = Error> {
        let (offset, have) = (self.file_size, 0);
        let need = self.expected_size.saturating_sub(offset);
        // Where memory is missing, its ranges say so.
        let cut = need != 0 && self.missing == 0;
        let what = "what the headers list, none of it memory,";
        let cut = cut.then_some(Error::Truncated { what, offset, need, have });
        cut.into_iter().chain(self.defects.iter().copied())
    }
}
