//! Copying and filling memory named by physical address, a byte at a time.
//!
//! Assembly, because compiled loops become calls of memcpy. What is copied here is less than a block,
//! and once 64 KiB.

use core::arch::asm;

/// Copies `len` bytes from `from` to `to`.
///
/// # Safety
/// Both ranges are readable or writable and disjoint; nothing else refers to the destination.
pub(crate) unsafe fn copy(from: u64, to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "cmpdi {len}, 0",
            "beq 3f",
            "2:",
            "lbz {byte}, 0({from})",
            "stb {byte}, 0({to})",
            "addi {from}, {from}, 1",
            "addi {to}, {to}, 1",
            "addic. {len}, {len}, -1",
            "bne 2b",
            "3:",
            len = inout(reg_nonzero) len => _,
            from = inout(reg_nonzero) from => _,
            to = inout(reg_nonzero) to => _,
            byte = out(reg) _,
            out("cr0") _,
            out("xer") _,
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
            "cmpdi {len}, 0",
            "beq 3f",
            "li {zero}, 0",
            "2:",
            "stb {zero}, 0({to})",
            "addi {to}, {to}, 1",
            "addic. {len}, {len}, -1",
            "bne 2b",
            "3:",
            len = inout(reg_nonzero) len => _,
            to = inout(reg_nonzero) to => _,
            zero = out(reg) _,
            out("cr0") _,
            out("xer") _,
            options(nostack),
        );
    }
}
