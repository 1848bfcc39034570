//! Copying and filling memory named by physical address, which the loader keeps below 4 GiB.
//!
//! Assembly, because backed up memory begins at address 0, which no Rust pointer may. The direction
//! flag is clear by the calling convention. ESI is the compiler's own, so that it is exchanged and not asked for.

use core::arch::asm;

/// Copies `len` bytes from `from` to `to`: whole words, then the rest.
///
/// # Safety
/// Both ranges are disjoint memory below 4 GiB; nothing else refers to the destination.
pub(crate) unsafe fn copy(from: u64, to: u64, len: u64) {
    let len = len as u32;
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "xchg esi, {from}",
            "rep movsd",
            "mov ecx, {rest}",
            "rep movsb",
            "mov esi, {from}",
            from = inout(reg) from as u32 => _,
            rest = in(reg) len % 4,
            inout("ecx") len / 4 => _,
            inout("edi") to as u32 => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills `len` bytes at `to` with zeros.
///
/// # Safety
/// The range is memory below 4 GiB and nothing else refers to it.
pub(crate) unsafe fn clear(to: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "rep stosb",
            inout("ecx") len as u32 => _,
            inout("edi") to as u32 => _,
            in("al") 0_u8,
            options(nostack, preserves_flags),
        );
    }
}
