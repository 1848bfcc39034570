//! How long each stage of saving takes.

#[cfg(feature = "std")]
use std::time::Instant;

#[cfg(feature = "std")]
use super::WriteAt;
#[cfg(feature = "std")]
use crate::error::Error;

/// Nanoseconds by stage, summed over all threads, of which none waits in a stage; without `std` all are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageTimes {
    /// Reading the source, and decompressing its pages.
    pub read: u64,
    /// Looking for zeros.
    pub zero_test: u64,
    /// Compressing.
    pub compress: u64,
    /// Writing, and comparing with what is there; of [`save`](crate::save) alone.
    pub write: u64,
    /// Making last what was written; of [`save`](crate::save) alone.
    pub sync: u64,
}

impl StageTimes {
    /// Adds those of a batch.
    pub(super) fn add(&mut self, other: Self) {
        self.read = self.read.saturating_add(other.read);
        self.zero_test = self.zero_test.saturating_add(other.zero_test);
        self.compress = self.compress.saturating_add(other.compress);
    }
}

/// Runs from one lap to the next.
#[derive(Debug)]
pub(super) struct Clock(#[cfg(feature = "std")] Instant);

impl Clock {
    #[cfg(feature = "std")]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    #[cfg(not(feature = "std"))]
    pub(super) fn start() -> Self {
        Self()
    }

    /// Adds the time since the last lap to `stage`.
    #[cfg(feature = "std")]
    pub(super) fn lap(&mut self, stage: &mut u64) {
        let now = Instant::now();
        let nanos = u64::try_from(now.duration_since(self.0).as_nanos()).unwrap_or(u64::MAX);
        *stage = stage.saturating_add(nanos);
        self.0 = now;
    }

    #[cfg(not(feature = "std"))]
    pub(super) fn lap(&mut self, _stage: &mut u64) {}
}

/// A sink of which the time is taken.
#[cfg(feature = "std")]
pub(super) struct Timed<'a, W: ?Sized> {
    pub(super) sink: &'a mut W,
    pub(super) write: u64,
    pub(super) sync: u64,
}

#[cfg(feature = "std")]
impl<W: WriteAt + ?Sized> WriteAt for Timed<'_, W> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut clock = Clock::start();
        let written = self.sink.write_all_at(offset, bytes);
        clock.lap(&mut self.write);
        written
    }

    fn is_sparse(&self) -> bool {
        self.sink.is_sparse()
    }

    fn rewrites(&self) -> bool {
        self.sink.rewrites()
    }

    fn sync(&mut self) -> Result<(), Error> {
        let mut clock = Clock::start();
        let synced = self.sink.sync();
        clock.lap(&mut self.sync);
        synced
    }

    fn set_size(&mut self, size: u64) -> Result<(), Error> {
        self.sink.set_size(size)
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        let mut clock = Clock::start();
        let finished = self.sink.finish(size);
        clock.lap(&mut self.write);
        finished
    }
}
