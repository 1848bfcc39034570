//! Copying and filling memory named by physical address, a byte at a time.
//!
//! Assembly, because compiled loops become calls of memcpy. What is copied here is less than a block.

use core::arch::asm;

/// Copies `len` bytes from `from` to `to`.
///
/// # Safety
/// Both ranges are readable or writable and disjoint; nothing else refers to the destination.
pub(crate) unsafe fn copy(from: u64, to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "beqz {len}, 3f",
            "2:",
            "lb {byte}, 0({from})",
            "sb {byte}, 0({to})",
            "addi {from}, {from}, 1",
            "addi {to}, {to}, 1",
            "addi {len}, {len}, -1",
            "bnez {len}, 2b",
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
            "beqz {len}, 3f",
            "2:",
            "sb zero, 0({to})",
            "addi {to}, {to}, 1",
            "addi {len}, {len}, -1",
            "bnez {len}, 2b",
            "3:",
            len = inout(reg) len => _,
            to = inout(reg) to => _,
            options(nostack),
        );
    }
}
