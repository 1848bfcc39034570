//! Reads a dump's memory, for one thread.

use kdump_elf::{Paddr, PhysRange};

use super::format::{Format, Scratch};
#[cfg(feature = "std")]
use super::parallel;
use super::{Facts, Span, SpanKind};
use crate::error::{Error, Stopped};
use crate::source::PhysMemory;

/// One thread's way to read a dump; cheap to make. It owns what speeds reading up and is not
/// shared: the dump it borrows is, so that threads need no lock.
pub struct Reader<'d> {
    format: &'d dyn Format,
    scratch: Keep<'d>,
    zero_excluded: bool,
}

/// Where the scratch of a reader is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation that cannot fail")]
enum Keep<'d> {
    Own(Scratch),
    Lent(&'d mut Scratch),
}

impl Keep<'_> {
    #[inline]
    fn get(&mut self) -> &mut Scratch {
        match self {
            Self::Own(scratch) => scratch,
            Self::Lent(scratch) => scratch,
        }
    }
}

impl<'d> Reader<'d> {
    pub(super) fn new(format: &'d dyn Format, scratch: Scratch) -> Self {
        Self { format, scratch: Keep::Own(scratch), zero_excluded: false }
    }

    pub(super) fn lent(format: &'d dyn Format, scratch: &'d mut Scratch) -> Self {
        Self { format, scratch: Keep::Lent(scratch), zero_excluded: false }
    }

    /// Whether memory that was left out when the dump was written reads as zeros from now on,
    /// instead of giving [`Error::Excluded`]. What is lost (missing, unreadable, corrupt) and
    /// holes give their errors all the same.
    #[must_use]
    pub fn zero_excluded(self, zero_excluded: bool) -> Self {
        Self { zero_excluded, ..self }
    }

    /// As [`Reader::zero_excluded`], in place.
    pub fn set_zero_excluded(&mut self, zero_excluded: bool) {
        self.zero_excluded = zero_excluded;
    }

    /// What the dump says about itself.
    #[must_use]
    pub fn facts(&self) -> &'d Facts {
        self.format.facts()
    }

    /// What the dump has at `paddr`, page by page where it keeps records of pages: unlike
    /// [`Dump::span`](super::Dump::span) this may read the file. `None` when no RAM is
    /// described there or behind it. The span may be shorter than all that is alike.
    pub fn look(&mut self, paddr: Paddr) -> Option<Span> {
        self.format.look(paddr, self.scratch.get())
    }

    /// What the dump has of the page at `paddr`, as [`Reader::look`] tells it, at the price of one
    /// page. `None` when no RAM is described there or behind it.
    pub fn kind(&mut self, paddr: Paddr) -> Option<SpanKind> {
        self.format.kind(paddr, self.scratch.get())
    }

    /// The memory of the machine by address, as [`Reader::look`] tells it: sorted, disjoint,
    /// without gaps, neighbours of one kind joined; from the first RAM to the last.
    pub fn looks(&mut self) -> impl Iterator<Item = Span> {
        let mut next =
            self.look(Paddr(0)).filter(|span| span.kind != SpanKind::Hole || span.range.start() == 0);
        if let Some(hole) = next.filter(|span| span.kind == SpanKind::Hole) {
            next = self.look(Paddr(hole.range.end()));
        }
        core::iter::from_fn(move || {
            let mut span = next?;
            loop {
                // A format that stands still would never end.
                let end = span.range.end();
                next = self.look(Paddr(end)).filter(|next| next.range.end() > end);
                let Some(joined) = next.filter(|next| next.kind == span.kind) else { return Some(span) };
                span.range = PhysRange::from_half_open(span.range.start(), joined.range.end()).ok()?;
            }
        })
    }

    /// Reads in the caller's thread.
    pub(super) fn read_alone(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        match self.format.read(paddr, buf, self.scratch.get()) {
            Err(stopped) if self.zero_excluded => self.fill_excluded(paddr.0, buf, stopped),
            result => result,
        }
    }

    /// Goes on behind `stopped` with zeros as long as memory was excluded.
    #[cold]
    fn fill_excluded(&mut self, start: u64, buf: &mut [u8], mut stopped: Stopped) -> Result<(), Stopped> {
        while matches!(stopped.error, Error::Excluded { .. }) {
            let mut read = stopped.read;
            let at = start.saturating_add(read as u64);
            let span = self.format.span(Paddr(at));
            let excluded = span.filter(|span| matches!(span.kind, SpanKind::Excluded(_)));
            let left = excluded.map_or(0, |span| rest_of(span.range, at));
            let zeros = buf.get_mut(read..).unwrap_or_default();
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            if count == 0 {
                break;
            }
            zeros.get_mut(..count).unwrap_or_default().fill(0);
            read = read.saturating_add(count);
            let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) else { return Ok(()) };
            let at = Paddr(start.saturating_add(read as u64));
            match self.format.read(at, rest, self.scratch.get()) {
                Ok(()) => return Ok(()),
                Err(next) => stopped = Stopped { read: read.saturating_add(next.read), ..next },
            }
        }
        Err(stopped)
    }
}

/// Bytes of `range` from `at` on.
fn rest_of(range: PhysRange, at: u64) -> u64 {
    range.end().saturating_sub(at)
}

impl PhysMemory for Reader<'_> {
    fn read_phys(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        #[cfg(feature = "std")]
        if buf.len() >= parallel::WORTH_IT && self.format.is_slow() {
            let scratch = self.scratch.get();
            if scratch.options.threads > 1 {
                return parallel::read(self.format, self.zero_excluded, scratch, paddr, buf);
            }
        }
        self.read_alone(paddr, buf)
    }

    fn read_stored(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        self.format.read(paddr, buf, self.scratch.get())
    }
}

impl core::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { format, scratch, zero_excluded } = self;
        f.debug_struct("Reader")
            .field("format", &format.facts().format)
            .field("scratch", scratch)
            .field("zero_excluded", zero_excluded)
            .finish()
    }
}
