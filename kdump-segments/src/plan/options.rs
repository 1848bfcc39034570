//! What a user can ask of a plan.

use alloc::string::String;

use crate::purgatory::{MismatchAction, Serial};

/// Whether low memory is saved to a backup region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupPolicy {
    /// Only where the running kernel may keep something there.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never; low memory is not dumped then.
    Never,
}

/// Options of a plan; the default is what most machines need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// The capture kernel's command line, before the parameters a plan adds.
    pub cmdline: String,
    /// Begin with the running kernel's command line, without what only made sense there.
    pub reuse_cmdline: bool,
    /// Whether low memory is saved.
    pub backup: BackupPolicy,
    /// Enter a bzImage in 32-bit mode even when it has a 64-bit entry.
    pub entry_32bit: bool,
    /// Give the firmware's memory map and describe usable memory on the command line.
    pub memmap_cmdline: bool,
    /// Do not hand EFI over.
    pub no_efi: bool,
    /// Leave room for the kernel to rewrite the elfcorehdr on hot-plug.
    pub hotplug: bool,
    /// Lowest address to use.
    pub mem_min: Option<u64>,
    /// Highest address to use, inclusive.
    pub mem_max: Option<u64>,
    /// Write an ELF32 core header.
    pub elf32: bool,
    /// Entropy for the capture kernel; the same seed gives the same plan, byte for byte.
    pub rng_seed: Option<[u8; 32]>,
    /// Where the purgatory says what happens.
    pub serial: Option<Serial>,
    /// What the purgatory does when the digest does not match.
    pub on_mismatch: MismatchAction,
}
