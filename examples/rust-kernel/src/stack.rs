//! Stacks, each with a page below it that faults when the stack overflows.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::phys;

/// Usable bytes of a stack.
pub(crate) const SIZE: usize = 16 << 10;

/// Enough for eight CPUs.
const COUNT: usize = 64;

/// What fills a stack before its first use, so that a dump shows how much of it was used.
pub(crate) const PAINT: u8 = 0xc5;

/// They lie in the image, not in frames: the dump describes the image at its virtual address,
/// and a debugger finds the stacks without a walk of page tables.
#[repr(C, align(4096))]
struct Stack {
    guard: [u8; 4096],
    body: [u8; SIZE],
}

struct Stacks(UnsafeCell<[Stack; COUNT]>);

// SAFETY: each stack is handed out once.
unsafe impl Sync for Stacks {}

static STACKS: Stacks =
    Stacks(UnsafeCell::new([const { Stack { guard: [0; 4096], body: [0; SIZE] } }; COUNT]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// A new painted stack: the virtual address behind its highest byte.
pub(crate) fn allocate() -> Option<u64> {
    let index = USED.fetch_add(1, Ordering::Relaxed);
    if index >= COUNT {
        return None;
    }
    // SAFETY: `index` is in bounds and nobody else gets it.
    let stack = unsafe { STACKS.0.get().cast::<Stack>().add(index) };
    // SAFETY: a fresh stack.
    let (guard, body) = unsafe { (&raw const (*stack).guard, &mut (*stack).body) };
    body.fill(PAINT);
    phys::make_guard(guard.cast());
    Some(body.as_ptr_range().end as u64)
}

unsafe extern "C" {
    static boot_stack: [u8; 65536];
}

/// Gives the stack that boot.s made a guard page as well.
pub(crate) fn guard_boot_stack() {
    phys::make_guard((&raw const boot_stack).cast());
}

/// How many bytes of it were ever used.
pub(crate) fn boot_stack_used() -> usize {
    let body = (&raw const boot_stack).cast::<u8>();
    // SAFETY: in bounds and above the guard page; volatile because the stack is in use.
    let untouched =
        (phys::PAGE as usize..65536).take_while(|&at| unsafe { body.add(at).read_volatile() } == PAINT);
    65536 - phys::PAGE as usize - untouched.count()
}
