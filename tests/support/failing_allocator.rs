//! The system's allocator, which gives no large piece of memory when a test says so: to the thread
//! of that test alone.
#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(unsafe_code, reason = "an allocator")]
#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::null_mut;
use std::alloc::System;

/// What is smaller is of no size that input decides: a name, a sentence, a node of a map.
pub(crate) const LARGE: usize = 4096;

std::thread_local! {
    /// Large allocations until one fails; 0 for none.
    static LEFT: Cell<usize> = const { Cell::new(0) };
    /// What is smaller is given.
    static SMALLEST: Cell<usize> = const { Cell::new(LARGE) };
    /// Whether all behind it fail too.
    static FOR_GOOD: Cell<bool> = const { Cell::new(false) };
    /// Whether one has failed.
    static REFUSED: Cell<bool> = const { Cell::new(false) };
    /// Bytes asked for, in all and at most at once, where that is counted.
    static TAKEN: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Refuses the allocation `nth` (from 1) of at least `smallest` bytes that `work` asks for, and all
/// such behind it if `for_good`. What came of it, and whether there was one to refuse.
pub(crate) fn refusing<T>(
    nth: usize,
    smallest: usize,
    for_good: bool,
    work: impl FnOnce() -> T,
) -> (T, bool) {
    SMALLEST.set(smallest);
    FOR_GOOD.set(for_good);
    REFUSED.set(false);
    LEFT.set(nth);
    let outcome = work();
    LEFT.set(0);
    (outcome, REFUSED.get())
}

/// The bytes that `work` asks for, in all and at most at once.
pub(crate) fn taken<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    TAKEN.set(Some((0, 0)));
    let outcome = work();
    let (all, largest) = TAKEN.take().unwrap_or_default();
    (outcome, all, largest)
}

struct Failing;

fn fails(size: usize) -> bool {
    if let Some((all, largest)) = TAKEN.get() {
        TAKEN.set(Some((all + size, largest.max(size))));
    }
    let left = LEFT.get();
    if size < SMALLEST.get() || left == 0 {
        return false;
    }
    let refused = left == 1;
    LEFT.set(if refused && FOR_GOOD.get() { 1 } else { left - 1 });
    REFUSED.set(REFUSED.get() || refused);
    refused
}

// SAFETY: hands on to the system's allocator, or gives nothing.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) {
            return null_mut();
        }
        // SAFETY: the caller keeps the rules for us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the rules for us.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;
