//! A raw image: memory at the offsets of its addresses, and nothing that tells of it.

use core::ops::ControlFlow;

use alloc::vec::Vec;

use super::copy::note_loss;
use super::layout::{self, Region};
use super::losses::{FOUND_ROOM, Losses};
use super::plan::source_defects;
use super::{Interrupted, SaveReport, WriteAt};
use crate::dump::scan::{is_zero, read_or_zero};
use crate::dump::{Dump, Unreadable};
use crate::error::Error;
use crate::progress::Progress;
use crate::room::PageAligned;

/// Bytes read at once, and bytes that are left out where they are zero.
const BATCH: usize = 256 << 10;
const PAGE: usize = 4096;

/// How a dump is saved as a raw image, whose byte N is the memory at the physical address N.
///
/// What is no RAM, was left out of the source or cannot be read is zero: the image cannot tell, and only the
/// report does.
#[derive(Debug)]
pub struct RawPlan<'d> {
    dump: &'d Dump<'d>,
    regions: Vec<Region>,
    report: SaveReport,
}

impl<'d> RawPlan<'d> {
    /// Lays out the file.
    ///
    /// # Errors
    /// When the source has no memory, or memory past the largest offset of a file.
    pub fn new(dump: &'d Dump<'d>) -> Result<Self, Error> {
        let spans = layout::spans(dump)?;
        let regions = layout::readable(&spans)?;
        let size = regions.last().map_or(0, |last| last.range.end());
        let limit = i64::MAX.unsigned_abs();
        if size == 0 {
            return Err(Error::NoMemory);
        }
        if size > limit {
            return Err(Error::TooLarge { what: "end of the memory", value: size, limit });
        }
        let memory = regions.iter().map(|region| region.range.size()).fold(0, u64::saturating_add);
        let mut report = SaveReport {
            file_size: size,
            memory,
            source_defects: source_defects(dump),
            ..SaveReport::default()
        };
        for &span in spans.iter().filter(|span| span.kind.is_lost()) {
            report.count_lost(span);
            report.unreadable.add(span.range, dump.loss(span));
        }
        Ok(Self { dump, regions, report })
    }

    /// Bytes the file will have, holes included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.report.file_size
    }

    /// Bytes of memory the file will have.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.report.memory
    }

    /// Writes the file into `sink`. `progress` is called after every batch of about 1 MiB and may end the
    /// work with [`ControlFlow::Break`].
    ///
    /// # Errors
    /// [`Interrupted`] when `sink` fails, `progress` breaks or there is no memory for a batch.
    pub fn copy<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<SaveReport, Interrupted> {
        let known = &self.report.unreadable;
        let mut report = SaveReport {
            unreadable: Unreadable { ranges: known.ranges.clone(), ..*known },
            ..self.report.clone()
        };
        let (mut good, mut done) = (0, 0);
        match self.copy_into(sink, progress, &mut report, (&mut good, &mut done)) {
            Ok(()) => Ok(report),
            Err(error) => Err(Interrupted::after(error, (good, self.size()), done, report)),
        }
    }

    fn copy_into<W: WriteAt + ?Sized>(
        &self,
        sink: &mut W,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
        report: &mut SaveReport,
        (good, done): (&mut u64, &mut u64),
    ) -> Result<(), Error> {
        if !sink.is_sparse() {
            return Err(Error::Unsupported { what: "a raw image where what is not written is not zero" });
        }
        let mut buffer = PageAligned::zeroed("a batch of the copy", BATCH as u64)?;
        let mut found = Losses::with_room(FOUND_ROOM)?;
        let mut reader = self.dump.reader();
        let unit = self.dump.page_size().unwrap_or(PAGE as u64);
        for region in &self.regions {
            let mut paddr = region.range.start();
            while paddr < region.range.end() {
                // Batches end at multiples of their size, pages of the file at multiples of theirs.
                let inside = paddr & (BATCH as u64).wrapping_sub(1);
                let len = (BATCH as u64).saturating_sub(inside).min(region.range.end().saturating_sub(paddr));
                let bytes = buffer.get_mut().get_mut(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
                read_or_zero(&mut reader, paddr, bytes, unit, &mut |range, error| {
                    note_loss(report, &mut found, range, error);
                });
                report.written = report.written.saturating_add(write_sparse(sink, paddr, bytes)?);
                paddr = paddr.saturating_add(len);
                *good = paddr;
                *done = done.saturating_add(len);
                let state = Progress { done: *done, total: report.memory, written: report.written };
                if progress(state).is_break() {
                    return Err(Error::Cancelled);
                }
            }
        }
        sink.finish(self.size())
    }
}

/// Writes what is not zero, in as few pieces as its pages allow; returns how many bytes.
fn write_sparse<W: WriteAt + ?Sized>(sink: &mut W, offset: u64, bytes: &[u8]) -> Result<u64, Error> {
    let (mut from, mut to, mut written) = (0_usize, 0_usize, 0_u64);
    let mut write = |from: usize, to: usize| {
        let piece = bytes.get(from..to).unwrap_or_default();
        if !piece.is_empty() {
            sink.write_all_at(offset.saturating_add(from as u64), piece)?;
        }
        written = written.saturating_add(piece.len() as u64);
        Ok::<(), Error>(())
    };
    for page in bytes.chunks(PAGE) {
        let next = to.saturating_add(page.len());
        if is_zero(page) {
            write(from, to)?;
            from = next;
        }
        to = next;
    }
    write(from, to)?;
    Ok(written)
}
