//! The processor: what it can do, and how to stop it.

use core::arch::asm;

/// Whether it has the instructions of SHA-256: ID_AA64ISAR0_EL1.SHA2 (Arm ARM, D19.2). Unlike the
/// loader, who asks before the crash, this asks the processor the program runs on.
pub(crate) fn has_sha() -> bool {
    let features: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, id_aa64isar0_el1", out(reg) features, options(nomem, nostack, preserves_flags)) };
    features >> 12 & 0xf != 0
}

/// Stops for ever.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: exceptions are masked; whatever wakes the processor finds the loop.
        unsafe { asm!("wfi", options(nomem, nostack)) };
    }
}

/// A loader refuses to ask for this: whether firmware is called by HVC or SMC stands in the device
/// tree, and the wrong call is an exception nobody handles.
pub(crate) fn reset() -> ! {
    halt()
}
