//! Writes the planned file: headers and tables first, then pages in their order.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::{ControlFlow, Range};

use kdump_elf::PhysRange;

use super::super::copy::{CHECKPOINT, note_loss};
use super::super::losses::{FOUND_ROOM, Losses};
use super::super::note::{BLOCK, stub};
use super::super::plan::source_defects;
use super::super::report::{StoredPages, WrittenOrder};
#[cfg(feature = "std")]
use super::super::resume::Fixed;
use super::super::{Interrupted, SaveReport, WriteAt};
use super::batch::Batches;
use super::block::{Block, Page, Worker, flag};
use super::part::Part;
use super::plan::KdumpPlan;
use super::stream::Stream;
use crate::dump::Unreadable;
use crate::dump::kdump::{DESC_LEN, encode_desc};
use crate::dump::scan::is_zero;
use crate::error::Error;
use crate::filter::{PageSet, ones};
use crate::progress::Progress;
use crate::room::{append, collect, zeroed};
use crate::source::MAX_GAPS;

/// Descriptors that are written at once: 12 pages of 4 KiB.
const DESCS: usize = 2048;
/// The same, in a stream.
const STREAM_DESCS: usize = 256;
/// Bytes of a bitmap that are made at once.
const PIECE: u64 = 64 << 10;

impl KdumpPlan<'_> {
    /// Writes the file into `sink`. `progress` is called after every batch of at most 256 KiB and may end
    /// the work with [`ControlFlow::Break`].
    ///
    /// Memory that cannot be read is reported and ends nothing: its page has a descriptor without
    /// data, and the file remembers where it is and why. Until the last write the file says that it is not
    /// finished, unless `sink` takes no byte twice.
    ///
    /// Holds half a MiB for each batch on its way, of which there are at most four for each thread and one more, what
    /// the compression keeps, and a bit for each page that is left out.
    ///
    /// # Errors
    /// [`Interrupted`] when `sink` fails, `progress` breaks or there is no memory for a batch.
    pub fn copy<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        self.copy_behind(0, sink, progress)
    }

    /// What a file that is gone on with is to begin with.
    #[cfg(feature = "std")]
    pub(in super::super) fn fixed(&self) -> Result<Fixed<'_>, Error> {
        let stub = stub(self.dump.encoding(), self.dump.facts().e_machine)?;
        let ended = |ours: bool| {
            // Both headers, a block each.
            let size = usize::try_from(self.page_size().saturating_mul(2)).unwrap_or(usize::MAX);
            let mut head = Vec::new();
            let blocks = self.head.get(..size).unwrap_or(&self.head);
            append(&mut head, "the header of the new file", blocks)?;
            self.headers(&mut head, None, false, self.note_size(ours));
            Ok::<_, Error>(head)
        };
        let ended = [ended(true)?, ended(false)?];
        Ok(Fixed { head: &self.head, note: &self.note, stub, ended, data: self.data() })
    }

    /// As [`KdumpPlan::copy`] into a file that says to be written up to `resumed`; 0 is a new one. `sink` takes
    /// what is there for written.
    pub(in super::super) fn copy_behind<W: WriteAt + ?Sized>(
        &self,
        resumed: u64,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        let mut writer = Writer::new(self, self.whole(), resumed, sink, progress)
            .map_err(|error| self.early(error, resumed))?;
        let done = writer.run();
        writer.close(done)
    }

    /// Of a file in which so many bytes were good before.
    pub(super) fn early(&self, error: Error, good: u64) -> Interrupted {
        Interrupted { error, good, size: self.size(), report: Box::default() }
    }

    /// What is known before the first byte is written, of a file with `memory` bytes.
    fn known_report(&self, memory: u64) -> Result<SaveReport, Error> {
        let ranges = collect("the memory the source lacks", self.known.ranges.iter().copied())?;
        Ok(SaveReport {
            memory,
            unreadable: Unreadable { ranges, ..self.known },
            missing: self.missing,
            corrupt: self.corrupt,
            left_out: self.scan,
            order: self.order,
            source_defects: source_defects(self.dump),
            ..SaveReport::default()
        })
    }
}

/// A descriptor: offset, bytes, flags.
type Desc = (u64, u32, u32);

/// Pages of a file.
#[derive(Clone, Copy, Default)]
struct Stored {
    kinds: StoredPages,
    /// Of which there are no bytes.
    lost: u64,
}

impl Stored {
    fn count(&mut self, page: &Page) -> &mut u64 {
        match page {
            Page::Zero => &mut self.kinds.zero,
            Page::Raw => &mut self.kinds.plain,
            Page::Packed(_) => &mut self.kinds.compressed,
            Page::Lost => &mut self.lost,
        }
    }

    fn pages(self) -> u64 {
        let StoredPages { zero, plain, compressed } = self.kinds;
        [plain, compressed, self.lost].into_iter().fold(zero, u64::saturating_add)
    }
}

/// The state of one copy.
pub(super) struct Writer<'a, 'd, W: ?Sized, P: ?Sized> {
    plan: &'a KdumpPlan<'d>,
    /// Which pages of the plan the file has, and what it begins with.
    pub(super) part: Part<'a>,
    sink: &'a mut W,
    progress: &'a mut P,
    report: SaveReport,
    /// What could not be read.
    pub(super) found: Losses,
    /// The page behind the last one, and the number of its descriptor.
    next: u64,
    slot: u64,
    /// Whether the pages are those of the second pass.
    second: bool,
    /// The blocks of the header with the note.
    note: Vec<u8>,
    data: Stream,
    /// Descriptors that are not written: number, and offset, bytes, flags.
    descs: Vec<(u64, Desc)>,
    /// Pages that have a descriptor, written or not.
    given: Stored,
    /// What the file says is good, and which pages that are.
    noted: u64,
    noted_pages: Stored,
    /// What it said before; 0 of a new one.
    resumed: u64,
    done: u64,
    /// Bytes of the bitmaps that may yet be left out: a reader of a stream takes more zeros than these for
    /// an attack.
    gaps: u64,
    begun: bool,
    /// A sync failed: nobody knows what of the writes before it is on the medium, and the next sync does not
    /// tell (fsync(2): an error is reported once).
    unsure: bool,
}

impl<'a, 'd, W, P> Writer<'a, 'd, W, P>
where
    W: WriteAt + ?Sized,
    P: FnMut(Progress) -> ControlFlow<()> + ?Sized,
{
    pub(super) fn new(
        plan: &'a KdumpPlan<'d>,
        part: Part<'a>,
        resumed: u64,
        sink: &'a mut W,
        progress: &'a mut P,
    ) -> Result<Self, Error> {
        let mut note = Vec::new();
        let blocks = plan.head.get(plan.note.blocks()).unwrap_or_default();
        append(&mut note, "the note of the new file", blocks)?;
        let mut descs = Vec::new();
        let need = DESCS.saturating_mul(size_of::<(u64, Desc)>()) as u64;
        descs.try_reserve(DESCS).map_err(|_| Error::OutOfMemory { what: "descriptors of pages", need })?;
        let memory = part.pages.saturating_mul(plan.page_size());
        // Of a set the first file tells what all of them lack.
        let report = if part.first {
            plan.known_report(memory)?
        } else {
            SaveReport { memory, ..SaveReport::default() }
        };
        // A stream is a sequence of writes, and the same for any number of threads; without a codec so are batches.
        let data = Stream::new(plan.data(), sink.rewrites() || plan.options.codec.is_none())?;
        let gaps = if sink.rewrites() { u64::MAX } else { MAX_GAPS };
        let mut found = Losses::with_room(FOUND_ROOM)?;
        if plan.later.is_some() {
            found.keep_half();
        }
        Ok(Self {
            plan,
            part,
            sink,
            progress,
            report,
            found,
            next: 0,
            slot: 0,
            second: false,
            note,
            data,
            descs,
            given: Stored::default(),
            noted: resumed.max(plan.data()),
            noted_pages: Stored::default(),
            resumed,
            done: 0,
            gaps,
            begun: false,
            unsure: false,
        })
    }

    fn run(&mut self) -> Result<(), Error> {
        #[cfg(feature = "std")]
        if self.plan.options.threads > 1 && self.plan.pages > self.plan.batch_pages() {
            self.begin()?;
            let batches = self.batches();
            super::threads::run(self, self.plan, batches)?;
            return self.end(None);
        }
        self.write_pages()?;
        self.end(None)
    }

    /// Everything but the end, in this thread.
    pub(super) fn write_pages(&mut self) -> Result<(), Error> {
        self.begin()?;
        let batches = self.batches();
        self.alone(batches)
    }

    fn batches(&self) -> Batches<'a> {
        let plan = self.plan;
        Batches::new(&plan.readable, plan.chosen(), self.part.pfns.clone(), plan.batch_pages())
    }

    /// What is left of a file that came so far.
    pub(super) fn close(mut self, done: Result<(), Error>) -> Result<SaveReport, Interrupted> {
        let Err(error) = done else {
            self.report.stored = self.given.kinds;
            return Ok(self.report);
        };
        if self.begun && !self.unsure && self.data.written() >= self.resumed {
            // The error that ended the work is the one to tell.
            let _ = self.checkpoint();
        }
        let good = match (self.begun, self.unsure) {
            (false, _) => 0,
            (true, false) => self.data.written(),
            (true, true) => self.noted,
        };
        let good = good.max(self.resumed);
        let size = self.plan.size().saturating_add(self.report.memory);
        let there = match (self.begun, self.unsure) {
            (false, _) => Stored::default(),
            (true, false) => self.there(),
            (true, true) => self.noted_pages,
        };
        self.report.stored = there.kinds;
        let memory = there.pages().saturating_mul(self.plan.page_size());
        Err(Interrupted::after(error, (good, size), memory, self.report))
    }

    /// The pages of which the descriptors are written.
    fn there(&self) -> Stored {
        let mut there = self.given;
        for (_, (at, _, flags)) in &self.descs {
            let page = match (*at, *flags) {
                (0, _) => Page::Lost,
                (at, 0) if at == self.plan.data() => Page::Zero,
                (_, 0) => Page::Raw,
                _ => Page::Packed(0),
            };
            let count = there.count(&page);
            *count = count.saturating_sub(1);
        }
        there
    }

    /// Does everything in this thread.
    fn alone(&mut self, mut batches: Batches<'_>) -> Result<(), Error> {
        let mut worker = Worker::new(self.plan)?;
        let mut block = Block::new(self.plan)?;
        while batches.next(&mut block.runs).is_some() {
            worker.work(&mut block);
            self.put(&block)?;
        }
        Ok(())
    }

    /// Writes a batch, which follows the one before.
    pub(super) fn put(&mut self, block: &Block) -> Result<(), Error> {
        let plan = self.plan;
        let page = u32::try_from(plan.page_size()).unwrap_or(u32::MAX);
        let codec = flag(plan.options.codec);
        // Of a stream that is cut the pages are lost whose descriptors had yet to come.
        let room = if self.sink.rewrites() { DESCS } else { STREAM_DESCS };
        // In front of what the batch adds, which is more or less by the number of threads.
        if !self.descs.is_empty() && self.descs.len().saturating_add(block.pages.len()) > room {
            self.data.flush(self.sink)?;
            self.flush_descs()?;
        }
        let (mut at, zeros) = (self.data.end(), plan.data());
        let mut padding = self.push(block.data())?;
        self.report.times.add(block.times);
        let mut lost = block.lost.iter();
        for (pfn, state) in block.runs.iter().cloned().flatten().zip(&block.pages) {
            if pfn != self.next {
                self.go_to(pfn);
            }
            self.next = pfn.saturating_add(1);
            let desc = match *state {
                Page::Zero => (zeros, page, 0),
                Page::Raw => (at, page, 0),
                Page::Packed(len) => (at, len, codec),
                // The format's own word for a page that should have been written.
                Page::Lost => (0, 0, 0),
            };
            match state {
                Page::Lost => self.lose(pfn, lost.next().map(|(_, error)| *error)),
                _ => self.found.pass(plan.page_size(), true),
            }
            if desc.0 == at {
                at = at.saturating_add(desc.1.into()).saturating_add(padding);
                padding = 0;
            }
            if self.descs.len() >= room {
                self.data.flush(self.sink)?;
                self.flush_descs()?;
            }
            if let (WrittenOrder::KernelFirst { pages }, false) = (&mut self.report.order, self.second) {
                *pages = pages.saturating_add(1);
            }
            let count = self.given.count(state);
            *count = count.saturating_add(1);
            self.descs.push((self.slot, desc));
            self.slot = self.slot.saturating_add(1);
        }
        self.done = self.done.saturating_add((block.pages.len() as u64).saturating_mul(plan.page_size()));
        if self.data.written().saturating_sub(self.noted) >= CHECKPOINT && self.sink.rewrites() {
            self.checkpoint()?;
        }
        let state = Progress { done: self.done, total: self.report.memory, written: self.report.written };
        if (self.progress)(state).is_break() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Writes the data of a batch, and returns how many zeros it put behind its first page.
    fn push(&mut self, bytes: &[u8]) -> Result<u64, Error> {
        let page = usize::try_from(self.plan.page_size()).unwrap_or(usize::MAX);
        let is_first = self.data.end() == self.plan.data().saturating_add(page as u64);
        let (mut rest, mut padding) = (bytes, 0);
        if let Some((first, behind)) = bytes.split_at_checked(page).filter(|_| is_first) {
            padding = self.plan.padding();
            let zeros = zeroed("what is between two pages", padding)?;
            self.data.push(self.sink, first)?;
            self.data.push(self.sink, &zeros)?;
            rest = behind;
        }
        self.data.push(self.sink, rest)?;
        self.report.written = self.report.written.saturating_add(bytes.len() as u64).saturating_add(padding);
        Ok(padding)
    }

    /// Goes on with page `pfn`.
    fn go_to(&mut self, pfn: u64) {
        if pfn < self.next {
            // The second pass.
            self.found.restart();
            (self.next, self.slot, self.second) = (0, 0, true);
        }
        // What lies between is a hole, listed already, or left out, and of two passes the pages of the other.
        self.found.pass(1, false);
        if self.plan.later.is_some() {
            let between = self.plan.stored(self.next, pfn);
            self.slot = self.slot.saturating_add(between);
            self.found.pass(between.saturating_mul(self.plan.page_size()), true);
        }
    }

    fn lose(&mut self, pfn: u64, error: Option<Error>) {
        let start = pfn.saturating_mul(self.plan.page_size());
        let range = PhysRange::from_half_open(start, start.saturating_add(self.plan.page_size()));
        let error = error.unwrap_or(Error::Unreadable { paddr: start });
        if let Ok(range) = range {
            note_loss(&mut self.report, &mut self.found, range, error);
        }
    }

    /// Takes the place of what was there: from the first write on there is no older dump.
    fn begin(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        if self.resumed > 0 {
            self.tables()?;
        } else if self.sink.rewrites() {
            let machine = plan.dump.facts().e_machine;
            self.sink.write_all_at(0, &stub(plan.dump.encoding(), machine)?)?;
            self.sync()?;
            self.sink.write_all_at(BLOCK as u64, self.part.head.get(BLOCK..).unwrap_or_default())?;
            self.tables()?;
            // Room for the descriptors: also a disk that becomes full has them then, and none is
            // taken for one that was there before.
            self.zeros(plan.table(), plan.table().saturating_add(self.part.table_size()))?;
            self.sync()?;
            let first = self.part.head.get(..BLOCK).unwrap_or_default();
            self.sink.write_all_at(0, first)?;
            self.report.written = self.report.written.saturating_add(first.len() as u64);
        } else {
            // The end of such a file says that it is whole.
            let mut head = Vec::new();
            append(&mut head, "the header of the new file", &self.part.head)?;
            plan.headers(&mut head, self.part.of_set(), false, plan.note_size(true));
            let changing = plan.note.changing();
            self.write(0, head.get(..changing.start).unwrap_or_default())?;
            self.write(changing.end as u64, head.get(changing.end..).unwrap_or_default())?;
            self.tables()?;
        }
        let zeros = zeroed("a page of zeros", plan.page_size())?;
        self.data.push(self.sink, &zeros)?;
        self.data.flush(self.sink)?;
        self.report.written = self.report.written.saturating_add(plan.page_size());
        self.begun = true;
        Ok(())
    }

    /// Both bitmaps.
    fn tables(&mut self) -> Result<(), Error> {
        let plan = self.plan;
        let first = plan.head.len() as u64;
        let none = PageSet::default();
        self.bitmap(first, &plan.ram, &none)?;
        self.bitmap(first.saturating_add(plan.bitmap_size()), &plan.readable, &plan.left_out)
    }

    /// A bitmap with the pages of `ranges` that are not in `without`.
    fn bitmap(&mut self, at: u64, ranges: &[Range<u64>], without: &PageSet) -> Result<(), Error> {
        let size = self.plan.bitmap_size();
        let mut piece = zeroed("a piece of a bitmap", PIECE.min(size))?;
        let mut done = 0;
        while done < size {
            let len = PIECE.min(size.saturating_sub(done));
            let bytes = piece.get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
            bytes.fill(0);
            let pfns = done.saturating_mul(8)..done.saturating_add(len).saturating_mul(8);
            let skip = ranges.partition_point(|range| range.end <= pfns.start);
            let near = ranges.get(skip..).unwrap_or_default();
            let next = near.first().map_or(u64::MAX, |range| range.start);
            if self.sink.is_sparse() && next >= pfns.end && self.gaps >= len {
                // Nothing for a while: machines have holes of terabytes.
                let pieces = (next / 8).min(done.saturating_add(self.gaps)).checked_div(PIECE).unwrap_or(0);
                let reached = pieces.saturating_mul(PIECE).max(done.saturating_add(len)).min(size);
                self.gaps = self.gaps.saturating_sub(reached.saturating_sub(done));
                done = reached;
                continue;
            }
            for range in near.iter().take_while(|range| range.start < pfns.end) {
                set(bytes, pfns.start, range.start.max(pfns.start)..range.end.min(pfns.end), without);
            }
            let skip = self.sink.is_sparse() && self.gaps >= len && is_zero(bytes);
            if skip {
                self.gaps = self.gaps.saturating_sub(len);
            } else {
                self.sink.write_all_at(at.saturating_add(done), bytes)?;
                self.report.written = self.report.written.saturating_add(len);
            }
            done = done.saturating_add(len);
        }
        Ok(())
    }

    fn zeros(&mut self, start: u64, end: u64) -> Result<(), Error> {
        let zeros = zeroed("zeros", PIECE)?;
        let mut at = start;
        while at < end {
            let len = end.saturating_sub(at).min(PIECE);
            self.sink.write_all_at(at, zeros.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default())?;
            at = at.saturating_add(len);
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write_all_at(offset, bytes)?;
        self.report.written = self.report.written.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Writes the descriptors of pages that are written.
    fn flush_descs(&mut self) -> Result<(), Error> {
        let written = self.data.written();
        let good = |(_, (at, len, _)): &&(u64, Desc)| at.saturating_add((*len).into()) <= written;
        let count = self.descs.iter().take_while(good).count();
        let endian = self.plan.encoding().endian;
        let mut bytes = zeroed("descriptors of pages", (count as u64).saturating_mul(DESC_LEN as u64))?;
        let mut done = 0;
        // Those that follow each other are written together.
        while let Some(&(first, _)) = self.descs.get(done).filter(|_| done < count) {
            let rest = self.descs.get(done..count).unwrap_or_default();
            let run =
                (first..).zip(rest).take_while(|(slot, (other, _))| slot == other).map(|(_, found)| found);
            let mut size = 0_usize;
            for (place, (_, desc)) in bytes.chunks_exact_mut(DESC_LEN).zip(run) {
                place.copy_from_slice(&encode_desc(endian, *desc));
                size = size.saturating_add(DESC_LEN);
            }
            let at = self.plan.table().saturating_add(first.saturating_mul(DESC_LEN as u64));
            self.write(at, bytes.get(..size).unwrap_or_default())?;
            done = done.saturating_add(size / DESC_LEN);
        }
        self.descs.drain(..count);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sink.sync().inspect_err(|_| self.unsure = true)
    }

    /// Makes what is written last, and notes in the file what could not be read so far and how much of the
    /// file is good: nothing more when it may not be on the medium.
    fn checkpoint(&mut self) -> Result<(), Error> {
        let flushed = self.data.flush(self.sink);
        self.sync()?;
        let descs = self.flush_descs();
        if self.sink.rewrites() {
            let (plan, good) = (self.plan, self.data.written());
            let given_up = plan.given_up.saturating_add(self.found.given_up);
            plan.note.checkpoint(&mut self.note, self.sink, good, &self.found.ranges, given_up)?;
            (self.noted, self.noted_pages) = (good, self.there());
        }
        flushed.and(descs)
    }

    /// Makes the file a finished one. One that lacks nothing has no note, if it was not written already.
    /// Of a set every file tells what was not read of any: `all`.
    pub(super) fn end(&mut self, all: Option<&Losses>) -> Result<(), Error> {
        let plan = self.plan;
        self.data.flush(self.sink)?;
        self.flush_descs()?;
        let found = all.unwrap_or(&self.found);
        let given_up = plan.given_up.saturating_add(found.given_up);
        self.report.given_up = if self.part.first { given_up } else { 0 };
        self.report.file_size = self.data.end();
        let mut head = Vec::new();
        append(&mut head, "the header of the new file", &self.part.head)?;
        let mut note = plan.note.clone();
        note.scattered = note.scattered.map(|_| self.data.end());
        note.fill(&mut head, 0, None, &found.ranges, given_up);
        let empty = given_up == 0 && plan.note.is_empty(&found.ranges);
        if !self.sink.rewrites() {
            let changing = plan.note.changing();
            let bytes = head.get(changing.clone()).unwrap_or_default();
            self.write(changing.start as u64, bytes)?;
            return self.sink.finish(self.data.end());
        }
        self.sync()?;
        let whole = self.report.is_whole() && empty;
        if whole {
            plan.note.erase(&mut head, 0);
        }
        plan.headers(&mut head, self.part.of_set(), false, plan.note_size(!whole));
        let block = usize::try_from(plan.page_size()).unwrap_or(usize::MAX);
        self.sink.write_all_at(block as u64, head.get(block..).unwrap_or_default())?;
        self.sync()?;
        self.sink.write_all_at(0, head.get(..BLOCK).unwrap_or_default())?;
        self.sink.finish(self.data.end())
    }
}

/// Sets the bits of `pfns` that are not in `without` in a bitmap whose first bit is that of `first`, a
/// multiple of 64.
fn set(bytes: &mut [u8], first: u64, pfns: Range<u64>, without: &PageSet) {
    let mut pfn = pfns.start;
    while pfn < pfns.end {
        let base = pfn & !63;
        let end = pfns.end.min(base.saturating_add(64));
        let bits = ones(end.saturating_sub(pfn)) << (pfn % 64) & !without.word(base);
        let at = usize::try_from(base.saturating_sub(first) / 8).unwrap_or(usize::MAX);
        let places = bytes.get_mut(at..).unwrap_or_default().iter_mut();
        for (place, byte) in places.zip(bits.to_le_bytes()) {
            *place |= byte;
        }
        pfn = end;
    }
}
