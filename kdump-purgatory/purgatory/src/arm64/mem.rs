//! Copying and filling memory named by physical address, a byte at a time.
//!
//! Assembly, because compiled loops become calls of memcpy. Memory is of type Device while the MMU
//! is off, where an access must be aligned to its size; what is copied here is less than a block.

use core::arch::asm;

/// Copies `len` bytes from `from` to `to`.
///
/// # Safety
/// Both ranges are readable or writable and disjoint; nothing else refers to the destination.
pub(crate) unsafe fn copy(from: u64, to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "cbz {len}, 3f",
            "2:",
            "ldrb {byte:w}, [{from}], #1",
            "strb {byte:w}, [{to}], #1",
            "subs {len}, {len}, #1",
            "b.ne 2b",
            "3:",
            len = inout(reg) len => _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            byte = out(reg) _,
            options(nostack),
        );
    }
}

/// Fills `len` bytes at `to` with zeros.
///
/// # Safety
/// The range is writable and nothing else refers to it.
pub(crate) unsafe fn clear(to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "cbz {len}, 3f",
            "2:",
            "strb wzr, [{to}], #1",
            "subs {len}, {len}, #1",
            "b.ne 2b",
            "3:",
            len = inout(reg) len => _,
            to = inout(reg) to => _,
            options(nostack),
        );
    }
}
