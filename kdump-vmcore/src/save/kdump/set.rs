//! A set of files: each is written by one thread at a time, and all tell what any of them could not read.

use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::losses::{FOUND_ROOM, Losses};
use super::super::{Interrupted, SaveReport, WriteAt};
use super::plan::KdumpPlan;
use super::threads::bounded;
use super::write::Writer;
use crate::error::Error;
use crate::progress::Progress;
use crate::room::push;

/// How often the caller is told how far the work is.
const TICK: Duration = Duration::from_millis(100);

/// What the threads have done.
#[derive(Default)]
struct Sum {
    done: AtomicU64,
    written: AtomicU64,
    stop: AtomicBool,
}

impl Sum {
    fn progress(&self, total: u64) -> Progress {
        let of = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Progress { done: of(&self.done), total, written: of(&self.written) }
    }

    /// Takes down what one file has come to.
    fn meter(&self) -> impl FnMut(Progress) -> ControlFlow<()> + Send + '_ {
        let (mut done, mut written) = (0, 0);
        move |state| {
            self.done.fetch_add(state.done.saturating_sub(done), Ordering::Relaxed);
            self.written.fetch_add(state.written.saturating_sub(written), Ordering::Relaxed);
            (done, written) = (state.done, state.written);
            if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
}

/// A file, and how far it came.
struct Job<'a, 'd, W, P> {
    writer: Result<Writer<'a, 'd, W, P>, Error>,
    done: Result<(), Error>,
}

impl KdumpPlan<'_> {
    /// Writes the plan as a set of files, one into each of `sinks`, which have the pages that
    /// [`KdumpPlan::split`] tells. Each is written by one thread; there are as many threads as files, and no more than four for
    /// each CPU, or 16 where that is more. `progress` is called by the caller's thread about ten times in a second.
    ///
    /// A sink that fails ends its own file alone. What could not be read of any part all of them remember; the
    /// first report tells what the source is known to lack, and each what could not be read besides.
    ///
    /// # Errors
    /// For each file [`Interrupted`], as [`KdumpPlan::copy`]; for all of them those of [`KdumpPlan::split`].
    pub fn copy_split<W: WriteAt + Send>(
        &self,
        sinks: &mut [W],
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Vec<Result<SaveReport, Interrupted>>, Error> {
        let what = "the parts of the dump";
        if self.later.is_some() {
            let what = "a set of files with pages in another order than that of their addresses";
            return Err(Error::Unsupported { what });
        }
        let parts = self.split(u16::try_from(sinks.len()).unwrap_or(u16::MAX))?;
        let sum = Sum::default();
        let mut meters = Vec::new();
        for _ in &parts {
            push(&mut meters, what, sum.meter())?;
        }
        let mut jobs = Vec::new();
        for (index, ((pfns, sink), meter)) in parts.into_iter().zip(sinks).zip(&mut meters).enumerate() {
            let part = self.part(pfns, index == 0);
            let writer = part.and_then(|part| Writer::new(self, part, 0, sink, meter));
            push(&mut jobs, what, Mutex::new(Job { writer, done: Ok(()) }))?;
        }
        let mut tick = || {
            if progress(sum.progress(self.memory())).is_break() {
                sum.stop.store(true, Ordering::Relaxed);
            }
        };
        by_threads(&jobs, &sum.stop, &mut tick, |writer| writer.write_pages());
        let found = self.found(&mut jobs)?;
        by_threads(&jobs, &sum.stop, &mut tick, |writer| writer.end(Some(&found)));
        let mut outcomes = Vec::new();
        for job in jobs {
            let Job { writer, done } = job.into_inner().unwrap_or_else(PoisonError::into_inner);
            let outcome = match writer {
                Ok(writer) => writer.close(done),
                Err(error) => Err(self.early(error, 0)),
            };
            push(&mut outcomes, what, outcome)?;
        }
        Ok(outcomes)
    }

    /// What could not be read of any part, by address.
    fn found<W, P>(&self, jobs: &mut [Mutex<Job<'_, '_, W, P>>]) -> Result<Losses, Error> {
        let mut all = Losses::with_room(FOUND_ROOM)?;
        let mut end = 0;
        for job in jobs {
            let job = job.get_mut().unwrap_or_else(PoisonError::into_inner);
            let Ok(writer) = &job.writer else { continue };
            all.given_up = all.given_up.saturating_add(writer.found.given_up);
            for lost in &writer.found.ranges {
                let pfn = lost.range.start().checked_div(self.page_size()).unwrap_or(0);
                let pages = self.stored(end, pfn);
                if pfn != end {
                    all.pass(pages.saturating_mul(self.page_size()).max(1), pages > 0);
                }
                all.add(*lost)?;
                end = lost.range.end().checked_div(self.page_size()).unwrap_or(0);
            }
        }
        Ok(all)
    }
}

/// Threads that have ended.
#[derive(Default)]
struct Ended {
    count: Mutex<usize>,
    one: Condvar,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a thread when it ends, also by a panic.
struct Leave<'a>(&'a Ended);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut count = self.0.lock();
        *count = count.saturating_add(1);
        self.0.one.notify_one();
    }
}

/// Asks the threads to end when the caller's panics: the scope waits for them.
struct Dismissal<'a>(&'a AtomicBool);

impl Drop for Dismissal<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Does the next step of every file that is not at its end; the caller's thread tells how far it is.
fn by_threads<'a, 'd, W, P, F>(
    jobs: &[Mutex<Job<'a, 'd, W, P>>],
    stop: &AtomicBool,
    tick: &mut dyn FnMut(),
    step: F,
) where
    W: WriteAt + Send,
    P: FnMut(Progress) -> ControlFlow<()> + Send,
    F: Fn(&mut Writer<'a, 'd, W, P>) -> Result<(), Error> + Sync,
{
    let next = AtomicUsize::new(0);
    let one = || {
        let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { return false };
        let mut job = job.lock().unwrap_or_else(PoisonError::into_inner);
        let Job { writer, done } = &mut *job;
        if let (Ok(writer), Ok(())) = (writer, &done) {
            *done = step(writer);
        }
        true
    };
    let ended = Ended::default();
    thread::scope(|scope| {
        let _dismissal = Dismissal(stop);
        let mut started = 0_usize;
        for _ in 0..bounded(u16::try_from(jobs.len()).unwrap_or(u16::MAX), jobs.len()) {
            let work = || {
                let _leave = Leave(&ended);
                while one() {}
            };
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
            started = started.saturating_add(1);
        }
        // Without a thread it is told between the files only.
        while started == 0 && one() {
            tick();
        }
        let mut count = ended.lock();
        while *count < started {
            let waited = ended.one.wait_timeout(count, TICK).unwrap_or_else(PoisonError::into_inner);
            drop(waited.0);
            tick();
            count = ended.lock();
        }
    });
}
