//! What only the purgatory of i386 is told.

symbols! {
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
