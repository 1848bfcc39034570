//! What only the purgatory of arm64 is told.

symbols! {
    /// What the kernel is entered at.
    "arm64_kernel_entry" KERNEL_ENTRY: u64 = 0;
    /// Its device tree, which goes into x0.
    "arm64_dtb_addr" DTB_ADDR: u64 = 0;
    /// Address of the registers of a PL011; 0 for none.
    "arm64_sink" SINK: u64 = 0;
    /// 0: compute the digest with the MMU and the caches off, as the program is entered. A loader
    /// that does not know this symbol leaves them to be used.
    "arm64_caches" CACHES: u32 = 1;
}

/// Whether the digest may be computed with the MMU and the caches on.
pub(crate) fn caches() -> bool {
    read!(CACHES) != 0
}

/// Address of the console's registers.
pub(crate) fn serial() -> Option<u64> {
    let sink = read!(SINK);
    (sink != 0).then_some(sink)
}
