//! Stacks, each with a page below it that faults when the stack overflows.

use kdump_elf::PhysRange;

use crate::{frames, phys};

/// Usable bytes of a stack.
pub(crate) const SIZE: usize = 16 << 10;

/// What fills a stack before its first use, so that a dump shows how much of it was used.
pub(crate) const PAINT: u8 = 0xc5;

/// A new painted stack: the virtual address behind its highest byte.
///
/// It lies in the direct map, which the dump describes, so that a debugger finds it without a walk
/// of page tables.
pub(crate) fn allocate() -> Option<u64> {
    let range = frames::allocate_range(phys::PAGE + SIZE as u64, phys::PAGE, 1 << 20)?;
    phys::make_guard(phys::pointer(range.start())).then_some(())?;
    let body = PhysRange::from_half_open(range.start() + phys::PAGE, range.end()).ok()?;
    // SAFETY: the frames are ours and above the guard page.
    let body = unsafe { phys::bytes_mut(body.start(), SIZE) };
    body.fill(PAINT);
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
