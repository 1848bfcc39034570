//! What a plan asks of a purgatory, the small program that runs between two kernels.
//!
//! The planner neither contains nor links machine code: whoever owns a purgatory implements
//! [`Purgatory`] and the planner tells it where it will lie and what to hand over.

use alloc::boxed::Box;
use alloc::vec::Vec;

use kdump_elf::Arch;

/// Why a purgatory could not be linked; kept opaque because any implementation may be used.
pub type PurgatoryError = Box<dyn core::error::Error + Send + Sync + 'static>;

/// A program that verifies the loaded segments and enters the capture kernel.
pub trait Purgatory {
    /// The architecture the program runs on.
    fn arch(&self) -> Arch;

    /// Bytes of memory it occupies once loaded, zero-filled tail included.
    fn memsz(&self) -> u64;

    /// Alignment in bytes its load address needs; a power of two.
    fn align(&self) -> u64;

    /// Links the program for load address `base` and patches `handover` into it.
    ///
    /// # Errors
    /// Fails when a relocation does not reach, a symbol is missing or has the wrong size, or
    /// the hand-over asks for something this purgatory cannot do.
    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError>;
}

/// A purgatory ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedPurgatory {
    /// The bytes to load at the base address; the rest up to `memsz` is zero.
    pub bytes: Vec<u8>,
    /// Physical address of its first instruction.
    pub entry: u64,
}

/// Everything the purgatory must know to do its work. What a program cannot do of it, it refuses: a
/// field that is newer than the program has a default that asks for nothing.
///
/// ```
/// use kdump_segments::purgatory::{Entry, Handover};
/// let handover = Handover::new(&[], Entry::Arm64 { kernel: 0x4020_0000, dtb: 0x4800_0000 }).caches(false);
/// assert!(handover.backup.is_none() && handover.serial.is_none());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handover<'a> {
    /// What to verify, in the order it is hashed. Every byte in memory at
    /// `start .. start + bytes.len()` must equal `bytes`.
    pub regions: &'a [DigestRegion<'a>],
    /// Where to go when everything is right.
    pub entry: Entry,
    /// Low memory to save before the capture kernel overwrites it.
    pub backup: Option<BackupCopy>,
    /// Where to say what happens; silent without.
    pub serial: Option<Serial>,
    /// Whether every CPU has SHA instructions: on x86 with SSSE3 and SSE4.1, on arm64 those of
    /// SHA-256. The x86 program does not ask the CPU itself: CPUID is an exception in a guest with
    /// encrypted state.
    pub sha_instructions: bool,
    /// Whether the digest may be computed with MMU and caches on, where the program is entered with
    /// both off: on arm64. Elsewhere they are on, and nothing else can be asked for.
    pub caches: bool,
    /// What to do when the digest does not match.
    pub on_mismatch: MismatchAction,
}

impl<'a> Handover<'a> {
    /// Verifies `regions` and enters the kernel, silently; without SHA instructions, with caches, and
    /// stops for ever when the digest does not match.
    #[must_use]
    pub const fn new(regions: &'a [DigestRegion<'a>], entry: Entry) -> Self {
        Self {
            regions,
            entry,
            backup: None,
            serial: None,
            sha_instructions: false,
            caches: true,
            on_mismatch: MismatchAction::Halt,
        }
    }
}

setters! {
    Handover<'a> {
        regions: &'a [DigestRegion<'a>],
        entry: Entry,
        backup: Option<BackupCopy>,
        serial: Option<Serial>,
        sha_instructions: bool,
        caches: bool,
        on_mismatch: MismatchAction,
    }
}

/// One stretch of loaded memory covered by the digest.
#[derive(Clone, Copy, Debug)]
pub struct DigestRegion<'a> {
    /// Physical address of the first byte.
    pub start: u64,
    /// The content it must have.
    pub bytes: &'a [u8],
}

/// How the capture kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// x86 64-bit boot protocol: long mode, identity map, `rsi` = boot_params
    /// (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
    X86Bits64 {
        /// Physical address of the first instruction (kernel + 0x200).
        rip: u64,
        /// Physical address of boot_params.
        boot_params: u64,
    },
    /// x86 32-bit boot protocol: protected mode, paging off, `esi` = boot_params
    /// (Documentation/arch/x86/boot.rst, "32-bit Boot Protocol").
    X86Bits32 {
        /// Physical address of the first instruction.
        eip: u32,
        /// Physical address of boot_params.
        boot_params: u32,
    },
    /// arm64 boot protocol: MMU and data cache off, `x0` = device tree
    /// (Documentation/arch/arm64/booting.rst).
    Arm64 {
        /// Physical address of the kernel's first byte, which is an instruction.
        kernel: u64,
        /// Physical address of the device tree.
        dtb: u64,
    },
    /// loongarch64: `a0` to `a2` as the dead kernel left them, who found the command line by itself
    /// (Documentation/arch/loongarch/booting.rst).
    LoongArch64 {
        /// Physical address of the kernel's first instruction.
        kernel: u64,
    },
    /// riscv64 boot protocol: no translation, `a0` = hart, `a1` = device tree
    /// (Documentation/arch/riscv/boot.rst).
    Riscv64 {
        /// Physical address of the kernel's first byte, which is an instruction.
        kernel: u64,
        /// Physical address of the device tree.
        dtb: u64,
    },
    /// Booting Linux on ppc64 without Open Firmware: real mode, `r3` = device tree, `r4` = kernel
    /// (Documentation/arch/powerpc/booting.rst, entry b). The region that begins at `kernel` must be
    /// among those that are verified: its first bytes are where other processors wait meanwhile.
    Ppc64 {
        /// Physical address of the kernel's first byte, which is an instruction.
        kernel: u64,
        /// Physical address of the device tree.
        dtb: u64,
    },
}

/// A copy the purgatory makes after the digest was found right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupCopy {
    /// Physical address copied from.
    pub source: u64,
    /// Bytes copied.
    pub size: u64,
    /// Physical address copied to.
    pub destination: u64,
}

/// A serial port, and whether it is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial {
    /// Where its registers are.
    pub port: SerialPort,
    /// Line speed to program; `None` leaves the port as the dead kernel set it.
    pub baud: Option<u32>,
}

/// Where the registers of a serial port are; of which kind it is, goes with the architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SerialPort {
    /// First I/O port of a 16550, 0x3f8 for COM1.
    Port(u16),
    /// Physical address of its first register; on ppc64 the unit address of a virtual terminal, `reg` of
    /// its node in the device tree.
    Mmio(u64),
}

/// What the purgatory does when the loaded image was damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MismatchAction {
    /// Stop for ever, so that nothing is destroyed and the state can be examined.
    #[default]
    Halt,
    /// Reset the machine, so that it comes back without a dump.
    Reset,
    /// Enter the capture kernel all the same.
    Continue,
}
