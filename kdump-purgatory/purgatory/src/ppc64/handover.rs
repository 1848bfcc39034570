//! What only the purgatory of ppc64le is told.

symbols! {
    /// What the kernel is entered at.
    "ppc64_kernel_entry" KERNEL_ENTRY: u64 = 0;
    /// Its device tree, which goes into r3.
    "ppc64_dtb_addr" DTB_ADDR: u64 = 0;
    /// Not 0: say what happens on a virtual terminal.
    "console_serial" CONSOLE_SERIAL: u8 = 0;
    /// Unit address of the terminal.
    "ppc64_terminal" TERMINAL: u32 = 0;
}

/// Unit address of the console.
pub(crate) fn serial() -> Option<u32> {
    (read!(CONSOLE_SERIAL) != 0).then(|| read!(TERMINAL))
}
