//! What only the purgatory of x86_64 is told.

symbols! {
    /// rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip; the 32-bit entry serves while rip is 0.
    "entry64_regs" ENTRY64_REGS: [u64; 17] = [0; 17];
    /// eax ebx ecx edx esi edi esp ebp eip.
    "entry32_regs" ENTRY32_REGS: [u32; 9] = [0; 9];
    /// Not 0: say what happens on a serial port.
    "console_serial" CONSOLE_SERIAL: u8 = 0;
    /// First I/O port of a 16550.
    "serial_base" SERIAL_BASE: u16 = 0x3f8;
    /// Line speed to program; 0 leaves the port as it is.
    "serial_baud" SERIAL_BAUD: u32 = 0;
    /// The next three are without effect; kexec-tools loads no object that lacks them.
    "console_vga" CONSOLE_VGA: u8 = 0;
    "reset_vga" RESET_VGA: u8 = 0;
    "cmdline_end" CMDLINE_END: u64 = 0;
}

/// First port and line speed of the console.
pub(crate) fn serial() -> Option<(u16, u32)> {
    (read!(CONSOLE_SERIAL) != 0).then(|| (read!(SERIAL_BASE), read!(SERIAL_BAUD)))
}
