//! PT_LOADs that cannot both be right: memory with two contents, bytes of the file with two addresses.

use alloc::vec::Vec;
use core::ops::Range;

use super::stream_holes::StreamHoles;
use crate::error::Error;
use crate::extent_map::Extent;
use crate::room::{push, tell, zeroed};
use crate::source::ReadAt;

/// PT_LOADs whose memory is listed by others in other places of the file, so many as are looked at. The
/// kernel's text is one; tools that leave pages out cut it into a few dozen.
const MAX_TWICE: u64 = 1024;
/// Places of such memory that are looked at, the first and the last page among them, and one more.
const STEPS: u64 = 8;
/// Bytes that are compared in each.
const SAMPLE: u64 = 4096;
/// Times that both are read: of a live kernel (/proc/kcore) they may change in between.
const TRIES: u8 = 3;

const WHAT: &str = "the places of the PT_LOADs";

/// Memory that is stored, and where; bytes of headers and notes have no address.
struct Place {
    file: Range<u64>,
    paddr: Option<u64>,
}

/// Tells what PT_LOADs contradict: `stored` is the memory they list as far as the file has it, `besides` the
/// bytes of headers and notes. Neither is sorted.
///
/// /proc/vmcore lists the kernel's text twice, in two places of the file, and both have the same bytes.
pub(super) fn tell_overlaps(
    (source, holes): (&dyn ReadAt, &StreamHoles),
    stored: &[Extent],
    besides: impl Iterator<Item = Range<u64>>,
    defects: &mut Vec<Error>,
) -> Result<(), Error> {
    let mut places = Vec::new();
    for (extent, at) in stored.iter().filter_map(|extent| Some((extent, extent.stored_at?))) {
        let file = at..at.saturating_add(extent.range.size());
        push(&mut places, WHAT, Place { file, paddr: Some(extent.range.start()) })?;
    }
    if let Some(error) = twice_in_memory((source, holes), &mut places)? {
        tell(defects, error)?;
    }
    besides
        .filter(|range| !range.is_empty())
        .try_for_each(|file| push(&mut places, WHAT, Place { file, paddr: None }))?;
    twice_in_file(&mut places).map_or(Ok(()), |error| tell(defects, error))
}

/// What is wrong when memory that is listed again has other bytes there.
fn twice_in_memory(
    (source, holes): (&dyn ReadAt, &StreamHoles),
    places: &mut [Place],
) -> Result<Option<Error>, Error> {
    places.sort_unstable_by_key(|place| (place.paddr, place.file.start));
    let end = |place: &Place| place.paddr.unwrap_or(0).saturating_add(size(&place.file));
    let (mut buffers, mut twice) = (None, 0_u64);
    let mut furthest: Option<&Place> = None;
    for place in &*places {
        let start = place.paddr.unwrap_or(0);
        if let Some(before) = furthest.filter(|before| end(before) > start) {
            let skip = start.saturating_sub(before.paddr.unwrap_or(0));
            let other = before.file.start.saturating_add(skip);
            if other != place.file.start {
                twice = twice.saturating_add(1);
                if twice > MAX_TWICE {
                    let what = "number of PT_LOADs that list memory in another place of the file than others";
                    return Ok(Some(Error::Corrupt { what, value: twice, expected: "at most 1024" }));
                }
                if buffers.is_none() {
                    buffers = Some((zeroed(WHAT, SAMPLE)?, zeroed(WHAT, SAMPLE)?));
                }
                let len = size(&place.file).min(end(before).saturating_sub(start));
                let differ = buffers.as_mut().is_some_and(|(one, two)| {
                    differ((source, holes), [place.file.start, other], len, [one, two])
                });
                if differ {
                    let what = "the physical address of memory that two PT_LOADs list";
                    let expected = "the same bytes in both: p_paddr or p_offset of one of them is damaged";
                    return Ok(Some(Error::Corrupt { what, value: start, expected }));
                }
            }
        }
        if furthest.is_none_or(|before| end(before) < end(place)) {
            furthest = Some(place);
        }
    }
    Ok(None)
}

/// Whether `len` bytes from two places on differ in some of the samples. What cannot be read is told when it is
/// wanted.
fn differ(
    (source, holes): (&dyn ReadAt, &StreamHoles),
    places: [u64; 2],
    len: u64,
    buffers: [&mut Vec<u8>; 2],
) -> bool {
    let [one, two] = buffers;
    let count = len.min(SAMPLE);
    let bytes = usize::try_from(count).unwrap_or(0);
    let (Some(one), Some(two)) = (one.get_mut(..bytes), two.get_mut(..bytes)) else { return false };
    // The image mapping of arm64 lacks the head of the image and what was freed behind the start:
    // /proc/kcore shows zeros there, and the memory itself where it lists that.
    let is_live = !source.is_cacheable();
    let is_blank = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
    let rest = len.saturating_sub(count);
    let steps = rest.min(STEPS);
    (0..=steps).any(|step| {
        // The last one ends with the last byte.
        let at = rest.checked_div(steps).unwrap_or(0).saturating_mul(step);
        let at = if step == steps { rest } else { at };
        let [first, second] = places.map(|place| place.saturating_add(at));
        let is_given = |place: u64| holes.touched(&(place..place.saturating_add(count))).is_empty();
        let mut differs = || {
            let read = source.read_full_at(first, one).and_then(|()| source.read_full_at(second, two));
            read.is_ok() && one != two && !(is_live && (is_blank(one) || is_blank(two)))
        };
        is_given(first) && is_given(second) && (0..TRIES).all(|_| differs())
    })
}

/// What is wrong when bytes of the file are listed as memory at two addresses, or are those of headers or notes.
fn twice_in_file(places: &mut [Place]) -> Option<Error> {
    places.sort_unstable_by_key(|place| place.file.start);
    let delta = |place: &Place| place.paddr.map(|paddr| paddr.wrapping_sub(place.file.start));
    let what = "offset in the file of memory that a PT_LOAD lists";
    let (mut memory, mut besides): (Option<&Place>, u64) = (None, 0);
    for place in &*places {
        let start = place.file.start;
        let over = memory.filter(|before| before.file.end > start);
        let value = start;
        if (place.paddr.is_none() && over.is_some()) || (place.paddr.is_some() && besides > start) {
            let expected = "bytes that are not of headers or notes: p_offset or p_filesz is damaged";
            return Some(Error::Corrupt { what, value, expected });
        }
        if over.is_some_and(|before| place.paddr.is_some() && delta(before) != delta(place)) {
            let expected =
                "a piece of the file for each address: p_paddr or p_offset of two PT_LOADs disagree";
            return Some(Error::Corrupt { what, value, expected });
        }
        if place.paddr.is_none() {
            besides = besides.max(place.file.end);
        } else if memory.is_none_or(|before| before.file.end < place.file.end) {
            memory = Some(place);
        }
    }
    None
}

fn size(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
