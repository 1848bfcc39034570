//! Copies memory into the planned places: large batches, zeros skipped, unreadable pages
//! noted and passed over.

use core::ops::ControlFlow;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kdump_elf::{LossReason, LostRange, PhysRange};
use thiserror::Error;

use super::layout::Region;
use super::losses::{FOUND_ROOM, Losses, reason_for};
use super::note::{BLOCK, mark, stub};
use super::plan::source_defects;
#[cfg(feature = "std")]
use super::resume::Fixed;
use super::times::Clock;
use super::{SavePlan, SaveReport, WriteAt};
use crate::dump::scan::{is_zero, offset_in, read_or_zero};
use crate::dump::{Reader, Unreadable};
use crate::error::{Error, elf};
use crate::progress::Progress;
use crate::room::{PageAligned, append, collect};

/// Bytes read at once: few enough to be still in the processor's own cache when they are written.
const BATCH: usize = 256 << 10;
/// Bytes of the blocks of the file that are left out where they are zero.
const PAGE: usize = 4096;
/// What fills gaps.
static ZEROS: [u8; PAGE] = [0; PAGE];
/// Bytes between regions, exclusive, that are written as zeros, or left out as the pages they are in.
const MAX_GAP: usize = 16 * PAGE;
/// Bytes of the file after which what was written is made to last and noted as good.
pub(super) const CHECKPOINT: u64 = 64 << 20;

/// Saving that ended early.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{error}; the first {good} of {size} bytes are good")]
#[non_exhaustive]
pub struct Interrupted {
    /// Why.
    pub error: Error,
    /// Bytes from the start of the file that are as they should be; header and notes are
    /// among them unless it is 0. When the sink could not make them last, those for which it could before.
    pub good: u64,
    /// Bytes the file should have had.
    pub size: u64,
    /// What was done until then: `file_size`, `memory` and `stored` count what is good of the file and the memory that is
    /// in it, neither what was planned nor what was read and got no further. Of a kdump-compressed file that was gone
    /// on with, pages that were not reached again are not counted.
    pub report: Box<SaveReport>,
}

impl Interrupted {
    /// Stopped with so many bytes of memory in the file.
    pub(super) fn after(error: Error, (good, size): (u64, u64), memory: u64, report: SaveReport) -> Self {
        Self { error, good, size, report: Box::new(SaveReport { file_size: good, memory, ..report }) }
    }
}

impl SavePlan<'_> {
    /// Writes the file into `sink`. `progress` is called after every batch of about 256 KiB and
    /// may end the work with [`ControlFlow::Break`].
    ///
    /// Memory that cannot be read is reported and ends nothing: the file remembers where it is
    /// and why. Until the last write the file says that it is not finished, and how far it is.
    ///
    /// # Errors
    /// [`Interrupted`] when `sink` fails, `progress` breaks or there is no memory for a batch.
    pub fn copy<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        match PageAligned::zeroed("a batch of the copy", BATCH as u64) {
            Ok(mut buffer) => self.copy_with(buffer.get_mut(), sink, progress),
            Err(error) => Err(self.interrupted(error)),
        }
    }

    /// What a file that is gone on with is to begin with.
    #[cfg(feature = "std")]
    pub(super) fn fixed(&self) -> Result<Fixed<'_>, Error> {
        let stub = stub(self.dump.encoding(), self.dump.facts().e_machine)?;
        let ended = [self.ended_head(false)?, self.ended_head(true)?];
        Ok(Fixed { head: &self.head, note: &self.note, stub, ended, data: self.head.len() as u64 })
    }

    /// What a finished file begins with, up to the block with the end of the program header of the notes; `whole` has
    /// no note of ours.
    fn ended_head(&self, whole: bool) -> Result<Vec<u8>, Error> {
        let entry = usize::from(self.dump.encoding().phdr_size());
        let entry = self.note.phdr_at..self.note.phdr_at.saturating_add(entry);
        let mut head = Vec::new();
        let blocks = self.head.get(..entry.end.next_multiple_of(BLOCK)).unwrap_or_default();
        append(&mut head, "the header of the new file", blocks)?;
        if whole {
            let place = head.get_mut(entry).unwrap_or_default();
            self.note.whole.encode(self.dump.encoding(), place).map_err(elf("new program header"))?;
        }
        mark(&mut head, false)?;
        Ok(head)
    }

    /// As [`SavePlan::copy`], into a file that is written up to `good`.
    #[cfg(feature = "std")]
    pub(super) fn resume<W: WriteAt + ?Sized>(
        &self,
        good: u64,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        match PageAligned::zeroed("a batch of the copy", BATCH as u64) {
            Ok(mut buffer) => self.copy_behind(good, buffer.get_mut(), sink, progress),
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
        self.copy_behind(0, buffer, sink, progress)
    }

    /// As [`SavePlan::copy_with`] into a file that says to be written up to `resumed`; 0 is a new one. `sink` takes
    /// what is there for written.
    pub(super) fn copy_behind<W: WriteAt + ?Sized>(
        &self,
        resumed: u64,
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
        let report = self.report().map_err(|error| self.interrupted(error))?;
        let mut note = Vec::new();
        let blocks = self.head.get(self.note.blocks()).unwrap_or_default();
        append(&mut note, "the note of the new file", blocks).map_err(|error| self.interrupted(error))?;
        let found = Losses::with_room(FOUND_ROOM).map_err(|error| self.interrupted(error))?;
        let reader = self.dump.reader();
        let (good, done, noted) = (0, 0, resumed.max(self.head.len() as u64));
        let (at, filled, unsure) = (0, 0, false);
        let mut copy = Copy {
            plan: self,
            reader,
            sink,
            report,
            found,
            note,
            good,
            noted,
            resumed,
            unsure,
            done,
            buffer,
            at,
            filled,
        };
        match copy.run(progress) {
            Ok(()) => Ok(copy.report),
            Err(error) => {
                // The error that ended the work is the one to tell; without the note the file
                // says less than it could, and nothing wrong.
                let begun = copy.good >= resumed.max(self.head.len() as u64);
                if begun && !copy.unsure && copy.sink.rewrites() {
                    let _ = copy.checkpoint();
                }
                let good = if copy.unsure { copy.good.min(copy.noted) } else { copy.good };
                let good = good.max(resumed);
                Err(Interrupted::after(error, (good, self.size), self.memory_below(good), copy.report))
            }
        }
    }

    /// What is known before anything is copied.
    fn report(&self) -> Result<SaveReport, Error> {
        let ranges = collect("the memory the source lacks", self.known.ranges.iter().copied())?;
        let dropped_phdrs = collect("the dropped program headers", self.dropped_phdrs.iter().copied())?;
        Ok(SaveReport {
            file_size: self.size,
            memory: self.memory,
            shared: self.shared,
            unreadable: Unreadable { ranges, ..self.known },
            missing: self.missing,
            corrupt: self.corrupt,
            source_defects: source_defects(self.dump),
            dropped_phdrs,
            left_out: self.left_out,
            ..SaveReport::default()
        })
    }

    /// Bytes of memory in front of an offset of the file.
    fn memory_below(&self, offset: u64) -> u64 {
        let there = |region: &Region| offset.saturating_sub(region.offset).min(region.range.size());
        self.regions.iter().map(there).fold(0, u64::saturating_add)
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
    /// What could not be read.
    found: Losses,
    /// The blocks of the header with the note.
    note: Vec<u8>,
    /// File offset up to which everything is written.
    good: u64,
    /// The same, as the file says.
    noted: u64,
    /// What it said before; 0 of a new one.
    resumed: u64,
    /// A sync failed: nobody knows what of the writes before it is on the medium, and the next sync does not
    /// tell (fsync(2): an error is reported once).
    unsure: bool,
    done: u64,
    /// Whole pages.
    buffer: &'a mut [u8],
    /// Bytes of it that wait to be written, and the place of the first one in the file. Regions of
    /// a few bytes, of which there may be many, are written together.
    filled: usize,
    at: u64,
}

impl<W: WriteAt + ?Sized> Copy<'_, '_, W> {
    fn run(&mut self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), Error> {
        let plan = self.plan;
        self.begin()?;
        for region in &plan.regions {
            // What lies between is a hole, or listed already.
            self.found.pass(1, false);
            self.go_to(region.offset, progress)?;
            let mut paddr = region.range.start();
            while paddr < region.range.end() {
                paddr = self.read(region, paddr);
                if self.room() == 0 {
                    self.flush(progress)?;
                }
            }
        }
        self.flush(progress)?;
        self.fill_gap(plan.size)?;
        self.end()
    }

    /// Takes the place of what was there: from the first write on there is no older dump.
    fn begin(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        if self.resumed > 0 {
            self.good = plan.head.len() as u64;
            return Ok(());
        }
        if !self.sink.rewrites() {
            // The end of such a file says that it is whole.
            let mut head = plan.ended_head(false)?;
            let rest = plan.head.get(head.len()..).unwrap_or_default();
            append(&mut head, "the header of the new file", rest)?;
            let changing = plan.note.changing();
            self.write(0, head.get(..changing.start).unwrap_or_default())?;
            return self.write(changing.end as u64, head.get(changing.end..).unwrap_or_default());
        }
        self.sink.write_all_at(0, &stub(plan.dump.encoding(), plan.dump.facts().e_machine)?)?;
        self.sync()?;
        let (first, rest) = plan.head.split_at_checked(BLOCK).unwrap_or_default();
        self.sink.write_all_at(BLOCK as u64, rest)?;
        self.sync()?;
        self.write(0, first)?;
        self.report.written = self.report.written.saturating_add(rest.len() as u64);
        self.good = plan.head.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sink.sync().inspect_err(|_| self.unsure = true)
    }

    /// Notes in the file what could not be read so far and how much of the file is good: nothing more when it
    /// may not be on the medium.
    fn checkpoint(&mut self) -> Result<(), Error> {
        self.sync()?;
        let plan = self.plan;
        let (found, good) = (&self.found, self.good);
        let given_up = plan.given_up.saturating_add(found.given_up);
        plan.note.checkpoint(&mut self.note, self.sink, good, &found.ranges, given_up)?;
        self.noted = good;
        Ok(())
    }

    /// Makes the file a finished one. One that lacks nothing has no note.
    fn end(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        // Without the note nothing says how much of the memory is on the medium.
        self.sync()?;
        self.report.given_up = plan.given_up.saturating_add(self.found.given_up);
        let whole = self.report.is_whole() && plan.note.is_empty(&self.found.ranges);
        let blocks = plan.note.blocks();
        if !self.sink.rewrites() {
            plan.note.fill(&mut self.note, blocks.start, None, &self.found.ranges, self.report.given_up);
            let changing = plan.note.changing();
            let inside =
                changing.start.saturating_sub(blocks.start)..changing.end.saturating_sub(blocks.start);
            let note = self.note.get(inside).unwrap_or_default();
            self.sink.write_all_at(changing.start as u64, note)?;
            return self.sink.finish(plan.size);
        }
        if whole {
            plan.note.erase(&mut self.note, blocks.start);
        } else {
            let given_up = self.report.given_up;
            plan.note.fill(&mut self.note, blocks.start, None, &self.found.ranges, given_up);
        }
        self.sink.write_all_at(blocks.start as u64, &self.note)?;
        // The program header of the notes, in one or two blocks, with the first one last.
        let head = plan.ended_head(whole)?;
        let (first, rest) = head.split_at_checked(BLOCK).unwrap_or_default();
        let skip = (plan.note.phdr_at & !BLOCK.saturating_sub(1)).saturating_sub(BLOCK).min(rest.len());
        let behind = rest.get(skip..).unwrap_or_default();
        if !behind.is_empty() {
            self.sink.write_all_at(BLOCK.saturating_add(skip) as u64, behind)?;
        }
        self.sink.set_size(plan.size)?;
        self.sync()?;
        self.sink.write_all_at(0, first)?;
        self.sink.finish(plan.size)
    }

    /// Bytes the buffer still takes: a batch ends with a whole page of the file.
    fn room(&self) -> usize {
        let used = offset_in(self.at, PAGE as u64).saturating_add(self.filled);
        self.buffer.len().saturating_sub(used)
    }

    /// Makes the next byte that is read stand at `offset` of the file.
    fn go_to(
        &mut self,
        offset: u64,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let gap = offset.saturating_sub(self.at.saturating_add(self.filled as u64));
        let gap = usize::try_from(gap).ok().filter(|&gap| gap < self.room().min(MAX_GAP));
        if let Some(gap) = gap.filter(|_| self.filled > 0) {
            let end = self.filled.saturating_add(gap);
            self.buffer.get_mut(self.filled..end).unwrap_or_default().fill(0);
            self.filled = end;
            return Ok(());
        }
        if self.filled > 0 {
            self.flush(progress)?;
        }
        self.fill_gap(offset)?;
        self.at = offset;
        Ok(())
    }

    /// Reads memory from `paddr` on, at most what the buffer takes; returns the address behind it.
    fn read(&mut self, region: &Region, paddr: u64) -> u64 {
        let (rest, room) = (region.range.end().saturating_sub(paddr), self.room());
        let len = usize::try_from(rest).unwrap_or(room).min(room);
        let end = self.filled.saturating_add(len);
        let bytes = self.buffer.get_mut(self.filled..end).unwrap_or_default();
        let (report, found) = (&mut self.report, &mut self.found);
        let mut reached = paddr;
        let unit = self.plan.dump.page_size().unwrap_or(PAGE as u64);
        let mut clock = Clock::start();
        read_or_zero(&mut self.reader, paddr, bytes, unit, &mut |range, error| {
            found.pass(range.start().saturating_sub(reached), true);
            reached = range.end();
            note_loss(report, found, range, error);
        });
        clock.lap(&mut self.report.times.read);
        let advance = bytes.len() as u64;
        found.pass(paddr.saturating_add(advance).saturating_sub(reached), true);
        self.filled = end;
        self.done = self.done.saturating_add(advance);
        paddr.saturating_add(advance)
    }

    /// Writes what waits to be written.
    fn flush(&mut self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), Error> {
        if self.filled == 0 {
            return Ok(());
        }
        let buffer = core::mem::take(&mut self.buffer);
        let written = self.write_sparse(self.at, buffer.get(..self.filled).unwrap_or_default());
        self.buffer = buffer;
        written?;
        self.at = self.at.saturating_add(self.filled as u64);
        self.filled = 0;
        self.fill_gap(self.at)?;
        if self.good.saturating_sub(self.noted) >= CHECKPOINT && self.sink.rewrites() {
            self.checkpoint()?;
        }
        let state = Progress { done: self.done, total: self.plan.memory, written: self.report.written };
        if progress(state).is_break() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Whether zeros need not be written. Of a stream nobody can tell memory that was left out for being zero from
    /// memory of which the record was lost.
    fn is_sparse(&self) -> bool {
        self.sink.is_sparse() && self.sink.rewrites()
    }

    /// Writes runs of pages that are not all zero.
    fn write_sparse(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if !self.is_sparse() {
            return self.write(offset, bytes);
        }
        let mut clock = Clock::start();
        let mut run: Option<usize> = None;
        let mut position = 0_usize;
        while position < bytes.len() {
            let at = offset.saturating_add(position as u64);
            let count =
                PAGE.saturating_sub(offset_in(at, PAGE as u64)).min(bytes.len().saturating_sub(position));
            let next = position.saturating_add(count);
            let page = bytes.get(position..next).unwrap_or_default();
            if is_zero(page) {
                if run.is_some() {
                    clock.lap(&mut self.report.times.zero_test);
                    self.write_run(offset, bytes, run.take(), position)?;
                    clock = Clock::start();
                }
            } else {
                run.get_or_insert(position);
            }
            position = next;
        }
        clock.lap(&mut self.report.times.zero_test);
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
        if self.is_sparse() {
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

/// Takes down memory that was to be copied and could not be read.
pub(super) fn note_loss(report: &mut SaveReport, found: &mut Losses, range: PhysRange, error: Error) {
    let reason = reason_for(&error);
    // There is room: it was taken beforehand.
    let _ = found.add(LostRange::new(range, reason));
    match reason {
        LossReason::Missing => report.missing = report.missing.saturating_add(range.size()),
        LossReason::Corrupt => report.corrupt = report.corrupt.saturating_add(range.size()),
        _ => {}
    }
    report.unreadable.add(range, error);
}
