//! Which pages a new file leaves out.

use alloc::vec::Vec;
use core::ops::Range;

use super::page_set::PageSet;
use super::report::{Doubt, LeftOut};
use crate::dump::{Dump, SpanKind};
use crate::error::Error;
use crate::filter::{Classes, Scan, ScanReport};

/// Pages that are judged at once. No block of pages is larger, and each begins at a multiple of its size:
/// none goes beyond such a piece.
const PIECE: u64 = 1 << 18;

/// What one thread found.
struct Found {
    set: PageSet,
    told: LeftOut,
    report: ScanReport,
}

/// What of `readable`, whose pages are below `end`, is left out. The same for any number of threads.
pub(super) fn leave_out(
    dump: &Dump<'_>,
    classes: Classes,
    readable: &[Range<u64>],
    end: u64,
    threads: u16,
) -> Result<(PageSet, LeftOut), Error> {
    if classes.is_empty() {
        return Ok((PageSet::default(), LeftOut::default()));
    }
    let pieces = pieces(readable)?;
    let all = judge(dump, classes, &pieces, end, threads)?;
    let Found { set, mut told, report } = all;
    let whole = || dump.spans_to_the_end().all(|span| span.kind == SpanKind::Hole || span.kind.is_readable());
    if report.is_doubtful(true) && report.is_doubtful(whole()) {
        let doubt = Some(Doubt { blocks: report.blocks, impossible: report.impossible });
        told = LeftOut::default();
        told.doubt = doubt;
        return Ok((PageSet::default(), told));
    }
    (told.unreadable, told.without) = (report.unreadable, report.without);
    Ok((set, told))
}

/// `readable` cut at multiples of [`PIECE`].
fn pieces(readable: &[Range<u64>]) -> Result<Vec<Vec<Range<u64>>>, Error> {
    let what = "the pages that are judged";
    let mut pieces: Vec<Vec<Range<u64>>> = Vec::new();
    let mut last = None;
    for range in readable {
        let mut start = range.start;
        while start < range.end {
            let number = start / PIECE;
            let end = number.saturating_add(1).saturating_mul(PIECE).min(range.end);
            if last != Some(number) {
                crate::room::push(&mut pieces, what, Vec::new())?;
                last = Some(number);
            }
            if let Some(piece) = pieces.last_mut() {
                crate::room::push(piece, what, start..end)?;
            }
            start = end;
        }
    }
    Ok(pieces)
}

/// Judges the pieces that `next` gives.
fn alone<'p>(
    dump: &Dump<'_>,
    classes: Classes,
    end: u64,
    mut next: impl FnMut() -> Option<&'p [Range<u64>]>,
) -> Result<Found, Error> {
    let mut scan = Scan::new(dump, classes)?;
    let (mut set, mut told) = (PageSet::new(end)?, LeftOut::default());
    let mut report = ScanReport::default();
    while let Some(piece) = next() {
        let mut found = |pfns: Range<u64>, class| {
            told.add(class, set.add(pfns)?);
            Ok(())
        };
        report = report.and(scan.run(piece, &mut found)?);
    }
    Ok(Found { set, told, report })
}

#[cfg(not(feature = "std"))]
fn judge(
    dump: &Dump<'_>,
    classes: Classes,
    pieces: &[Vec<Range<u64>>],
    end: u64,
    _: u16,
) -> Result<Found, Error> {
    let mut rest = pieces.iter();
    alone(dump, classes, end, || rest.next().map(Vec::as_slice))
}

#[cfg(feature = "std")]
fn judge(
    dump: &Dump<'_>,
    classes: Classes,
    pieces: &[Vec<Range<u64>>],
    end: u64,
    threads: u16,
) -> Result<Found, Error> {
    use core::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    let taken = AtomicUsize::new(0);
    let next = || pieces.get(taken.fetch_add(1, Ordering::Relaxed)).map(Vec::as_slice);
    let helpers = usize::from(threads).min(pieces.len()).saturating_sub(1);
    thread::scope(|scope| {
        let mut started = Vec::new();
        let helpers = if started.try_reserve(helpers).is_ok() { helpers } else { 0 };
        for _ in 0..helpers {
            // With fewer threads it takes longer.
            let spawned = thread::Builder::new().spawn_scoped(scope, || alone(dump, classes, end, next));
            let Ok(thread) = spawned else { break };
            started.push(thread);
        }
        let mut all = alone(dump, classes, end, next)?;
        for thread in started {
            // What panicked there panics here.
            let found = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.set.take(found.set);
            all.told = all.told.and(found.told);
            all.report = all.report.and(found.report);
        }
        Ok(all)
    })
}
