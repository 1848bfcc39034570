//! What only the purgatory of riscv64 is told.

symbols! {
    /// What the kernel is entered at.
    "riscv64_kernel_entry" KERNEL_ENTRY: u64 = 0;
    /// Its device tree, which goes into a1.
    "riscv64_dtb_addr" DTB_ADDR: u64 = 0;
    /// Address of the registers of a 16550, a byte each; 0 for none.
    "riscv64_sink" SINK: u64 = 0;
}

/// Address of the console's registers.
pub(crate) fn serial() -> Option<u64> {
    let sink = read!(SINK);
    (sink != 0).then_some(sink)
}
