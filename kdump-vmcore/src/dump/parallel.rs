//! A read of many pages by several threads.

use std::sync::{Mutex, PoisonError};
use std::thread;

use kdump_elf::Paddr;

use super::Reader;
use super::format::{Format, ReadOptions, Scratch};
use super::scan::offset_in;
use crate::error::Stopped;

/// Bytes of a read that pay for starting threads: they take tens of microseconds each, as long as
/// some ten compressed pages.
pub(super) const WORTH_IT: usize = 256 << 10;
/// Bytes that a thread reads before it takes the next ones; neighbours are read ahead together.
const PIECE: usize = 64 << 10;

/// What is left of a read.
struct Rest<'b> {
    /// Offset of `bytes` in the whole.
    done: usize,
    bytes: &'b mut [u8],
    /// The first failure, with the good bytes of the whole in front of it.
    failed: Option<Stopped>,
}

impl<'b> Rest<'b> {
    /// The next piece for a thread, with its offset; pieces end at multiples of [`PIECE`] so
    /// that no page is read twice. None behind a failure: what is in front of it is all taken.
    fn next(&mut self, start: u64) -> Option<(usize, &'b mut [u8])> {
        if self.failed.is_some() || self.bytes.is_empty() {
            return None;
        }
        let at = start.saturating_add(self.done as u64);
        let count = PIECE.saturating_sub(offset_in(at, PIECE as u64)).min(self.bytes.len());
        let (piece, rest) = core::mem::take(&mut self.bytes).split_at_mut_checked(count)?;
        self.bytes = rest;
        let offset = self.done;
        self.done = self.done.saturating_add(count);
        Some((offset, piece))
    }

    /// Takes down that the piece at `offset` could not be read. Of several failures the first one by
    /// address counts, whichever thread came to its own first.
    fn fail(&mut self, offset: usize, stopped: Stopped) {
        let stopped = Stopped { read: offset.saturating_add(stopped.read), ..stopped };
        if self.failed.is_none_or(|first| stopped.read < first.read) {
            self.failed = Some(stopped);
        }
    }
}

/// Fills `buf` from `start` on, with as many threads as `scratch` says and the read is worth.
pub(super) fn read(
    format: &dyn Format,
    zero_excluded: bool,
    scratch: &mut Scratch,
    start: Paddr,
    buf: &mut [u8],
) -> Result<(), Stopped> {
    let pieces = buf.len().div_ceil(PIECE);
    let helpers = scratch.options.threads.min(pieces).saturating_sub(1);
    let missing = helpers.saturating_sub(scratch.helpers.len());
    // Without memory for helpers the caller's thread works alone.
    if scratch.helpers.try_reserve(missing).is_ok() {
        // Whole pages go straight to where they are wanted: helpers have nothing to keep.
        let options = ReadOptions { cache_size: 0, threads: 1 };
        scratch.helpers.resize_with(scratch.helpers.len().saturating_add(missing), || {
            Scratch::new(scratch.owner, options)
        });
    }
    let mut others = core::mem::take(&mut scratch.helpers);
    let rest = Mutex::new(Rest { done: 0, bytes: buf, failed: None });
    let lock = || rest.lock().unwrap_or_else(PoisonError::into_inner);
    let work = |scratch: &mut Scratch| {
        let mut reader = Reader::lent(format, scratch).zero_excluded(zero_excluded);
        loop {
            let Some((offset, piece)) = lock().next(start.0) else { break };
            let at = Paddr(start.0.saturating_add(offset as u64));
            if let Err(stopped) = reader.read_alone(at, piece) {
                lock().fail(offset, stopped);
            }
        }
    };
    thread::scope(|scope| {
        for scratch in others.iter_mut().take(helpers) {
            let work = &work;
            // A system that has no thread to give leaves the work to those there are.
            if thread::Builder::new().spawn_scoped(scope, move || work(scratch)).is_err() {
                break;
            }
        }
        work(scratch);
    });
    scratch.helpers = others;
    let rest = rest.into_inner().unwrap_or_else(PoisonError::into_inner);
    rest.failed.map_or(Ok(()), Err)
}
