//! Copies memory into the planned places: large batches, zeros skipped, unreadable pages
//! noted and passed over.

use core::ops::ControlFlow;

use alloc::boxed::Box;

use thiserror::Error;

use super::plan::Region;
use super::{SavePlan, SaveReport, WriteAt};
use crate::dump::Reader;
use crate::dump::scan::{offset_in, read_or_zero};
use crate::error::Error;
use crate::progress::Progress;
use crate::room::zeroed;

/// Bytes read at once.
const BATCH: usize = 2 << 20;
/// Bytes of the blocks of the file that are left out where they are zero.
const PAGE: usize = 4096;
/// What such a block is compared with.
static ZEROS: [u8; PAGE] = [0; PAGE];

/// Saving that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{error}; the first {good} of {size} bytes are good")]
pub struct Interrupted {
    /// Why.
    pub error: Error,
    /// Bytes from the start of the file that are as they should be; header and notes are
    /// among them unless it is 0.
    pub good: u64,
    /// Bytes the file should have had.
    pub size: u64,
    /// What was done until then.
    pub report: Box<SaveReport>,
}

impl SavePlan<'_> {
    /// Writes the file into `sink`. `progress` is called after every batch of about 2 MiB and
    /// may end the work with [`ControlFlow::Break`].
    ///
    /// Memory that cannot be read is reported and ends nothing. It becomes zeros, but for what
    /// is behind the end of a truncated source: that is no part of the file.
    ///
    /// # Errors
    /// [`Interrupted`] when `sink` fails, `progress` breaks or there is no memory for a batch.
    pub fn copy<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        match zeroed("a batch of the copy", BATCH as u64) {
            Ok(mut buffer) => self.copy_with(&mut buffer, sink, progress),
            Err(error) => Err(self.interrupted(error)),
        }
    }

    /// As [`SavePlan::copy`] with a buffer of the caller, at least a page of 4096 bytes, which
    /// is also how much is read at once.
    ///
    /// # Errors
    /// [`Interrupted`] when `sink` fails, `progress` breaks or the buffer is too small.
    pub fn copy_with<W: WriteAt + ?Sized>(
        &self,
        buffer: &mut [u8],
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        let whole_pages = buffer.len().saturating_sub(offset_in(buffer.len() as u64, PAGE as u64));
        let buffer = buffer.get_mut(..whole_pages).unwrap_or_default();
        if buffer.is_empty() {
            let what = "a batch of the copy, a page at least";
            return Err(self.interrupted(Error::OutOfMemory { what, need: PAGE as u64 }));
        }
        let report = SaveReport {
            file_size: self.size,
            memory: self.memory,
            shared: self.shared,
            unreadable: self.missing.clone(),
            dropped_phdrs: self.dropped_phdrs.clone(),
            ..SaveReport::default()
        };
        let reader = self.dump.reader();
        let mut copy = Copy { plan: self, reader, sink, report, good: 0, done: 0, buffer };
        match copy.run(progress).and_then(|()| copy.sink.finish(self.size)) {
            Ok(()) => Ok(copy.report),
            Err(error) => {
                Err(Interrupted { error, good: copy.good, size: self.size, report: Box::new(copy.report) })
            }
        }
    }

    /// Stopped before anything was written.
    fn interrupted(&self, error: Error) -> Interrupted {
        Interrupted { error, good: 0, size: self.size, report: Box::default() }
    }
}

/// The state of one copy.
struct Copy<'a, 'd, W: ?Sized> {
    plan: &'a SavePlan<'d>,
    reader: Reader<'a>,
    sink: &'a mut W,
    report: SaveReport,
    /// File offset up to which everything is written.
    good: u64,
    done: u64,
    /// Whole pages.
    buffer: &'a mut [u8],
}

impl<W: WriteAt + ?Sized> Copy<'_, '_, W> {
    fn run(&mut self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), Error> {
        let plan = self.plan;
        self.write(0, &plan.head)?;
        for region in &plan.regions {
            self.fill_gap(region.offset)?;
            let mut paddr = region.range.start();
            while paddr < region.range.end() {
                paddr = self.batch(region, paddr)?;
                let state = Progress { done: self.done, total: plan.memory, written: self.report.written };
                if progress(state).is_break() {
                    return Err(Error::Cancelled);
                }
            }
        }
        Ok(())
    }

    /// Copies from `paddr` on, at most one buffer; returns the address behind what is done.
    fn batch(&mut self, region: &Region, paddr: u64) -> Result<u64, Error> {
        let offset = region.offset.saturating_add(paddr.saturating_sub(region.range.start()));
        let rest = region.range.end().saturating_sub(paddr);
        // All batches but the first begin at a whole page of the file.
        let room = self.buffer.len().saturating_sub(offset_in(offset, PAGE as u64));
        let len = usize::try_from(rest).unwrap_or(room).min(room);
        let buffer = core::mem::take(&mut self.buffer);
        let bytes = buffer.get_mut(..len).unwrap_or_default();
        let report = &mut self.report;
        let unit = self.plan.dump.page_size().unwrap_or(PAGE as u64);
        let advance =
            read_or_zero(&mut self.reader, paddr, bytes, region.range.end(), unit, &mut |range, error| {
                report.unreadable.add(range, error);
            });
        let written = self.write_sparse(offset, bytes);
        self.buffer = buffer;
        written?;
        self.fill_gap(offset.saturating_add(advance))?;
        self.done = self.done.saturating_add(advance);
        Ok(paddr.saturating_add(advance))
    }

    /// Writes runs of pages that are not all zero.
    fn write_sparse(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if !self.sink.is_sparse() {
            return self.write(offset, bytes);
        }
        let mut run: Option<usize> = None;
        let mut position = 0_usize;
        while position < bytes.len() {
            let at = offset.saturating_add(position as u64);
            let count =
                PAGE.saturating_sub(offset_in(at, PAGE as u64)).min(bytes.len().saturating_sub(position));
            let next = position.saturating_add(count);
            let page = bytes.get(position..next).unwrap_or_default();
            if ZEROS.get(..count) == Some(page) {
                self.write_run(offset, bytes, run.take(), position)?;
            } else {
                run.get_or_insert(position);
            }
            position = next;
        }
        self.write_run(offset, bytes, run, position)?;
        self.good = self.good.max(offset.saturating_add(bytes.len() as u64));
        Ok(())
    }

    fn write_run(
        &mut self,
        offset: u64,
        bytes: &[u8],
        start: Option<usize>,
        end: usize,
    ) -> Result<(), Error> {
        let Some(start) = start else { return Ok(()) };
        let run = bytes.get(start..end).unwrap_or_default();
        self.write(offset.saturating_add(start as u64), run)
    }

    /// Makes the file zero from where it is good up to `offset`.
    fn fill_gap(&mut self, offset: u64) -> Result<(), Error> {
        if self.sink.is_sparse() {
            self.good = self.good.max(offset);
            return Ok(());
        }
        while self.good < offset {
            let left = usize::try_from(offset.saturating_sub(self.good)).unwrap_or(PAGE);
            self.write(self.good, ZEROS.get(..left.min(PAGE)).unwrap_or_default())?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write_all_at(offset, bytes)?;
        self.report.written = self.report.written.saturating_add(bytes.len() as u64);
        self.good = self.good.max(offset.saturating_add(bytes.len() as u64));
        Ok(())
    }
}
