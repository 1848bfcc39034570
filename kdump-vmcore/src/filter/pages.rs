//! Memory in whole pages.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::PhysRange;

use crate::dump::{Span, SpanKind};
use crate::error::Error;
use crate::room::push;

/// The pages that any span of these kinds touches.
pub(crate) fn pages_of(
    spans: &[Span],
    page: u64,
    kinds: impl Fn(SpanKind) -> bool,
) -> Result<Vec<Range<u64>>, Error> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for span in spans.iter().filter(|span| kinds(span.kind)) {
        let pfns = touched(span.range, page);
        match ranges.last_mut().filter(|last| last.end >= pfns.start) {
            Some(last) => last.end = last.end.max(pfns.end),
            None => push(&mut ranges, "the pages of the source", pfns)?,
        }
    }
    Ok(ranges)
}

/// The pages that a range touches.
pub(crate) fn touched(range: PhysRange, page: u64) -> Range<u64> {
    let page = page.max(1);
    range.start().checked_div(page).unwrap_or(0)..range.end().div_ceil(page)
}
