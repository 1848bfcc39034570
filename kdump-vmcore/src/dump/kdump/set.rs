//! The parts of a set: whether they are of one dump, and whose bitmaps count for which page frames.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use super::bitmap::Bitmap;
use super::damage::unlike;
use super::file::{INCOMPLETE, LEVEL_ZERO, Opened};
use super::header::{Extent, Header};
use super::notes::notes;
use super::page::{PageScratch, Pages};
use super::raw::Main;
use crate::dump::NoteTable;
use crate::dump::remembered::{Remembered, is_ours};
use crate::error::Error;
use crate::room::{push, tell, zeroed};
use crate::source::ReadAt;

/// Whether several files are the parts of one set, each given once.
pub(super) fn check(parts: &[Opened<'_>]) -> Result<(), Error> {
    let bad = |part: &Opened<'_>, reason| {
        let pfns = part.header.split.clone().unwrap_or(0..part.header.max_mapnr);
        Err(Error::Part { part: part.number, start: pfns.start, end: pfns.end, reason })
    };
    for part in parts {
        let Some(pfns) = &part.header.split else {
            return bad(part, "is a whole dump: give it alone");
        };
        let Some(first) = parts.first() else { continue };
        if let Some(reason) = foreign(first, part)? {
            return bad(part, reason);
        }
        for other in parts.iter().filter(|other| other.number < part.number) {
            let Some(others) = &other.header.split else { continue };
            // Where there is little memory makedumpfile leaves parts without any.
            if pfns.is_empty() || others.is_empty() {
                continue;
            }
            if pfns == others {
                return bad(part, "has the same page frames as a part in front of it: give each part once");
            }
            if pfns.start < others.end && others.start < pfns.end {
                return bad(part, "has page frames that a part in front of it has too");
            }
        }
    }
    Ok(())
}

/// Why `part` is none of the set that `first` is of.
fn foreign(first: &Opened<'_>, part: &Opened<'_>) -> Result<Option<&'static str>, Error> {
    let (a, b) = (&first.header, &part.header);
    // Each part says for itself whether it was finished.
    let main = |header: &Header| Main { status: header.main.status & !INCOMPLETE, ..header.main.clone() };
    if main(a) != main(b) || a.encoding != b.encoding || a.max_mapnr != b.max_mapnr {
        return Ok(Some("is of another dump: its header differs from that of part 1"));
    }
    if a.phys_base != b.phys_base || a.dump_level != b.dump_level {
        return Ok(Some("is of another dump: its phys_base or dump_level differs from that of part 1"));
    }
    let same = |ours, theirs| alike((&*first.source, ours), (&*part.source, theirs));
    let notes = same(a.notes, b.notes)? || alike_but_ours(first, part)?;
    if notes && same(a.vmcoreinfo, b.vmcoreinfo)? {
        return Ok(None);
    }
    Ok(Some("is of another dump: its notes differ from those of part 1"))
}

/// Whether the notes of two files are the same but for what each remembers of being saved. Of files that
/// remember nothing every byte must be the same.
fn alike_but_ours(first: &Opened<'_>, part: &Opened<'_>) -> Result<bool, Error> {
    let (ours, theirs) = (own_notes(first)?, own_notes(part)?);
    if !ours.iter().chain(theirs.iter()).any(|note| is_ours(&note)) {
        return Ok(false);
    }
    let (mut ours, mut theirs) =
        (ours.iter().filter(|note| !is_ours(note)), theirs.iter().filter(|note| !is_ours(note)));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Ok(true),
            (Some(one), Some(other)) => {
                if one.name != other.name || one.n_type != other.n_type || one.desc != other.desc {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
    }
}

/// The notes of one file of a set.
fn own_notes(part: &Opened<'_>) -> Result<NoteTable, Error> {
    // What is wrong with them is told of the first file.
    notes(&*part.source, &part.header, &mut Vec::new())
}

/// What the files behind the first remember of being saved, where it is not what the first one does; for each file
/// the offset up to which it was written.
pub(super) fn remembered(
    parts: &[Opened<'_>],
    all: &mut Remembered,
    defects: &mut Vec<Error>,
) -> Result<Vec<Option<u64>>, Error> {
    let mut good = Vec::new();
    let Some((first, others)) = parts.split_first() else { return Ok(good) };
    push(&mut good, PARTS, all.good)?;
    for other in others {
        if alike((&*first.source, first.header.notes), (&*other.source, other.header.notes))? {
            push(&mut good, PARTS, all.good)?;
            continue;
        }
        let mut told = Vec::new();
        let own = Remembered::read(&own_notes(other)?, other.header.encoding.endian, 0, &mut told)?;
        for error in told.into_iter().filter(|error| !matches!(error, Error::SourceDefects { .. })) {
            tell(defects, error)?;
        }
        push(&mut good, PARTS, own.good)?;
        all.join(own)?;
    }
    Ok(good)
}

/// What takes room for each file.
const PARTS: &str = "the parts of the dump";

/// Whether two files have the same bytes there, as far as both can be read: one that was cut is told elsewhere.
fn alike(one: (&dyn ReadAt, Extent), other: (&dyn ReadAt, Extent)) -> Result<bool, Error> {
    const CHUNK: u64 = 64 << 10;
    /// No more of the notes is used.
    const MAX: u64 = 64 << 20;
    let size = one.1.size;
    if size != other.1.size {
        return Ok(false);
    }
    let (mut ours, mut theirs) = (zeroed("notes", CHUNK.min(size))?, zeroed("notes", CHUNK.min(size))?);
    let mut at = 0;
    while at < size.min(MAX) {
        let count = usize::try_from(size.saturating_sub(at).min(CHUNK)).unwrap_or(0);
        let ours = ours.get_mut(..count).unwrap_or_default();
        let theirs = theirs.get_mut(..count).unwrap_or_default();
        let read = [(one, &mut *ours), (other, &mut *theirs)]
            .map(|((source, place), buf)| source.read_full_at(place.offset.saturating_add(at), buf).is_ok());
        if read != [true; 2] {
            return Ok(true);
        }
        if ours != theirs {
            return Ok(false);
        }
        at = at.saturating_add(count as u64);
    }
    Ok(true)
}

/// The bitmap of RAM, if there are two, and that of the stored pages.
///
/// All parts of a set have the same ones, and those of the first part are used. But where a part was not finished or
/// is damaged they differ: each is read by its own then, as far as its descriptors do not say that
/// the first part's are the right ones. Which pages a part has that was not given the bitmap says that has the most.
pub(super) fn bitmaps(
    parts: &mut [Opened<'_>],
    header: &Header,
    defects: &mut Vec<Error>,
) -> Result<(Option<Bitmap>, Bitmap), Error> {
    let Some((first, others)) = parts.split_first_mut() else { return Ok((None, Bitmap::default())) };
    let (ram, stored) = read(&*first.source, header, defects)?;
    first.ones = stored.ones();
    let mut own = Vec::new();
    for (index, other) in (1_usize..).zip(others) {
        other.ones = first.ones;
        let Err(error) = unlike(&*first.source, (&*other.source, other.number), header) else { continue };
        let differs = matches!(error, Error::PartBitmap { .. });
        tell(defects, error)?;
        if differs && has_its_own(other, header)? {
            own.push(index);
        }
    }
    if own.is_empty() {
        return Ok((ram, stored));
    }
    drop((ram, stored));
    let most = parts.iter().max_by_key(|part| part.ones);
    let (Some(first), Some(most)) = (parts.first(), most) else { return Ok((None, Bitmap::default())) };
    let given = parts.iter().enumerate().filter(|(_, part)| !part.pfns().is_empty());
    let pieces = given.map(|(index, part)| {
        let source = if own.contains(&index) { &*part.source } else { &*first.source };
        (part.pfns(), source)
    });
    let joined = Joined { places: header.bitmaps(), pieces: pieces.collect(), rest: &*most.source };
    // What the first part lacks was told.
    read(&joined, header, &mut Vec::new())
}

/// Reads the bitmaps of `source`.
fn read(
    source: &dyn ReadAt,
    header: &Header,
    defects: &mut Vec<Error>,
) -> Result<(Option<Bitmap>, Bitmap), Error> {
    let mut read = |place: Range<u64>| {
        let (bitmap, reason) = Bitmap::read(source, place.start, header.max_mapnr)?;
        defects.extend(reason);
        Ok::<_, Error>(bitmap)
    };
    let [first, last] = header.bitmaps();
    if first == last {
        return Ok((None, read(last)?));
    }
    let ram = read(first)?;
    Ok((Some(ram), read(last)?))
}

/// Whether `part`, which has other bitmaps than the first one, is to be read by them; takes down how many of their
/// bits are set if it is.
///
/// The data of the first page shows: it lies behind as many descriptors as there are bits.
fn has_its_own(part: &mut Opened<'_>, header: &Header) -> Result<bool, Error> {
    let [_, last] = header.bitmaps();
    let (own, reason) = Bitmap::read(&*part.source, last.start, header.max_mapnr)?;
    if reason.is_some() {
        return Ok(false);
    }
    let pfns = part.pfns();
    let count = own.rank(pfns.end).saturating_sub(own.rank(pfns.start));
    let shared = header.dump_level & LEVEL_ZERO != 0;
    let by = |ones: u64| {
        let pages = Pages::new(Box::new(&*part.source), &part.header, ones, None)?;
        let first = pages.first_offset(0, count, &mut PageScratch::default());
        Ok::<_, Error>(first.is_some_and(|first| pages.begin_at(first, shared)))
    };
    if by(part.ones)? && !by(own.ones())? {
        return Ok(false);
    }
    part.ones = own.ones();
    Ok(true)
}

/// Bitmaps put together from those of several parts, at the same places as in each of them.
struct Joined<'a> {
    places: [Range<u64>; 2],
    /// Page frames, sorted and disjoint, and the file whose bits count for them.
    pieces: Vec<(Range<u64>, &'a dyn ReadAt)>,
    /// The file for all others.
    rest: &'a dyn ReadAt,
}

impl Joined<'_> {
    /// The file whose bit counts for `pfn`, and the first page frame behind it of which this may not be true.
    fn owner(&self, pfn: u64) -> (&dyn ReadAt, u64) {
        let next = self.pieces.partition_point(|(pfns, _)| pfns.end <= pfn);
        match self.pieces.get(next) {
            Some((pfns, source)) if pfns.start <= pfn => (*source, pfns.end),
            next => (self.rest, next.map_or(u64::MAX, |(pfns, _)| pfns.start)),
        }
    }
}

impl ReadAt for Joined<'_> {
    fn size(&self) -> Result<u64, Error> {
        let mut size = self.rest.size()?;
        for (_, source) in &self.pieces {
            size = size.max(source.size()?);
        }
        Ok(size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let Some(place) = self.places.iter().find(|place| place.contains(&offset)) else { return Ok(0) };
        let bit = offset.saturating_sub(place.start).saturating_mul(8);
        let (source, end) = self.owner(bit);
        let whole = usize::try_from(end.saturating_sub(bit) / 8).unwrap_or(usize::MAX);
        if let (1.., Some(rest)) = (whole, buf.get_mut(..whole.min(buf.len()))) {
            return source.read_at(offset, rest);
        }
        // Parts begin at any page frame, also within a byte.
        let Some(byte) = buf.first_mut() else { return Ok(0) };
        *byte = 0;
        for inside in 0..8 {
            let mut bits = [0];
            if self.owner(bit.saturating_add(inside)).0.read_at(offset, &mut bits)? == 0 {
                return Ok(0);
            }
            *byte |= bits[0] & 1_u8.checked_shl(u32::try_from(inside).unwrap_or(8)).unwrap_or(0);
        }
        Ok(1)
    }
}
