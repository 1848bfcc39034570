//! Copying and filling memory named by physical address.
//!
//! Assembly for two reasons: backed up memory begins at address 0, which no Rust pointer may,
//! and compiled loops may become calls of memcpy through a global offset table, which no loader
//! of a purgatory builds. The direction flag is clear by the calling convention.

use core::arch::asm;

/// Copies `len` bytes from `from` to `to`: whole words, then the rest.
///
/// # Safety
/// Both ranges are mapped and disjoint; nothing else refers to the destination.
pub(crate) unsafe fn copy(from: u64, to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills `len` bytes at `to` with zeros.
///
/// # Safety
/// The range is mapped and nothing else refers to it.
pub(crate) unsafe fn clear(to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "rep stosb",
            inout("rcx") len => _,
            inout("rdi") to => _,
            in("al") 0_u8,
            options(nostack, preserves_flags),
        );
    }
}
