//! The processor: its I/O ports, and ways to stop.
//!
//! What it can do is not asked but told by the loader: CPUID is an exception in a guest with
//! encrypted state (#VC of SEV-ES and SEV-SNP, #VE of TDX), and an exception is the end here.

use core::arch::asm;

/// Reads a byte from an I/O port.
pub(crate) fn inb(port: u16) -> u8 {
    let value: u8;
    // SAFETY: reads no memory; ports are reached only in ring 0, where only this program is.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags));
    }
    value
}

/// Writes a byte to an I/O port.
pub(crate) fn outb(port: u16, value: u8) {
    // SAFETY: as for `inb`; the devices written to are a UART and the reset registers.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags));
    }
}

/// Stops for ever.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: interrupts stay off, so that only an NMI, INIT or SMI wakes the processor.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Resets the machine, from the cleanest way to the surest.
pub(crate) fn reset() -> ! {
    // The reset control register of Intel and AMD chipsets: system reset, then also the CPU.
    outb(0xcf9, 0x02);
    outb(0xcf9, 0x06);
    wait();
    // The reset line of the 8042 keyboard controller, once it accepts a command.
    for _ in 0..0x10000 {
        if inb(0x64) & 0x02 == 0 {
            break;
        }
    }
    outb(0x64, 0xfe);
    wait();
    // A triple fault: an exception without an interrupt descriptor table.
    let no_table = [0_u8; 10];
    // SAFETY: nothing follows.
    unsafe {
        asm!("lidt [{}]", "ud2", in(reg) &raw const no_table, options(noreturn));
    }
}

/// Gives a reset time to happen; each read of a legacy port takes about a microsecond.
fn wait() {
    for _ in 0..100_000 {
        inb(0x80);
    }
}
