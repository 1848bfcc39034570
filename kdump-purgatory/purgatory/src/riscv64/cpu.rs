//! The processor: how to stop it, and the machine.

use core::arch::asm;

/// Stops for ever.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: interrupts are off; whatever wakes the processor finds the loop.
        unsafe { asm!("wfi", options(nomem, nostack)) };
    }
}

/// Resets the machine by its firmware (RISC-V SBI specification 2.0, chapter 10, "System Reset Extension":
/// a cold reboot without a reason). Firmware that does not know the call returns.
pub(crate) fn reset() -> ! {
    // SAFETY: nothing follows that minds what the firmware changes.
    unsafe {
        asm!(
            "ecall",
            inout("a0") 1_u64 => _,
            inout("a1") 0_u64 => _,
            in("a6") 0_u64,
            in("a7") 0x5352_5354_u64,
            options(nostack),
        );
    }
    halt()
}
