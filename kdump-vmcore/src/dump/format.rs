//! What a dump format has to answer, and what a thread keeps to read it.

use kdump_elf::Paddr;

use super::block_cache::BlockCache;
use super::kdump::PageScratch;
use super::read_ahead::{ReadAhead, Sequence};
use super::{Facts, Span, SpanKind};
use crate::error::Stopped;

/// A dump in some format: an index of what is where, made when it is opened and never changed,
/// so that all threads share it.
///
/// To add a format, write a file beside `dump/elf.rs` with such a type and a function that
/// opens it, and a line in the table of `dump/signature.rs`.
pub trait Format: Send + Sync {
    /// What the dump says about itself.
    fn facts(&self) -> &Facts;

    /// The span that `at` lies in: neighbouring bytes of one kind. `None` when no RAM is
    /// described at `at` or behind it. Costs no I/O, and time that grows with the logarithm of
    /// the size of the dump at most.
    fn span(&self, at: Paddr) -> Option<Span>;

    /// As [`Format::span`], at the lowest price where `at` is near the address that `scratch` was
    /// used for last.
    fn span_near(&self, at: Paddr, _scratch: &mut Scratch) -> Option<Span> {
        self.span(at)
    }

    /// As [`Format::span`], but also asks what the dump has of each page on its own, which may
    /// read the file: pages known to be zeros, never written, or listed in places that cannot be
    /// right are told apart. The span may be shorter than all that is alike.
    fn look(&self, at: Paddr, scratch: &mut Scratch) -> Option<Span> {
        self.span_near(at, scratch)
    }

    /// What [`Format::look`] says of the page at `at` alone, without asking how far it is true.
    fn kind(&self, at: Paddr, scratch: &mut Scratch) -> Option<SpanKind> {
        self.look(at, scratch).map(|span| span.kind)
    }

    /// Whether reading costs so much that a read of many pages is worth several threads.
    fn is_slow(&self) -> bool {
        false
    }

    /// Fills all of `buf` from `at` on. Takes no lock and, once `scratch` has what it needs,
    /// allocates nothing.
    ///
    /// # Errors
    /// [`Stopped`] with the number of good bytes at the start of `buf`, the physical address
    /// of the first one missing, and its true reason: what was excluded, is missing, could
    /// not be read or is a hole never becomes zeros.
    fn read(&self, at: Paddr, buf: &mut [u8], scratch: &mut Scratch) -> Result<(), Stopped>;
}

/// How the memory of a dump is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Bytes of memory that each reader keeps at most for its next reads: pages that were
    /// decompressed, and pieces of files that are read by system calls. It takes them as it reads. With
    /// 0 every read goes to the source.
    pub cache_size: u64,
    /// Threads that a read of many compressed pages may use, the caller's own among them; 0 is as
    /// good as 1. What is read and where it fails does not depend on it. Needs the feature `std`.
    pub threads: usize,
}

impl ReadOptions {
    /// Sets `cache_size`.
    #[must_use]
    pub fn cache_size(self, cache_size: u64) -> Self {
        Self { cache_size, ..self }
    }

    /// Sets `threads`.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }
}

impl Default for ReadOptions {
    /// 64 MiB, and no thread but the caller's.
    fn default() -> Self {
        Self { cache_size: 64 << 20, threads: 1 }
    }
}

/// What one thread keeps between reads of a dump: the place of the last one, decoders, and what
/// was read or decompressed. Costs nothing until it is used.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The dump it was used for; see [`Dump::reader_with`](super::Dump::reader_with).
    pub(super) owner: usize,
    pub(super) options: ReadOptions,
    /// Where in its index the format found the last address.
    pub(crate) hint: usize,
    /// Pages of kdump-compressed files.
    pub(super) pages: PageScratch,
    /// Pieces of files that are read by system calls.
    pub(super) blocks: BlockCache,
    /// What is read of such files in order.
    pub(super) sequence: Sequence,
    pub(super) ahead: ReadAhead,
    /// Of the threads that help.
    #[cfg(feature = "std")]
    pub(super) helpers: Vec<Scratch>,
}

impl Scratch {
    pub(super) fn new(owner: usize, options: ReadOptions) -> Self {
        Self { owner, options, ..Self::default() }
    }
}
