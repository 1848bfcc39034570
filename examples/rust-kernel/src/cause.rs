//! Ways for a kernel to die, each from a function whose name and line a debugger must find.

use core::hint::black_box;

use crate::say;

/// Dies by what `name` says, if it is one of them.
pub(crate) fn by_name(name: &str) {
    match name {
        "null" => null_dereference(black_box(core::ptr::null())),
        "panic" => explicit_panic(name),
        "double-fault" => drop(black_box(overflow_stack(black_box(1)))),
        _ => say!("causes: null, panic, double-fault"),
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
fn explicit_panic(name: &str) {
    panic!("as told by {name:?}"); // dies here: panic
}

/// Runs into the guard page below the stack. The exception cannot be delivered on that stack,
/// so it becomes a double fault, which has a stack of its own.
#[inline(never)]
#[allow(unconditional_recursion, reason = "the point")]
fn overflow_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 32]); // dies here: double-fault
    frame.iter().sum::<u64>() + overflow_stack(black_box(depth + 1))
}
