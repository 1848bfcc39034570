//! What the loader writes into the purgatory, under the symbol names kexec-tools gave them, so
//! that either loader can patch either program.
//!
//! Each variable is written in the loaded object, unseen by the compiler, hence read volatile;
//! each has a section of its own that is not .bss, because a loader refuses to write there.

use core::arch::asm;

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

symbols! {
    /// What the arm64 kernel is entered at, and its device tree, which goes into x0.
    #[cfg(target_arch = "aarch64")]
    "arm64_kernel_entry" ARM64_KERNEL_ENTRY: u64 = 0;
    #[cfg(target_arch = "aarch64")]
    "arm64_dtb_addr" ARM64_DTB_ADDR: u64 = 0;
    /// Address of the registers of a PL011; 0 for none.
    #[cfg(target_arch = "aarch64")]
    "arm64_sink" ARM64_SINK: u64 = 0;
    /// rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip; the 32-bit entry serves while rip is 0.
    #[cfg(target_arch = "x86_64")]
    "entry64_regs" ENTRY64_REGS: [u64; 17] = [0; 17];
    /// eax ebx ecx edx esi edi esp ebp eip.
    #[cfg(target_arch = "x86_64")]
    "entry32_regs" ENTRY32_REGS: [u32; 9] = [0; 9];
    /// What to hash, in this order; a length of 0 is an unused row.
    "sha256_regions" SHA256_REGIONS: [Region; REGIONS] = [Region { start: 0, len: 0 }; REGIONS];
    /// The digest that is right; words so that it is read in four accesses.
    "sha256_digest" SHA256_DIGEST: [u64; 4] = [0; 4];
    /// Not 0: hash nothing.
    "skip_checks" SKIP_CHECKS: u32 = 0;
    /// Not 0: every CPU has the SHA instructions, and SSSE3 and SSE4.1 with them. A loader that
    /// does not know this symbol leaves the portable code, which runs everywhere.
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
    /// Not 0: say what happens on a serial port.
    #[cfg(target_arch = "x86_64")]
    "console_serial" CONSOLE_SERIAL: u8 = 0;
    /// First I/O port of a 16550.
    #[cfg(target_arch = "x86_64")]
    "serial_base" SERIAL_BASE: u16 = 0x3f8;
    /// Line speed to program; 0 leaves the port as it is.
    #[cfg(target_arch = "x86_64")]
    "serial_baud" SERIAL_BAUD: u32 = 0;
    /// The next three are without effect; kexec-tools loads no object that lacks them.
    #[cfg(target_arch = "x86_64")]
    "console_vga" CONSOLE_VGA: u8 = 0;
    #[cfg(target_arch = "x86_64")]
    "reset_vga" RESET_VGA: u8 = 0;
    #[cfg(target_arch = "x86_64")]
    "cmdline_end" CMDLINE_END: u64 = 0;
}

/// The address of one of the symbols, formed relative to RIP (PC). Compiled code would fetch the
/// address of an exported variable from a global offset table, which no loader of a purgatory
/// builds.
macro_rules! address {
    ($name:ident) => {{
        let address: usize;
        // SAFETY: computes an address.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "adr {}, {}",
                out(reg) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        // SAFETY: computes an address.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "lea {}, [rip + {}]",
                out(reg) address,
                sym $name,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        typed(&raw const $name, address)
    }};
}

/// An address with the type of the variable that lies there.
fn typed<T>(_variable: *const T, address: usize) -> *const T {
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

/// Address of the console's registers.
#[cfg(target_arch = "aarch64")]
pub(crate) fn serial() -> Option<u64> {
    let sink = read!(ARM64_SINK);
    (sink != 0).then_some(sink)
}

/// First port and line speed of the console.
#[cfg(target_arch = "x86_64")]
pub(crate) fn serial() -> Option<(u16, u32)> {
    (read!(CONSOLE_SERIAL) != 0).then(|| (read!(SERIAL_BASE), read!(SERIAL_BAUD)))
}
