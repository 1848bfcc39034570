//! What saving did.

use alloc::vec::Vec;

use crate::dump::Unreadable;

/// What saving did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaveReport {
    /// Bytes of the saved file.
    pub file_size: u64,
    /// Bytes of memory in it.
    pub memory: u64,
    /// Bytes that were written; the others are holes that read as zeros.
    pub written: u64,
    /// Memory that could not be read. What is behind the end of a truncated source
    /// ([`Error::Truncated`](crate::error::Error::Truncated)) is not in the saved file: its PT_LOADs
    /// have a smaller `p_filesz`. The rest stands as zeros.
    pub unreadable: Unreadable,
    /// Bytes that several PT_LOADs of the source list and the saved file holds once.
    pub shared: u64,
    /// Indexes of program headers of the source that have no place in the saved file: those
    /// that are neither PT_LOAD nor PT_NOTE and those that pass the last address.
    pub dropped_phdrs: Vec<u32>,
}
