//! The processor: what it can do, what it was left in, and how to stop it.

use core::arch::asm;

/// Whose registers translate addresses. At EL2 those of the host extensions are laid out as EL1's.
#[derive(Clone, Copy)]
pub(crate) enum Regime {
    El1,
    El2,
    El2Host,
}

/// Physical addresses that tables of a 4 KiB granule can name: how many bits of them, and their number in
/// TCR_ELx.
pub(crate) struct Output {
    pub(crate) bits: u32,
    pub(crate) number: u64,
}

/// Reads a register of the processor.
macro_rules! register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reads a register that exists at the level the program runs at.
        unsafe {
            asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags));
        }
        value
    }};
}

/// What the program runs in.
pub(crate) fn regime() -> Regime {
    if register!("CurrentEL") >> 2 & 3 != 2 {
        return Regime::El1;
    }
    // HCR_EL2.E2H.
    if register!("hcr_el2") >> 34 & 1 != 0 { Regime::El2Host } else { Regime::El2 }
}

/// The system control register.
pub(crate) fn sctlr(regime: Regime) -> u64 {
    match regime {
        Regime::El1 => register!("sctlr_el1"),
        Regime::El2 | Regime::El2Host => register!("sctlr_el2"),
    }
}

/// `None` for a processor without the granule (ID_AA64MMFR0_EL1.TGran4, PARange). Of 52 bits the
/// map reaches 48.
pub(crate) fn output() -> Option<Output> {
    let features = register!("id_aa64mmfr0_el1");
    if features >> 28 & 0xf == 0xf {
        return None;
    }
    let number = (features & 0xf).min(5);
    let bits = match number {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        _ => 48,
    };
    Some(Output { bits, number })
}

/// Bytes of the smallest line of a data cache (CTR_EL0.DminLine).
pub(crate) fn cache_line() -> u64 {
    4 << (register!("ctr_el0") >> 16 & 0xf)
}

/// Whether it has the instructions of SHA-256: ID_AA64ISAR0_EL1.SHA2 (Arm ARM, D19.2). Unlike the
/// loader, who asks before the crash, this asks the processor the program runs on.
pub(crate) fn has_sha() -> bool {
    register!("id_aa64isar0_el1") >> 12 & 0xf != 0
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
