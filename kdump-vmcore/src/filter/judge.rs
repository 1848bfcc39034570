//! All records of a dump, looked at by several threads.

use alloc::vec::Vec;
use core::ops::Range;

use super::scan::Known;
use super::{Classes, Scan, ScanReport};
use crate::dump::{Dump, PageClass};
use crate::error::Error;
use crate::room::push;

/// Pages that are judged at once. No block of pages is larger, and each begins at a multiple of its size:
/// none goes beyond such a piece.
const PIECE: u64 = 1 << 18;

/// What becomes of the pages that a thread finds.
pub(crate) trait Gather: Send {
    /// Pages of a class.
    fn add(&mut self, pfns: Range<u64>, class: PageClass) -> Result<(), Error>;
    /// What another thread found, of other pages.
    #[cfg(feature = "std")]
    fn join(&mut self, other: Self);
}

/// Tells what `new` makes, one for each thread, the pages of `ranges` that are of `classes`. What is joined is
/// the same for any number of threads.
pub(crate) fn judge<G: Gather>(
    dump: &Dump<'_>,
    classes: Classes,
    ranges: &[Range<u64>],
    threads: u16,
    new: impl Fn() -> Result<G, Error> + Sync,
) -> Result<(G, ScanReport), Error> {
    let pieces = pieces(ranges)?;
    by_threads(dump, &Known::of(dump, classes)?, &pieces, threads, &new)
}

/// `ranges` cut at multiples of [`PIECE`].
fn pieces(ranges: &[Range<u64>]) -> Result<Vec<Vec<Range<u64>>>, Error> {
    let what = "the pages that are judged";
    let mut pieces: Vec<Vec<Range<u64>>> = Vec::new();
    let mut last = None;
    for range in ranges {
        let mut start = range.start;
        while start < range.end {
            let number = start / PIECE;
            let end = number.saturating_add(1).saturating_mul(PIECE).min(range.end);
            if last != Some(number) {
                push(&mut pieces, what, Vec::new())?;
                last = Some(number);
            }
            if let Some(piece) = pieces.last_mut() {
                push(piece, what, start..end)?;
            }
            start = end;
        }
    }
    Ok(pieces)
}

/// Judges the pieces that `next` gives.
fn alone<'p, G: Gather>(
    dump: &Dump<'_>,
    known: &Known,
    new: &impl Fn() -> Result<G, Error>,
    mut next: impl FnMut() -> Option<&'p [Range<u64>]>,
) -> Result<(G, ScanReport), Error> {
    let mut scan = Scan::by(dump, known)?;
    let (mut gathered, mut report) = (new()?, ScanReport::default());
    while let Some(piece) = next() {
        report = report.and(scan.run(piece, &mut |pfns, class| gathered.add(pfns, class))?);
    }
    Ok((gathered, report))
}

#[cfg(not(feature = "std"))]
fn by_threads<G: Gather>(
    dump: &Dump<'_>,
    known: &Known,
    pieces: &[Vec<Range<u64>>],
    _: u16,
    new: &(impl Fn() -> Result<G, Error> + Sync),
) -> Result<(G, ScanReport), Error> {
    let mut rest = pieces.iter();
    alone(dump, known, new, || rest.next().map(Vec::as_slice))
}

#[cfg(feature = "std")]
fn by_threads<G: Gather>(
    dump: &Dump<'_>,
    known: &Known,
    pieces: &[Vec<Range<u64>>],
    threads: u16,
    new: &(impl Fn() -> Result<G, Error> + Sync),
) -> Result<(G, ScanReport), Error> {
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
            let spawned = thread::Builder::new().spawn_scoped(scope, || alone(dump, known, new, next));
            let Ok(thread) = spawned else { break };
            started.push(thread);
        }
        let (mut all, mut report) = alone(dump, known, new, next)?;
        for thread in started {
            // What panicked there panics here.
            let (found, more) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.join(found);
            report = report.and(more);
        }
        Ok((all, report))
    })
}
