//! How the processor is stopped.

use core::arch::asm;

/// Stops for ever, at the lowest priority among the threads of its core (Power ISA, "Program Priority
/// Registers").
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: touches nothing.
        unsafe { asm!("or 31, 31, 31", options(nomem, nostack)) };
    }
}

/// A loader refuses to ask for this: it takes the services of firmware, whose place stands in the
/// device tree.
pub(crate) fn reset() -> ! {
    halt()
}
