//! The memory of a source in whole pages: which of them it has, and which in part.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{LossReason, LostRange, PhysRange};

use super::losses::{Losses, MAX_KNOWN, reason_of};
use crate::dump::{Span, SpanKind};
use crate::error::Error;
use crate::filter::touched;
use crate::room::push;

/// The pages of `readable` of which a part is lost or was left out: the format knows whole ones only.
pub(super) fn partly(readable: &[Range<u64>], spans: &[Span], page: u64) -> Result<Vec<Range<u64>>, Error> {
    let lacks = |kind: SpanKind| kind != SpanKind::Hole && !kind.is_readable();
    let mut found: Vec<Range<u64>> = Vec::new();
    for span in spans.iter().filter(|span| lacks(span.kind)) {
        let pfns = touched(span.range, page);
        // Only the first and the last page of a span can have bytes of another one.
        for pfn in [pfns.start, pfns.end.saturating_sub(1)] {
            let index = readable.partition_point(|run| run.end <= pfn);
            let inside = readable.get(index).is_some_and(|run| run.start <= pfn);
            if inside && found.last().is_none_or(|last| last.end <= pfn) {
                push(&mut found, "the pages that the source has in part", pfn..pfn.saturating_add(1))?;
            }
        }
    }
    Ok(found)
}

/// `ranges` without the pages of `holes`, both sorted and disjoint.
pub(super) fn without(ranges: &[Range<u64>], holes: &[Range<u64>]) -> Result<Vec<Range<u64>>, Error> {
    let what = "the pages of the source";
    let mut left = Vec::new();
    let mut holes = holes.iter().peekable();
    for range in ranges {
        let mut start = range.start;
        while let Some(hole) = holes.next_if(|hole| hole.start < range.end) {
            if hole.start > start {
                push(&mut left, what, start..hole.start)?;
            }
            start = start.max(hole.end);
        }
        if start < range.end {
            push(&mut left, what, start..range.end)?;
        }
    }
    Ok(left)
}

/// What the source is known to lack and the bitmaps do not say.
pub(super) fn known(spans: &[Span], partly: &[Range<u64>], page: u64) -> Result<Losses, Error> {
    let mut losses = Losses::new(MAX_KNOWN);
    let mut end = 0;
    for span in spans {
        let pfns = touched(span.range, page);
        let index = partly.partition_point(|hole| hole.end <= pfns.start);
        let in_part = partly.get(index).is_some_and(|hole| hole.start < pfns.end);
        let reason = match reason_of(span.kind) {
            Some(LossReason::Excluded(0)) if !in_part => None,
            reason => reason,
        };
        let Some(reason) = reason else {
            // Bytes of a page that is lost in part are given up.
            let share = |hole: &Range<u64>| {
                let start = hole.start.saturating_mul(page).max(span.range.start());
                hole.end.saturating_mul(page).min(span.range.end()).saturating_sub(start)
            };
            let near =
                partly.get(index..).unwrap_or_default().iter().take_while(|hole| hole.start < pfns.end);
            let lost = near.map(share).fold(0, u64::saturating_add);
            if span.kind.is_readable() {
                losses.given_up = losses.given_up.saturating_add(lost);
            }
            if span.kind != SpanKind::Hole {
                losses.pass(span.range.size().saturating_sub(lost), span.kind.is_readable());
            }
            continue;
        };
        let start = pfns.start.saturating_mul(page).max(end);
        end = pfns.end.saturating_mul(page).max(end);
        if let Ok(range) = PhysRange::from_half_open(start, end) {
            losses.add(LostRange::new(range, reason))?;
        }
    }
    Ok(losses)
}
