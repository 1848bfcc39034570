//! Memory a dump claims to have and that could not be read.

use alloc::vec::Vec;
use core::mem::discriminant;

use kdump_elf::PhysRange;

use crate::error::Error;

/// The most ranges listed; all are counted.
pub const MAX_UNREADABLE: usize = 4096;

/// A range of memory that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableRange {
    /// Its physical addresses.
    pub range: PhysRange,
    /// Why its first byte could not be read.
    pub error: Error,
}

/// All memory that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Bytes in all.
    pub bytes: u64,
    /// Where they are, neighbours joined that were lost
    /// for like reasons: the first [`MAX_UNREADABLE`] ranges.
    pub ranges: Vec<UnreadableRange>,
    /// Ranges that are counted in `bytes` but not listed.
    pub unlisted: u64,
}

impl Unreadable {
    /// Whether everything could be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a range, joined with the last one where they touch and were lost for like reasons.
    pub(crate) fn add(&mut self, range: PhysRange, error: Error) {
        self.bytes = self.bytes.saturating_add(range.size());
        let alike = |other: &Error| discriminant(other) == discriminant(&error);
        if let Some(last) = self.ranges.last_mut().filter(|last| alike(&last.error)) {
            let joined = PhysRange::from_half_open(last.range.start(), range.end());
            if let (true, Ok(joined)) = (last.range.end() == range.start(), joined) {
                last.range = joined;
                return;
            }
        }
        if self.ranges.len() < MAX_UNREADABLE && self.ranges.try_reserve(1).is_ok() {
            self.ranges.push(UnreadableRange { range, error });
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
    }
}
