//! The time that work takes on a busy machine.
#![allow(unsafe_code, reason = "asks for the processor time of a thread")]

use core::time::Duration;

/// Processor time some work takes, which other programs of a busy machine take little from.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = processor_time();
    core::hint::black_box(work());
    processor_time().saturating_sub(start)
}

/// Processor time this thread has had; openssl speed and the C programs count theirs alike.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours; a clock every Linux has (clock_gettime(2)).
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
