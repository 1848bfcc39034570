// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who runs the crash path, and which step of it comes next.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No CPU has crashed.
const NOBODY: u64 = u64::MAX;

/// The order of a crash when several CPUs die at once and the crash path itself fails.
///
/// One CPU owns the crash, the first that comes. It works through steps that the kernel numbers
/// from 0, and each number is given once: a step that ends in another exception is not repeated,
/// and the handler of that exception, which enters again, goes on behind it. Steps whose failure
/// would cost most therefore come last.
///
/// ```
/// use kdump_elf::{CrashPath, CrashRole};
///
/// static CRASH: CrashPath = CrashPath::new();
///
/// // In the handler of CPU 1, behind `CrashNote::save`:
/// assert_eq!(CRASH.enter(1), CrashRole::Owner);
/// assert_eq!(CRASH.next_step(), 0); // to stop the other CPUs, say
/// assert_eq!(CRASH.enter(2), CrashRole::Other); // which save their registers and halt
/// assert_eq!(CRASH.enter(1), CrashRole::OwnerAgain); // that step failed
/// assert_eq!(CRASH.next_step(), 1); // to report
/// ```
#[derive(Debug)]
pub struct CrashPath {
    owner: AtomicU64,
    next: AtomicU32,
}

/// What a CPU that enters the crash path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashRole {
    /// The first one: it works through the steps.
    Owner,
    /// The owner, after an exception on the crash path: it goes on with the next step.
    OwnerAgain,
    /// Any other, stopped by the owner or dying by itself: it saves its registers and halts.
    Other,
}

impl CrashPath {
    /// Nothing has happened yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { owner: AtomicU64::new(NOBODY), next: AtomicU32::new(0) }
    }

    /// A CPU has an exception from which there is no way back. `cpu` is any number that no other
    /// CPU has, but `u64::MAX`.
    pub fn enter(&self, cpu: u64) -> CrashRole {
        match self.owner.compare_exchange(NOBODY, cpu, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => CrashRole::Owner,
            Err(owner) if owner == cpu => CrashRole::OwnerAgain,
            Err(_) => CrashRole::Other,
        }
    }

    /// Whether a CPU has entered.
    pub fn has_begun(&self) -> bool {
        self.owner.load(Ordering::Acquire) != NOBODY
    }

    /// The number of the step to take now, from 0; for the owner alone. The numbers go on behind
    /// the kernel's last step: the caller decides how often the way out is tried again.
    pub fn next_step(&self) -> u32 {
        let step = self.next.load(Ordering::Relaxed);
        self.next.store(step.saturating_add(1), Ordering::Relaxed);
        step
    }
}

impl Default for CrashPath {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_owns_the_crash() {
        let path = CrashPath::new();
        assert!(!path.has_begun());
        let owners = std::thread::scope(|scope| {
            let path = &path;
            let threads: std::vec::Vec<_> = (0..16).map(|cpu| scope.spawn(move || path.enter(cpu))).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().ok())
                .filter(|role| *role == CrashRole::Owner)
                .count()
        });
        assert_eq!(owners, 1);
        assert!(path.has_begun());
    }

    #[test]
    fn a_step_is_given_once() {
        let path = CrashPath::new();
        assert_eq!((path.enter(3), path.next_step()), (CrashRole::Owner, 0));
        assert_eq!(path.enter(0), CrashRole::Other);
        assert_eq!((path.enter(3), path.next_step()), (CrashRole::OwnerAgain, 1));
        assert_eq!((path.next_step(), path.next_step()), (2, 3));
    }
}
