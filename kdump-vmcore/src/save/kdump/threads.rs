//! Several threads read and compress; the caller's writes, and helps where there is nothing to write.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::WriteAt;
use super::batch::Batches;
use super::block::{Block, Worker};
use super::plan::KdumpPlan;
use super::write::Writer;
use crate::error::Error;
use crate::progress::Progress;
use crate::room::push;

/// Batches on their way for each thread: one that is worked on, and some that wait to be written, so that a
/// thread need not wait whenever another one is slower.
const PER_THREAD: usize = 4;

/// Threads for each CPU at most, and threads that are always allowed. More would only take memory: with
/// overcommit the system refuses none of them until it is used.
const PER_CPU: usize = 4;
const ALLOWED: usize = 16;

/// As many threads as are asked for and the machine and `batches` have use for.
pub(super) fn bounded(threads: u16, batches: usize) -> usize {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    usize::from(threads).min(cpus.saturating_mul(PER_CPU).max(ALLOWED)).min(batches)
}

/// What the threads share.
struct Shared<'p> {
    state: Mutex<State<'p>>,
    /// A batch was finished, or a thread ended early.
    finished: Condvar,
    /// A batch was written.
    written: Condvar,
}

struct State<'p> {
    plan: &'p KdumpPlan<'p>,
    batches: Batches<'p>,
    free: Vec<Block>,
    /// Blocks that may still be made: one is when a batch is to be taken and none is free.
    unmade: usize,
    done: BTreeMap<u64, Block>,
    /// Batches that were taken; the next one to write is behind those written.
    taken: u64,
    /// All batches were taken.
    exhausted: bool,
    stop: bool,
}

impl<'p> State<'p> {
    /// The next batch, if there is one and room for it.
    fn take(&mut self) -> Option<(u64, Block)> {
        if self.stop || self.exhausted {
            return None;
        }
        let mut block = self.free.pop().or_else(|| self.make())?;
        if let Some(index) = self.batches.next(&mut block.runs) {
            self.taken = index.saturating_add(1);
            return Some((index, block));
        }
        self.exhausted = true;
        self.free.push(block);
        None
    }

    /// One block more.
    fn make(&mut self) -> Option<Block> {
        self.unmade = self.unmade.checked_sub(1)?;
        let made = Block::new(self.plan);
        if made.is_err() {
            // With less memory there is less on its way.
            self.unmade = 0;
        }
        made.ok()
    }
}

impl<'p> Shared<'p> {
    fn lock(&self) -> MutexGuard<'_, State<'p>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the helpers to end when the caller's thread is done, also with a panic of the sink or of who is
/// told the progress: the scope waits for them before it passes that on.
struct Dismissal<'a, 'p>(&'a Shared<'p>);

impl Drop for Dismissal<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().stop = true;
        self.0.written.notify_all();
    }
}

/// Tells the writer when a thread ends without having been asked to.
struct Alarm<'a, 'p>(&'a Shared<'p>);

impl Drop for Alarm<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().stop = true;
            self.0.finished.notify_all();
            self.0.written.notify_all();
        }
    }
}

/// Reads, compresses and writes all batches.
pub(super) fn run<W, P>(
    writer: &mut Writer<'_, '_, W, P>,
    plan: &KdumpPlan<'_>,
    batches: Batches<'_>,
) -> Result<(), Error>
where
    W: WriteAt + ?Sized,
    P: FnMut(Progress) -> ControlFlow<()> + ?Sized,
{
    let count = usize::try_from(plan.pages.div_ceil(plan.batch_pages())).unwrap_or(usize::MAX);
    let threads = bounded(plan.options.threads, count);
    // Without one nothing can be done.
    let mut free = Vec::new();
    push(&mut free, "the batches on their way", Block::new(plan)?)?;
    let unmade = threads.saturating_mul(PER_THREAD).min(count.saturating_sub(1));
    let (done, taken, exhausted, stop) = (BTreeMap::new(), 0, false, false);
    let state = State { plan, batches, free, unmade, done, taken, exhausted, stop };
    let shared = Shared { state: Mutex::new(state), finished: Condvar::new(), written: Condvar::new() };
    thread::scope(|scope| {
        let _dismissal = Dismissal(&shared);
        for _ in 1..threads {
            // With fewer threads it takes longer.
            let spawned = thread::Builder::new().spawn_scoped(scope, || help(plan, &shared));
            if spawned.is_err() {
                break;
            }
        }
        write(writer, plan, &shared)
    })
}

/// Works on batches until there are no more.
fn help(plan: &KdumpPlan<'_>, shared: &Shared<'_>) {
    let _alarm = Alarm(shared);
    // The writer does what a thread without memory of its own cannot.
    let Ok(mut worker) = Worker::new(plan) else { return };
    let mut state = shared.lock();
    while !state.stop && !state.exhausted {
        let Some((index, mut block)) = state.take() else {
            if !state.exhausted {
                state = shared.written.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            continue;
        };
        drop(state);
        worker.work(&mut block);
        state = shared.lock();
        state.done.insert(index, block);
        shared.finished.notify_one();
    }
}

/// Writes the batches in their order.
fn write<W, P>(
    writer: &mut Writer<'_, '_, W, P>,
    plan: &KdumpPlan<'_>,
    shared: &Shared<'_>,
) -> Result<(), Error>
where
    W: WriteAt + ?Sized,
    P: FnMut(Progress) -> ControlFlow<()> + ?Sized,
{
    let mut worker = Worker::new(plan)?;
    let mut next = 0_u64;
    let mut state = shared.lock();
    loop {
        if let Some(block) = state.done.remove(&next) {
            drop(state);
            writer.put(&block)?;
            next = next.saturating_add(1);
            state = shared.lock();
            state.free.push(block);
            shared.written.notify_one();
        } else if let Some((index, mut block)) = state.take() {
            drop(state);
            worker.work(&mut block);
            state = shared.lock();
            state.done.insert(index, block);
        } else if state.exhausted && next == state.taken {
            return Ok(());
        } else if state.stop {
            // A thread panicked, which the scope passes on.
            return Err(Error::Cancelled);
        } else {
            state = shared.finished.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
