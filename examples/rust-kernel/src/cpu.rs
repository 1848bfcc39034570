//! Instructions that Rust has no words for.

use core::arch::asm;

/// Model specific register: base of the GS segment.
pub(crate) const MSR_GS_BASE: u32 = 0xc000_0101;

/// Reads a byte from an I/O port.
pub(crate) fn inb(port: u16) -> u8 {
    let value;
    // SAFETY: reads no memory. What a port does is the caller's knowledge of the PC.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes a byte to an I/O port.
pub(crate) fn outb(port: u16, value: u8) {
    // SAFETY: as for `inb`; no device of this kernel does DMA.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

/// Writes all of `bytes` to one I/O port, in words of 32 bits; what does not fill one is left out.
pub(crate) fn out_words(port: u16, bytes: &[u8]) {
    // SAFETY: reads only within `bytes`.
    unsafe {
        asm!("rep outsd", in("dx") port, inout("rsi") bytes.as_ptr() => _,
             inout("rcx") bytes.len() / 4 => _, options(readonly, nostack, preserves_flags));
    }
}

/// Writes all of `bytes` to one I/O port, byte by byte.
pub(crate) fn out_bytes(port: u16, bytes: &[u8]) {
    // SAFETY: reads only within `bytes`.
    unsafe {
        asm!("rep outsb", in("dx") port, inout("rsi") bytes.as_ptr() => _,
             inout("rcx") bytes.len() => _, options(readonly, nostack, preserves_flags));
    }
}

/// Writes a model specific register.
///
/// # Safety
/// The register exists and the value does not break what runs on it.
pub(crate) unsafe fn wrmsr(register: u32, value: u64) {
    let (low, high) = (value as u32, (value >> 32) as u32);
    // SAFETY: passed on to the caller.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack, preserves_flags));
    }
}

/// Reads a model specific register.
///
/// # Safety
/// The register exists.
pub(crate) unsafe fn rdmsr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: passed on to the caller; reading changes nothing.
    unsafe { asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack)) };
    u64::from(high) << 32 | u64::from(low)
}

/// Base of the GS segment.
pub(crate) fn gs_base() -> u64 {
    // SAFETY: it exists wherever long mode does.
    unsafe { rdmsr(MSR_GS_BASE) }
}

/// The address the last page fault was about.
pub(crate) fn cr2() -> u64 {
    let value;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// The root of the page tables in use.
pub(crate) fn cr3() -> u64 {
    let value;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Takes other page tables.
///
/// # Safety
/// They show code, stack and data where the old ones do.
pub(crate) unsafe fn set_cr3(root: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Forgets all cached translations.
pub(crate) fn flush_tlb() {
    // SAFETY: loads CR3 with what it holds.
    unsafe { asm!("mov {0}, cr3", "mov cr3, {0}", out(reg) _, options(nostack, preserves_flags)) };
}

/// Waits about that many microseconds: each read of this legacy port takes one.
pub(crate) fn delay(microseconds: u32) {
    for _ in 0..microseconds {
        inb(0x80);
    }
}

/// Raises the exception which a panic ends in.
pub(crate) fn undefined() -> ! {
    // SAFETY: does not return.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Stops this CPU for ever.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: touches no memory; only an NMI ends the wait.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Resets the machine by the reset control register of PC chipsets.
pub(crate) fn reset() -> ! {
    outb(0xcf9, 2);
    outb(0xcf9, 6);
    halt()
}
