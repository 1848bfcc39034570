//! What saving did.

use alloc::vec::Vec;

use super::times::StageTimes;
use crate::dump::{PageClass, Span, SpanKind, Unreadable};
use crate::error::Error;
use crate::filter::BtfKeys;

/// Pages that were left out because that was asked for, and what is to be known of the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Pages by class.
    pages: [u64; PageClass::ALL.len()],
    /// Pages that are kept because the kernel's record of them cannot be read.
    pub unreadable: u64,
    /// Pages that are kept because the kernel has no record of them.
    pub without: u64,
    /// Of the pages that count as left out, those that are saved even so: an ELF core leaves out runs of them
    /// only, and these were too short.
    pub short: u64,
    /// What VMCOREINFO lacks and the kernel's BTF told.
    pub from_btf: BtfKeys,
    /// Why all pages are kept although some were to be left out.
    pub doubt: Option<Doubt>,
}

/// The records of the kernel cannot be what VMCOREINFO says they are: by them free memory and memory in use
/// would be taken for each other, and nothing is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doubt {
    /// Records that say a free block begins there; every kernel has some.
    pub blocks: u64,
    /// Of these, and of records that say what a page belongs to, those that contradict themselves; no kernel
    /// has any.
    pub impossible: u64,
}

impl LeftOut {
    /// The classes of which there are any, and how many pages.
    pub fn classes(&self) -> impl Iterator<Item = (PageClass, u64)> {
        PageClass::ALL.into_iter().zip(self.pages).filter(|(_, pages)| *pages != 0)
    }

    /// All pages that were left out.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages.iter().copied().fold(0, u64::saturating_add)
    }

    /// What both left out.
    #[cfg(feature = "std")]
    pub(super) fn and(mut self, other: Self) -> Self {
        for (class, pages) in other.classes() {
            self.add(class, pages);
        }
        self
    }

    pub(super) fn add(&mut self, class: PageClass, pages: u64) {
        for (sum, other) in self.pages.iter_mut().zip(PageClass::ALL) {
            if other == class {
                *sum = sum.saturating_add(pages);
            }
        }
    }
}

/// The order in which the pages of a kdump-compressed file were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrittenOrder {
    /// That of their addresses, which nobody asked to change.
    #[default]
    ByAddress,
    /// First so many pages of the kernel, or fewer where saving ended early.
    KernelFirst {
        /// The pages, those of zeros included.
        pages: u64,
    },
    /// That of their addresses although the kernel's were to come first: which these are is not told.
    Unknown(Error),
    /// The same: the records that tell it contradict themselves.
    Doubtful(Doubt),
}

/// How pages are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredPages {
    /// Of zeros, which share one place.
    pub zero: u64,
    /// As they are: without compression, or where that does not pay.
    pub plain: u64,
    /// Compressed.
    pub compressed: u64,
}

/// What saving did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveReport {
    /// Bytes of the saved file; of a flattened stream, those of the file it describes.
    pub file_size: u64,
    /// Bytes of memory in it.
    pub memory: u64,
    /// Bytes that were written; the others are holes that read as zeros. Of a flattened stream its bytes.
    pub written: u64,
    /// Memory the source should have had and had not: it is no memory in the saved dump, which
    /// says why (docs/dump-note.md).
    pub unreadable: Unreadable,
    /// Of the bytes in `unreadable`, those behind the end of the source or never written to it.
    pub missing: u64,
    /// Of the bytes in `unreadable`, those whose place cannot be right or that cannot be decoded.
    pub corrupt: u64,
    /// Bytes besides that could be read and are told to be unreadable in the saved dump, which
    /// had no room to list more ranges.
    pub given_up: u64,
    /// Pages that were left out because that was asked for.
    pub left_out: LeftOut,
    /// In which order pages were written.
    pub order: WrittenOrder,
    /// How the pages of a kdump-compressed file are stored; none of another file.
    pub stored: StoredPages,
    /// How long each stage took.
    pub times: StageTimes,
    /// Other defects the source had; its completeness lists them.
    pub source_defects: u32,
    /// Bytes of an unfinished file that was gone on with, which are as they should be.
    pub resumed: u64,
    /// Whether the unfinished file of a process that was killed was removed.
    pub removed_leftover: bool,
    /// Bytes that several PT_LOADs of the source list and the saved file holds once.
    pub shared: u64,
    /// Indexes of program headers of the source that have no place in the saved file: those
    /// that are neither PT_LOAD nor PT_NOTE and those that pass the last address.
    pub dropped_phdrs: Vec<u32>,
}

impl SaveReport {
    /// Whether the source lacked nothing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unreadable.is_empty() && self.given_up == 0 && self.source_defects == 0
    }

    /// That nothing is known to be in the file.
    #[cfg(feature = "std")]
    pub(super) fn nothing_is_sure(&mut self) {
        (self.file_size, self.memory, self.stored) = (0, 0, StoredPages::default());
    }

    /// Counts memory that the source is known to have lost by its kind.
    pub(super) fn count_lost(&mut self, span: Span) {
        match span.kind {
            SpanKind::Missing => self.missing = self.missing.saturating_add(span.range.size()),
            SpanKind::Corrupt => self.corrupt = self.corrupt.saturating_add(span.range.size()),
            _ => {}
        }
    }

    /// Bytes of memory that the saved dump lacks.
    #[must_use]
    pub fn lacking(&self) -> u64 {
        self.unreadable.bytes.saturating_add(self.given_up)
    }
}
