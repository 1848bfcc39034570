//! Ways for a kernel to die, each from a function whose name and line a debugger must find.

use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::say;

/// The causes by the names they have on the console.
const CAUSES: [(&str, fn()); 3] = [
    ("null", || null_dereference(black_box(core::ptr::null()))),
    ("panic", || explicit_panic(black_box(3))),
    ("double-fault", || _ = black_box(overflow_stack(black_box(1)))),
];

/// What a CPU was told to die of: its number times 256, plus 1, plus the index of the cause.
static ORDER: AtomicUsize = AtomicUsize::new(0);

/// Has a CPU die, the next time it asks [`obey`].
pub(crate) fn order(cpu: usize, name: &str) {
    match CAUSES.iter().position(|(known, _)| *known == name) {
        Some(index) => ORDER.store(cpu << 8 | (index + 1), Ordering::Release),
        None => say!("causes: null, panic, double-fault; then perhaps a CPU"),
    }
}

/// Dies if this CPU is the one that was told to.
pub(crate) fn obey(cpu: usize) {
    let order = ORDER.load(Ordering::Acquire);
    if let Some((_, die)) = (order & 0xff).checked_sub(1).and_then(|index| CAUSES.get(index)) {
        if order >> 8 == cpu {
            die();
        }
    }
}

#[inline(never)]
fn null_dereference(pointer: *const u64) {
    // SAFETY: none. Page 0 is not mapped, which is the point.
    let value = unsafe { pointer.read_volatile() }; // dies here: null
    say!("page 0 holds {value:#x}");
}

#[inline(never)]
#[allow(clippy::panic, reason = "the point")]
fn explicit_panic(reasons: u32) {
    panic!("for {reasons} good reasons"); // dies here: panic
}

/// Runs into the guard page below the stack. The exception cannot be delivered on that stack,
/// so it becomes a double fault, which has a stack of its own.
#[inline(never)]
#[allow(unconditional_recursion, reason = "the point")]
fn overflow_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 32]); // dies here: double-fault
    frame.iter().sum::<u64>() + overflow_stack(black_box(depth + 1))
}
