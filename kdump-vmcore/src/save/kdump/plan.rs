//! The file a dump will be saved as: headers, notes, bitmaps, and a descriptor for each page.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Arch, Encoding};

use super::super::layout;
use super::super::leave_out::leave_out;
use super::super::note::NotePlace;
use super::super::pages::{known, partly, without};
use super::super::report::{LeftOut, WrittenOrder};
use super::block::{BATCH, BATCH_ALONE};
use super::head::{head_of, headers};
use super::order::{Chosen, SaveOrder, later};
use crate::codec::{Codec, CodecError, Encoder};
use crate::dump::kdump::{DESC_LEN, INCOMPLETE, MAX_MAPNR, Main, SATURATED, Sub};
use crate::dump::{Dump, SpanKind, Unreadable};
use crate::error::Error;
use crate::filter::{Classes, PageSet, pages_of};

/// Bytes of a page where the dump does not say and the machine has one size only.
const USUAL_PAGE: u64 = 4096;

/// So many pages are written first in any order: by the place of the first one's data among these a reader sees
/// whether descriptors and bitmaps fit each other.
const FIRST: u64 = 512;

/// How pages are stored: [`KdumpOptions::default`], and what differs from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KdumpOptions {
    /// The compression; `None` stores pages as they are.
    pub codec: Option<Codec>,
    /// Its level; `None` is the one makedumpfile writes with.
    pub level: Option<i32>,
    /// Pages that are left out; those of zeros share one place in any case. With any class, pages go
    /// that were taken out of use after a memory error or given back to a hypervisor.
    pub exclude: Classes,
    /// Threads that read and compress, the caller's among them. The file is the same for any
    /// number of them. No more than four for each CPU are started, or 16 where that is more, and no more than
    /// there are batches. Without `std` there is one.
    pub threads: u16,
    /// Which pages are written first.
    pub order: SaveOrder,
}

impl Default for KdumpOptions {
    /// Nothing is compressed or left out, by no thread but the caller's.
    fn default() -> Self {
        Self { codec: None, level: None, exclude: Classes::NONE, threads: 1, order: SaveOrder::ByAddress }
    }
}

impl KdumpOptions {
    /// Sets `codec`.
    #[must_use]
    pub fn codec(self, codec: Option<Codec>) -> Self {
        Self { codec, ..self }
    }

    /// Sets `level`.
    #[must_use]
    pub fn level(self, level: Option<i32>) -> Self {
        Self { level, ..self }
    }

    /// Sets `exclude`.
    #[must_use]
    pub fn exclude(self, exclude: Classes) -> Self {
        Self { exclude, ..self }
    }

    /// Sets `threads`.
    #[must_use]
    pub fn threads(self, threads: u16) -> Self {
        Self { threads, ..self }
    }

    /// Sets `order`.
    #[must_use]
    pub fn order(self, order: SaveOrder) -> Self {
        Self { order, ..self }
    }

    pub(super) fn encoder(&self) -> Result<Option<Encoder>, Error> {
        let Some(codec) = self.codec else { return Ok(None) };
        let level = self.level.unwrap_or(codec.levels().default);
        Encoder::with_level(codec, level).map(Some).map_err(|error| match error {
            CodecError::NotBuilt { .. } => {
                Error::Unsupported { what: "this compression: the build has none of it" }
            }
            CodecError::NoLevel { .. } => {
                Error::Unsupported { what: "this level of the compression: it has none of that number" }
            }
            _ => Error::OutOfMemory { what: "the state of the compression", need: 0 },
        })
    }
}

/// How a dump is saved as a kdump-compressed file: which pages it will have is known before a byte
/// is written, and how large it becomes is not.
///
/// Pages of zeros share one place, whatever was asked for. A page of which the source lacks any byte
/// is not stored.
#[derive(Debug)]
pub struct KdumpPlan<'d> {
    pub(super) dump: &'d Dump<'d>,
    pub(super) options: KdumpOptions,
    encoding: Encoding,
    /// Both headers and the notes, from offset 0 on, as they are while the file is not finished.
    pub(in super::super) head: Vec<u8>,
    pub(super) note: NotePlace,
    pub(super) main: Main,
    sub: Sub,
    /// Page frame numbers, sorted and disjoint: what is RAM, and what of it can be read.
    pub(super) ram: Vec<Range<u64>>,
    pub(super) readable: Vec<Range<u64>>,
    /// Pages that are left out.
    pub(super) left_out: PageSet,
    /// Pages that are written behind all others; `None` where all are written in their order.
    pub(super) later: Option<PageSet>,
    /// All pages below this one are written first.
    first_end: u64,
    pub(super) order: WrittenOrder,
    page_size: u64,
    /// First page frame number behind all memory.
    pub(super) max_mapnr: u64,
    /// What is told of them.
    pub(super) scan: LeftOut,
    /// Pages that have a descriptor.
    pub(super) pages: u64,
    pub(super) known: Unreadable,
    pub(super) missing: u64,
    pub(super) corrupt: u64,
    pub(super) given_up: u64,
}

impl<'d> KdumpPlan<'d> {
    /// Lays out the file.
    ///
    /// # Errors
    /// When the source has no memory, when the size of its pages is not known or none that the format
    /// has, and when the build lacks the compression.
    pub fn new(dump: &'d Dump<'d>, options: KdumpOptions) -> Result<Self, Error> {
        options.encoder()?;
        if dump.arch() == Some(Arch::Arm) {
            // Page frame 0 of its files is where its RAM begins, which the dump need not tell.
            return Err(Error::Unsupported { what: "kdump-compressed dumps of 32-bit ARM; save as ELF" });
        }
        let page_size = page_size(dump)?;
        let spans = layout::spans(dump)?;
        let ram = pages_of(&spans, page_size, |kind| kind != SpanKind::Hole)?;
        let max_mapnr = ram.last().map_or(0, |last| last.end);
        if max_mapnr == 0 {
            return Err(Error::NoMemory);
        }
        if max_mapnr > MAX_MAPNR {
            return Err(Error::TooLarge { what: "number of pages", value: max_mapnr, limit: MAX_MAPNR });
        }
        let readable = pages_of(&spans, page_size, SpanKind::is_readable)?;
        let partly = partly(&readable, &spans, page_size)?;
        let readable = without(&readable, &partly)?;
        let losses = known(&spans, &partly, page_size)?;
        let encoding = Encoding { class: dump.word_class(), endian: dump.endian() };
        let (left_out, scan) = leave_out(dump, options.exclude, &readable, max_mapnr, options.threads)?;
        let (later, order) = later(dump, options, scan.doubt, &readable, max_mapnr);
        let (mut main, mut sub) = headers(dump, page_size, max_mapnr);
        if scan.doubt.is_none() {
            sub.dump_level |= i32::from(options.exclude.level());
        }
        let (head, mut note) = head_of(dump, encoding, &mut main, &mut sub, &losses, page_size)?;
        note.scattered = later.as_ref().map(|_| 0);
        let given_up = losses.given_up;
        let mut plan = Self {
            dump,
            options,
            encoding,
            head,
            note,
            main,
            sub,
            ram,
            readable,
            left_out,
            later,
            first_end: 0,
            order,
            scan,
            page_size,
            max_mapnr,
            pages: 0,
            known: Unreadable::default(),
            missing: 0,
            corrupt: 0,
            given_up,
        };
        plan.pages = plan.stored(0, max_mapnr);
        if plan.later.is_some() {
            plan.first_end = plan.nth_page(FIRST);
        }
        for &span in spans.iter().filter(|span| span.kind.is_lost()) {
            match span.kind {
                SpanKind::Missing => plan.missing = plan.missing.saturating_add(span.range.size()),
                SpanKind::Corrupt => plan.corrupt = plan.corrupt.saturating_add(span.range.size()),
                _ => {}
            }
            plan.known.add(span.range, dump.loss(span));
        }
        let good = plan.data();
        plan.note.fill(&mut plan.head, 0, Some(good), &[], given_up);
        plan.put_headers(true, plan.note_size(true))?;
        Ok(plan)
    }

    /// The least bytes the file will have: when all pages are zeros.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.data().saturating_add(self.page_size)
    }

    /// The most bytes the file will have: when no page can be compressed.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.size().saturating_add(self.padding()).saturating_add(self.memory())
    }

    /// Pages the file will not have because that was asked for.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.scan
    }

    /// Bytes of memory the file will have, pages of zeros included.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.pages.saturating_mul(self.page_size)
    }

    /// Pages from `start` to `end`, exclusive, that have a descriptor.
    pub(super) fn stored(&self, start: u64, end: u64) -> u64 {
        let skip = self.readable.partition_point(|run| run.end <= start);
        let runs = self.readable.get(skip..).unwrap_or_default().iter();
        let count = |run: &Range<u64>| {
            let (start, end) = (run.start.max(start), run.end.min(end));
            end.saturating_sub(start).saturating_sub(self.left_out.count(start..end))
        };
        runs.take_while(|run| run.start < end).map(count).fold(0, u64::saturating_add)
    }

    /// The page in front of which so many have a descriptor.
    fn nth_page(&self, count: u64) -> u64 {
        let (mut low, mut high) = (0, self.max_mapnr);
        while low < high {
            let middle = low.midpoint(high);
            if self.stored(0, middle) < count {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        low
    }

    /// The pages of the first pass.
    pub(super) fn chosen(&self) -> Chosen<'_> {
        Chosen {
            left_out: &self.left_out,
            later: self.later.as_ref(),
            first_end: self.first_end,
            second: false,
        }
    }

    pub(super) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Pages of a batch.
    pub(super) fn batch_pages(&self) -> u64 {
        let alone = self.options.threads <= 1 && self.options.codec.is_some();
        let batch = if alone { BATCH_ALONE } else { BATCH };
        batch.checked_div(self.page_size).unwrap_or(0).max(1)
    }

    /// Word size and byte order of the new file: those of the dumped kernel.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Bytes of one bitmap.
    pub(super) fn bitmap_size(&self) -> u64 {
        bitmap_blocks(self.max_mapnr, self.page_size).saturating_mul(self.page_size)
    }

    /// Offset of the first descriptor.
    pub(super) fn table(&self) -> u64 {
        (self.head.len() as u64).saturating_add(self.bitmap_size().saturating_mul(2))
    }

    /// Offset behind the last descriptor, of the page of zeros.
    pub(in super::super) fn data(&self) -> u64 {
        self.table().saturating_add(self.pages.saturating_mul(DESC_LEN as u64))
    }

    /// Bytes between the first page and the one behind it: pages that are not compressed stand at multiples of
    /// their size, and can be written from where they were read to. The first one stands where the descriptors and
    /// the page of zeros end, as in the files of all writers: a reader may see by that whether these are sound.
    pub(super) fn padding(&self) -> u64 {
        let behind = self.data().checked_rem(self.page_size).filter(|_| self.options.codec.is_none());
        behind.filter(|behind| *behind != 0).map_or(0, |behind| self.page_size.saturating_sub(behind))
    }

    /// Bytes of the notes with ours, or without.
    pub(super) fn note_size(&self, ours: bool) -> u64 {
        let with = (self.note.changing().end as u64).saturating_sub(self.sub.offset_note);
        if ours { with } else { self.note.whole.p_filesz }
    }

    /// Writes both headers into `head`; of a file of a set with the page frames it has.
    pub(super) fn headers(
        &self,
        head: &mut [u8],
        part: Option<&Range<u64>>,
        unfinished: bool,
        note_size: u64,
    ) {
        let status = super::block::flag(self.options.codec) | if unfinished { INCOMPLETE } else { 0 };
        let main = Main { status, ..self.main.clone() }.encode(self.encoding);
        let packed = self.dump.arch() == Some(Arch::I386);
        let mut sub = Sub { size_note: note_size, ..self.sub };
        if let Some(pfns) = part {
            // The 32-bit numbers hold what fits.
            sub.split = 1;
            (sub.start_pfn, sub.end_pfn) = (pfns.start.min(SATURATED), pfns.end.min(SATURATED));
            (sub.start_pfn_64, sub.end_pfn_64) = (pfns.start, pfns.end);
        }
        let sub = sub.encode(self.encoding, packed);
        let at = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        for (at, bytes) in [(0, main), (at, sub)] {
            let place = head.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
            place.unwrap_or_default().copy_from_slice(&bytes);
        }
    }

    fn put_headers(&mut self, unfinished: bool, note_size: u64) -> Result<(), Error> {
        let mut head = core::mem::take(&mut self.head);
        self.headers(&mut head, None, unfinished, note_size);
        self.head = head;
        Ok(())
    }
}

/// Bytes of a page, of a size the format has.
fn page_size(dump: &Dump<'_>) -> Result<u64, Error> {
    let one = matches!(dump.arch(), Some(Arch::X86_64 | Arch::I386 | Arch::S390x));
    let size = dump.page_size().or(one.then_some(USUAL_PAGE));
    let size = size.ok_or(Error::Unsupported {
        what: "kdump-compressed dumps of a machine whose page size the source does not tell; save as ELF",
    })?;
    let expected = "a power of two from 4 KiB to 256 KiB";
    let fits = size.is_power_of_two() && (0x1000..=0x4_0000).contains(&size);
    if fits { Ok(size) } else { Err(Error::Corrupt { what: "PAGESIZE", value: size, expected }) }
}

/// Blocks of one bitmap.
pub(super) fn bitmap_blocks(max_mapnr: u64, page_size: u64) -> u64 {
    max_mapnr.div_ceil(8).div_ceil(page_size.max(1))
}
