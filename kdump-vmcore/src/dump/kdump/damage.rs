//! What shows, without reading the pages, that headers, bitmaps or descriptors are damaged.

use core::ops::Range;

use kdump_elf::{LIBKDUMP_NOTE_NAME, NT_LIBKDUMP_SAVE};

use super::bitmap::Bitmap;
use super::file::{File, LEVEL_ZERO};
use super::header::{Extent, Header, fill};
use super::page::PageScratch;
use super::raw::{DESC_LEN, MIN_MAIN_LEN};
use crate::dump::NoteTable;
use crate::error::Error;
use crate::room::zeroed;
use crate::source::ReadAt;

/// Saving as a stream writes bitmaps in pieces of so many bytes, and leaves out those without a bit.
const PIECE: u64 = 64 << 10;

/// What is wrong when a page is stored that is no RAM. Every writer makes the second bitmap from the
/// first.
pub(super) fn no_ram(stored: &Bitmap, ram: &Bitmap) -> Option<Error> {
    let expected = "RAM in the first bitmap: one of the two is damaged";
    let what = "the page frame that the second bitmap has as stored";
    stored.beyond(ram).map(|value| Error::Corrupt { what, value, expected })
}

/// What is wrong when no page is stored: a file has page frames, or its header is refused.
pub(super) fn no_page(stored: &Bitmap) -> Option<Error> {
    let expected = "some of the RAM that the headers list: no memory is stored";
    let what = "the number of pages in the bitmap of stored ones";
    (stored.ones() == 0).then_some(Error::Corrupt { what, value: 0, expected })
}

/// What is wrong when a part of a set has not the bitmaps of the first one. `part` is its number, `header` that of both.
///
/// Reading is as for one file: a part that ends before its bitmaps do is told, and a first part that does
/// was told before.
pub(super) fn unlike(
    first: &dyn ReadAt,
    (source, part): (&dyn ReadAt, u32),
    header: &Header,
) -> Result<(), Error> {
    for place in header.bitmaps() {
        let chunk = PIECE.min(place.end.saturating_sub(place.start));
        let (mut ours, mut theirs) = (zeroed("bitmap", chunk)?, zeroed("bitmap", chunk)?);
        let mut at = place.start;
        while at < place.end {
            let count = usize::try_from(place.end.saturating_sub(at).min(PIECE)).unwrap_or(0);
            let ours = ours.get_mut(..count).unwrap_or_default();
            let theirs = theirs.get_mut(..count).unwrap_or_default();
            if first.read_full_at(at, ours).is_err() {
                return Ok(());
            }
            fill(source, at, "bitmap", theirs)?;
            let bits = at.saturating_sub(place.start).saturating_mul(8);
            if let Some(bit) = first_difference(ours, theirs) {
                let pfn = bits.saturating_add(bit);
                // What pads the last byte is nobody's.
                return if pfn < header.max_mapnr { Err(Error::PartBitmap { part, pfn }) } else { Ok(()) };
            }
            at = at.saturating_add(count as u64);
        }
    }
    Ok(())
}

/// The first bit in which two pieces of a bitmap differ.
fn first_difference(ours: &[u8], theirs: &[u8]) -> Option<u64> {
    if ours == theirs {
        return None;
    }
    let mut bytes = (0_u64..).zip(ours.iter().zip(theirs));
    let (index, (one, other)) = bytes.find(|(_, (one, other))| one != other)?;
    Some(index.saturating_mul(8).saturating_add((one ^ other).trailing_zeros().into()))
}

impl File<'_> {
    /// What is wrong when the data of the first pages does not lie where the descriptors end.
    ///
    /// The number of a page's descriptor is counted in the bitmap: a wrong bit gives all pages behind
    /// it the data of others, and nothing else tells. But it also moves the end of the table, where
    /// every writer puts the page of zeros, if it shares one, or the data of the first page.
    pub(super) fn misplaced(
        &self,
        stored: &Bitmap,
        (index, set): (usize, &Header),
        partial: bool,
        scratch: &mut PageScratch,
    ) -> Option<Error> {
        let count = self.count(stored);
        if count == 0 || stored.len() < set.max_mapnr {
            return None;
        }
        let (pages, value) = (&self.pages, self.pages.first_offset(index, count, scratch)?);
        let shared = set.dump_level & LEVEL_ZERO != 0;
        if pages.begin_at(value, shared) || value == 0 && (partial || pages.unfinished) {
            return None;
        }
        let expected = "the end of the page descriptors: the bitmap or the descriptors are damaged, and \
                        pages may have the bytes of others";
        Some(Error::Corrupt { what: "the offset of the first page's data", value, expected })
    }

    /// What is wrong when bytes that every writer gives are zeros for want of any, as those are that a
    /// record of a flattened stream was to give before its offset was damaged. `header` is this file's.
    ///
    /// Writers leave out what pads the blocks behind the headers and bitmaps, and nothing else.
    pub(super) fn hole(
        &self,
        stored: &Bitmap,
        (index, header): (usize, &Header),
        notes: &NoteTable,
        scratch: &mut PageScratch,
    ) -> Option<Error> {
        let pages = &self.pages;
        // Only streams have any.
        pages.source.hole(0..pages.size)?;
        let count = self.count(stored);
        let table_end = pages.table.saturating_add(count.saturating_mul(DESC_LEN as u64));
        let sub =
            if header.diskdump { 0..0 } else { header.block_size()..header.block_size().saturating_add(4) };
        let extent = |extent: Extent| extent.offset..extent.offset.saturating_add(extent.size);
        let all = [
            0..MIN_MAIN_LEN as u64,
            sub,
            extent(header.vmcoreinfo),
            extent(header.notes),
            extent(header.erase_info),
            pages.table..table_end,
            pages.data..pages.end(index, count, self.last, scratch),
        ];
        let clip = |range: Range<u64>| range.start..range.end.min(pages.size);
        let is_ours =
            notes.iter().any(|note| note.name == LIBKDUMP_NOTE_NAME && note.n_type == NT_LIBKDUMP_SAVE);
        let listed = all.into_iter().find_map(|range| pages.source.hole(clip(range)));
        let mut bitmaps = header.bitmaps().into_iter().map(clip);
        let hole = listed.or_else(|| bitmaps.find_map(|range| self.bitmap_hole(range, is_ours)))?;
        let expected = "padding behind a header or a bitmap: the offset of a record is damaged, or a record \
                        was lost";
        let what = "the place of bytes that no record of the flattened stream gives";
        Some(Error::Corrupt { what, value: hole.start, expected })
    }

    /// Bytes of a bitmap that should have been given.
    fn bitmap_hole(&self, bitmap: Range<u64>, in_pieces: bool) -> Option<Range<u64>> {
        let is_end = |at: u64| at == bitmap.end || at.saturating_sub(bitmap.start) % PIECE == 0;
        let mut at = bitmap.start;
        while let Some(hole) = self.pages.source.hole(at..bitmap.end) {
            if !(in_pieces && is_end(hole.start) && is_end(hole.end)) {
                return Some(hole);
            }
            at = hole.end;
        }
        None
    }
}
