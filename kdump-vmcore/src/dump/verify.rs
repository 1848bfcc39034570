//! Reads everything a dump claims to have.

use core::ops::ControlFlow;

use alloc::vec::Vec;

use super::scan::read_or_zero;
use super::{Dump, Span, Unreadable};
use crate::error::Error;
use crate::progress::Progress;
use crate::room::{PageAligned, collect, tell};

/// Bytes read at once.
const BATCH: usize = 2 << 20;
/// Passed over at once where memory cannot be read and the dump has no page size.
const SMALLEST_PAGE: u64 = 4096;

/// What reading all of a dump found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Bytes of memory that were to be read.
    pub memory: u64,
    /// Memory that could not be read.
    pub unreadable: Unreadable,
    /// Other damage: of headers, notes and registers.
    pub defects: Vec<Error>,
}

impl Verification {
    /// Whether nothing is damaged; never of a dump that is not complete.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.unreadable.is_empty() && self.defects.is_empty()
    }
}

/// Reads all notes, registers and memory of `dump`. `progress` is called after every batch
/// and may end the work with [`ControlFlow::Break`].
///
/// # Errors
/// [`Error::Cancelled`] when `progress` breaks, [`Error::OutOfMemory`].
pub fn verify(
    dump: &Dump<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Verification, Error> {
    let defects = collect("what is wrong with the dump", dump.completeness().defects.iter().copied())?;
    let mut found = Verification { defects, ..Verification::default() };
    let state = dump.completeness();
    let need = state.expected_size.saturating_sub(state.file_size);
    if found.defects.is_empty() && state.missing == 0 && need > 0 {
        let offset = state.file_size;
        let what = "what the headers list besides memory";
        tell(&mut found.defects, Error::Truncated { what, offset, need, have: 0 })?;
    }
    // Registers of an architecture that is not known here are not damaged.
    let damaged = |error: &Error| !matches!(error, Error::Unsupported { .. });
    let mut wrong = dump.cpus().filter_map(|cpu| cpu.prstatus().err()).filter(damaged);
    wrong.try_for_each(|error| tell(&mut found.defects, error))?;
    let listed = |span: &Span| span.kind.is_readable() || span.kind.is_lost();
    // What is behind the end of a cut file is listed, whatever a closer look says of it.
    let sizes = dump.spans().filter(listed).map(|span| span.range.size());
    found.memory = sizes.fold(0, u64::saturating_add);
    // Aligned: the system copies to any other place at half the speed.
    let mut buffer = PageAligned::zeroed("a batch of memory", BATCH as u64)?;
    let mut done = 0_u64;
    let unit = dump.page_size().unwrap_or(SMALLEST_PAGE);
    let mut reader = dump.reader();
    for span in dump.spans_to_the_end().filter(listed) {
        let range = span.range;
        if span.kind.is_lost() {
            found.unreadable.add(range, dump.loss(span));
            done = done.saturating_add(range.size());
            if progress(Progress { done, total: found.memory, written: 0 }).is_break() {
                return Err(Error::Cancelled);
            }
            continue;
        }
        let mut paddr = range.start();
        while paddr < range.end() {
            let rest = usize::try_from(range.end().saturating_sub(paddr)).unwrap_or(BATCH);
            let bytes = buffer.get_mut().get_mut(..rest.min(BATCH)).unwrap_or_default();
            read_or_zero(&mut reader, paddr, bytes, unit, &mut |range, error| {
                found.unreadable.add(range, error);
            });
            let advance = bytes.len() as u64;
            paddr = paddr.saturating_add(advance);
            done = done.saturating_add(advance);
            if progress(Progress { done, total: found.memory, written: 0 }).is_break() {
                return Err(Error::Cancelled);
            }
        }
    }
    Ok(found)
}
