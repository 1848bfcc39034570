//! What the loader writes into the purgatory, under the symbol names kexec-tools gave them, so
//! that either loader can patch either program. `ARCH/handover.rs` has what only one architecture
//! is told: how its kernel is entered, and where its console is.
//!
//! Each variable is written in the loaded object, unseen by the compiler, hence read volatile;
//! each has a section of its own that is not .bss, because a loader refuses to write there.

use crate::digest::Region;
use crate::sha256::Digest;

/// Rows of `sha256_regions`.
pub(crate) const REGIONS: usize = 16;

macro_rules! symbols {
    ($($(#[$doc:meta])* $symbol:literal $name:ident: $type:ty = $value:expr;)*) => {$(
        $(#[$doc])*
        #[unsafe(export_name = $symbol)]
        #[unsafe(link_section = ".data.handover")]
        static mut $name: $type = $value;
    )*};
}

/// The address of one of the symbols, formed relative to RIP (PC, on ppc64 the TOC pointer), on i386 as it is linked. Compiled
/// code would fetch the address of an exported variable from a global offset table, which no loader of
/// a purgatory builds.
macro_rules! address {
    ($name:ident) => {{
        let address: usize;
        // SAFETY: computes an address.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!(
                "adr {}, {}",
                out(reg) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        // SAFETY: computes an address.
        #[cfg(target_arch = "riscv64")]
        unsafe {
            core::arch::asm!(
                "lla {}, {}",
                out(reg) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        // SAFETY: computes an address.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            core::arch::asm!(
                "lea {}, [rip + {}]",
                out(reg) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        // SAFETY: computes an address.
        #[cfg(target_arch = "x86")]
        unsafe {
            core::arch::asm!(
                "mov {}, offset {}",
                out(reg) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        // SAFETY: computes an address.
        #[cfg(target_arch = "powerpc64")]
        unsafe {
            core::arch::asm!(
                "addis {0}, 2, {1}@toc@ha",
                "addi {0}, {0}, {1}@toc@l",
                out(reg_nonzero) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        $crate::handover::typed(&raw const $name, address)
    }};
}

/// An address with the type of the variable that lies there.
pub(crate) fn typed<T>(_variable: *const T, address: usize) -> *const T {
    address as *const T
}

/// Reads one of the symbols.
macro_rules! read {
    ($name:ident) => {{
        let address = address!($name);
        // SAFETY: a static of that type, which nothing writes while the purgatory runs.
        unsafe { address.read_volatile() }
    }};
}

#[cfg_attr(target_arch = "aarch64", path = "arm64/handover.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/handover.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "ppc64/handover.rs")]
#[cfg_attr(target_arch = "x86", path = "i386/handover.rs")]
#[cfg_attr(target_arch = "x86_64", path = "x86_64/handover.rs")]
mod arch;

#[cfg(target_arch = "aarch64")]
pub(crate) use arch::caches;
pub(crate) use arch::serial;

symbols! {
    /// What to hash, in this order; a length of 0 is an unused row.
    "sha256_regions" SHA256_REGIONS: [Region; REGIONS] = [Region { start: 0, len: 0 }; REGIONS];
    /// The digest that is right; words so that it is read in four accesses.
    "sha256_digest" SHA256_DIGEST: [u64; 4] = [0; 4];
    /// Not 0: hash nothing.
    "skip_checks" SKIP_CHECKS: u32 = 0;
    /// Not 0: every CPU has the SHA instructions, and SSSE3 and SSE4.1 with them. A loader that
    /// does not know this symbol leaves the portable code, which runs everywhere, and is all there is
    /// on i386.
    "sha_instructions" SHA_INSTRUCTIONS: u32 = 0;
    /// 0 halt, 1 reset, 2 continue; anything else halts.
    "mismatch_action" MISMATCH_ACTION: u32 = 0;
    /// Not 0: make the backup copy.
    "panic_kernel" PANIC_KERNEL: u8 = 0;
    /// Destination of the backup copy.
    "backup_start" BACKUP_START: u64 = 0;
    /// Source of the backup copy.
    "backup_src_start" BACKUP_SRC_START: u64 = 0;
    /// Bytes of the backup copy.
    "backup_src_size" BACKUP_SRC_SIZE: u64 = 0;
}

/// A copy of memory.
#[derive(Clone, Copy)]
pub(crate) struct Copy {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) len: u64,
}

/// What to do when the digest is wrong.
#[derive(Clone, Copy)]
pub(crate) enum MismatchAction {
    Halt,
    Reset,
    Continue,
}

pub(crate) fn skip_checks() -> bool {
    read!(SKIP_CHECKS) != 0
}

/// Whether the digest may use the SHA instructions.
pub(crate) fn sha_instructions() -> bool {
    read!(SHA_INSTRUCTIONS) != 0
}

pub(crate) fn mismatch_action() -> MismatchAction {
    match read!(MISMATCH_ACTION) {
        1 => MismatchAction::Reset,
        2 => MismatchAction::Continue,
        _ => MismatchAction::Halt,
    }
}

pub(crate) fn regions() -> *const Region {
    address!(SHA256_REGIONS).cast()
}

pub(crate) fn expected_digest() -> Digest {
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(read!(SHA256_DIGEST)) {
        *bytes = word.to_ne_bytes();
    }
    digest
}

pub(crate) fn backup() -> Option<Copy> {
    let copy = Copy { from: read!(BACKUP_SRC_START), to: read!(BACKUP_START), len: read!(BACKUP_SRC_SIZE) };
    (read!(PANIC_KERNEL) != 0 && copy.len != 0).then_some(copy)
}
