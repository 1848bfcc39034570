//! What a dump lacks, as far as its headers and its length tell.

use alloc::vec::Vec;

use kdump_elf::Phdr;

use crate::error::Error;
use crate::extent_map::ExtentMap;

/// Whether everything a dump says it holds is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Bytes the file has.
    pub file_size: u64,
    /// Bytes the file must have to hold all its segments.
    pub expected_size: u64,
    /// Bytes of memory that are behind the end of the file.
    pub missing: u64,
    /// Everything else that was found damaged and is left out.
    pub defects: Vec<Error>,
}

impl Completeness {
    pub(crate) fn of_file(size: u64, phdrs: &[Phdr], map: &ExtentMap, defects: Vec<Error>) -> Self {
        let ends = phdrs
            .iter()
            .filter(|phdr| phdr.p_filesz != 0)
            .map(|phdr| phdr.p_offset.saturating_add(phdr.p_filesz));
        let missing = map.extents().iter().filter_map(|extent| {
            let len = extent.range.size();
            Some(extent.stored_at?.saturating_add(len).saturating_sub(size).min(len))
        });
        Self {
            file_size: size,
            expected_size: ends.max().unwrap_or(0),
            missing: missing.fold(0, u64::saturating_add),
            defects,
        }
    }

    /// Whether nothing is known to be missing or damaged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.expected_size <= self.file_size && self.defects.is_empty()
    }
}
