//! A batch of pages on its way: what is to be read, what was read, what is to be written.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::Paddr;

use super::super::times::{Clock, StageTimes};
use super::plan::KdumpPlan;
use crate::codec::{Codec, Encoder};
use crate::dump::scan::is_zero;
use crate::dump::{ReadOptions, Reader};
use crate::error::{Error, Stopped};
use crate::room::{PageAligned, zeroed};
use crate::source::PhysMemory;

/// Bytes of memory in a batch.
pub(super) const BATCH: u64 = 256 << 10;
/// The same where one thread compresses: it waits for no other, and a capture kernel has little memory.
pub(super) const BATCH_ALONE: u64 = 32 << 10;

/// What became of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Zeros.
    Zero,
    /// It could not be read.
    Lost,
    /// So many bytes, compressed.
    Packed(u32),
    /// Its own bytes.
    Raw,
}

/// A batch of pages. What it holds is used again for the next one.
#[derive(Debug)]
pub(super) struct Block {
    /// Page frame numbers, ascending.
    pub(super) runs: Vec<Range<u64>>,
    /// One for each page of `runs`.
    pub(super) pages: Vec<Page>,
    /// The pages that are lost, and why.
    pub(super) lost: Vec<(u64, Error)>,
    /// How long it took.
    pub(super) times: StageTimes,
    input: PageAligned,
    output: Vec<u8>,
    /// Which bytes of `output`, or of `input` where nothing is compressed, are to be written.
    data: Range<usize>,
    packed: bool,
}

impl Block {
    /// Room for a batch of `plan`.
    pub(super) fn new(plan: &KdumpPlan<'_>) -> Result<Self, Error> {
        let what = "a batch of pages";
        let pages = plan.batch_pages();
        let (page, codec) = (plan.page_size(), plan.options.codec);
        let size = pages.saturating_mul(page);
        let spare = codec.map_or(0, |codec| codec.bound(usize::try_from(page).unwrap_or(0)) as u64);
        let room = size.saturating_add(spare);
        let output = if codec.is_some() { zeroed(what, room)? } else { Vec::new() };
        let input = PageAligned::zeroed(what, size)?;
        let mut block = Self {
            runs: Vec::new(),
            pages: Vec::new(),
            lost: Vec::new(),
            times: StageTimes::default(),
            input,
            output,
            data: 0..0,
            packed: codec.is_some(),
        };
        let count = usize::try_from(pages).unwrap_or(usize::MAX);
        let failed = |_| Error::OutOfMemory { what, need: pages.saturating_mul(size_of::<Error>() as u64) };
        block.runs.try_reserve(count).map_err(failed)?;
        block.pages.try_reserve(count).map_err(failed)?;
        block.lost.try_reserve(count).map_err(failed)?;
        Ok(block)
    }

    /// What is to be written.
    pub(super) fn data(&self) -> &[u8] {
        let from = if self.packed { &self.output } else { self.input.get() };
        from.get(self.data.clone()).unwrap_or_default()
    }
}

/// What a thread needs to read and compress pages.
#[derive(Debug)]
pub(super) struct Worker<'p> {
    reader: Reader<'p>,
    encoder: Option<Encoder>,
    page: usize,
}

impl<'p> Worker<'p> {
    pub(super) fn new(plan: &'p KdumpPlan<'_>) -> Result<Self, Error> {
        let encoder = plan.options.encoder()?;
        let page = usize::try_from(plan.page_size()).unwrap_or(0);
        // The threads are those of the plan, and no page is read twice.
        let reader = plan.dump.reader_as(ReadOptions { cache_size: 0, threads: 1 });
        Ok(Self { reader, encoder, page })
    }

    /// Reads the pages of `block` and makes of them what is written.
    pub(super) fn work(&mut self, block: &mut Block) {
        let Block { runs, pages, lost, times, input, output, data, .. } = block;
        pages.clear();
        lost.clear();
        *times = StageTimes::default();
        let mut clock = Clock::start();
        let input = input.get_mut();
        let mut at = 0_usize;
        for run in runs.iter() {
            let len =
                usize::try_from(run.end.saturating_sub(run.start)).unwrap_or(0).saturating_mul(self.page);
            let place = input.get_mut(at..at.saturating_add(len)).unwrap_or_default();
            self.read(run.start, place, lost);
            at = at.saturating_add(len);
        }
        clock.lap(&mut times.read);
        let mut from = 0_usize;
        let mut missing = lost.iter().map(|(pfn, _)| *pfn).peekable();
        for pfn in runs.iter().cloned().flatten() {
            let next = from.saturating_add(self.page);
            let page = input.get(from..next).unwrap_or_default();
            let state = if missing.next_if_eq(&pfn).is_some() {
                Page::Lost
            } else if is_zero(page) {
                Page::Zero
            } else {
                Page::Raw
            };
            pages.push(state);
            from = next;
        }
        clock.lap(&mut times.zero_test);
        let (mut from, mut to) = (0_usize, 0_usize);
        *data = 0..0;
        for state in pages.iter_mut() {
            let next = from.saturating_add(self.page);
            if let (Page::Raw, Some(encoder)) = (*state, &mut self.encoder) {
                let page = input.get(from..next).unwrap_or_default();
                let (packed, len) = pack(encoder, page, output.get_mut(to..).unwrap_or_default());
                to = to.saturating_add(len);
                *state = packed;
            } else if *state == Page::Raw {
                if from != to {
                    input.copy_within(from..next, to);
                }
                to = to.saturating_add(self.page);
            }
            from = next;
        }
        data.end = to;
        clock.lap(&mut times.compress);
    }

    /// Fills `bytes` with the pages from `pfn` on.
    fn read(&mut self, pfn: u64, bytes: &mut [u8], lost: &mut Vec<(u64, Error)>) {
        let paddr = pfn.saturating_mul(self.page as u64);
        let Err(stopped) = self.reader.read_phys(Paddr(paddr), bytes) else { return };
        // What is behind an error may be sound.
        let good = stopped.read.checked_div(self.page).unwrap_or(0);
        let pages = bytes.chunks_mut(self.page.max(1)).skip(good);
        for (pfn, page) in (pfn.saturating_add(good as u64)..).zip(pages) {
            if let Err(error) = self.read_page(pfn.saturating_mul(self.page as u64), page) {
                lost.push((pfn, error));
            }
        }
    }

    /// Reads a page of which a part may be no RAM: there it is zero.
    fn read_page(&mut self, paddr: u64, page: &mut [u8]) -> Result<(), Error> {
        let mut done = 0_usize;
        while let Some(rest) = page.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = paddr.saturating_add(done as u64);
            let next = match self.reader.read_phys(Paddr(at), rest) {
                Ok(()) => return Ok(()),
                Err(Stopped { read, error: Error::Hole { next, .. }, .. }) => {
                    let from = at.saturating_add(read as u64);
                    let gap = next.map_or(usize::MAX, |next| {
                        usize::try_from(next.saturating_sub(from)).unwrap_or(usize::MAX)
                    });
                    let zeros = rest.get_mut(read..).unwrap_or_default();
                    let count = gap.min(zeros.len());
                    zeros.get_mut(..count).unwrap_or_default().fill(0);
                    read.saturating_add(count)
                }
                Err(stopped) => return Err(stopped.error),
            };
            if next == 0 {
                return Err(Error::Hole { paddr: at, next: None });
            }
            done = done.saturating_add(next);
        }
        Ok(())
    }
}

/// Compresses a page to the start of `output`, where it stays as it is if that does not pay.
fn pack(encoder: &mut Encoder, page: &[u8], output: &mut [u8]) -> (Page, usize) {
    // A codec that fails costs room, not the page.
    let len = encoder.encode(page, output).ok().flatten().filter(|len| *len < page.len());
    if let Some(len) = len {
        return (Page::Packed(u32::try_from(len).unwrap_or(u32::MAX)), len);
    }
    let place = output.get_mut(..page.len()).unwrap_or_default();
    place.copy_from_slice(page.get(..place.len()).unwrap_or_default());
    (Page::Raw, page.len())
}

/// The bit of a page's descriptor, and of the header.
pub(super) fn flag(codec: Option<Codec>) -> u32 {
    codec.map_or(0, Codec::flag)
}
