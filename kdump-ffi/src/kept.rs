//! What reads of a dump leave for the next ones.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

use kdump_vmcore::{Scratch, TranslationCache};

use crate::reserve;

/// As many threads as read one dump at a time, mostly; more keep nothing.
const PLACES: usize = 16;

/// What one thread leaves: pages and decoders, and what it found in page tables.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) scratch: Scratch,
    pub(crate) translations: TranslationCache,
}

/// A place in memory that no other thread writes to: two lines of a cache, as processors fetch them.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Place(Mutex<Kept>);

/// Places for what threads leave. Each thread has its own, so that no call waits for another one.
#[derive(Debug, Default)]
pub(crate) struct Places([Place; PLACES]);

impl Places {
    /// Runs `work` with what this thread has left before. The lock is held meanwhile, but nobody
    /// waits for it: whoever finds it taken, be it by a call further up in the same thread whose
    /// function of the caller calls again, goes on to the next place, and at last does without.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        let (before, from) = self.0.split_at_checked(number()).unwrap_or((&[], &self.0));
        for Place(place) in from.iter().chain(before) {
            let mut kept = match place.try_lock() {
                Ok(kept) => kept,
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Poisoned(poisoned)) => {
                    // Nobody knows what a panic left.
                    let mut kept = poisoned.into_inner();
                    *kept = Kept::default();
                    place.clear_poison();
                    kept
                }
            };
            let result = work(&mut kept);
            // What was set aside for a shortage must not live on here.
            if reserve::ran_short() {
                *kept = Kept::default();
            }
            return result;
        }
        work(&mut Kept::default())
    }
}

/// The place of this thread: threads take them in turn.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let mine = MINE.try_with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed).checked_rem(PLACES).unwrap_or(0));
        }
        mine.get()
    });
    // A thread that ends has none any more.
    mine.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_inside_a_call_does_not_wait() {
        let places = Places::default();
        let depth = places.with(|_| places.with(|_| places.with(|_| 3)));
        assert_eq!(depth, 3);
        fn all(places: &Places, depth: usize) -> usize {
            if depth == 0 { 0 } else { places.with(|_| all(places, depth - 1)) + 1 }
        }
        assert_eq!(all(&places, PLACES + 3), PLACES + 3);
    }

    #[test]
    fn a_panic_costs_what_was_kept_and_no_more() {
        let places = Places::default();
        for _ in 0..2 {
            let caught = kdump_ffi_core::guarded(|| places.with(|_| panic!("in the middle")));
            assert!(caught.is_err());
            assert!(places.0.iter().filter(|place| place.0.is_poisoned()).count() <= 1);
        }
        places.with(|_| ());
        assert!(!places.0.iter().any(|place| place.0.is_poisoned()));
    }
}
