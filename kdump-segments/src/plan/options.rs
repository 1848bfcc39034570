//! What a user can ask of a plan.

use alloc::string::String;

use kdump_elf::Class;

use crate::purgatory::{MismatchAction, Serial};

/// Whether low memory is saved to a backup region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
///
/// ```
/// use kdump_segments::plan::PlanOptions;
/// let options = PlanOptions::default().cmdline("console=ttyS0".into()).mem_max(Some(0x3fff_ffff));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// The class of the core header; without, the narrowest of the architecture that holds every
    /// address.
    pub elf_class: Option<Class>,
    /// Entropy for the capture kernel; the same seed gives the same plan, byte for byte.
    pub rng_seed: Option<[u8; 32]>,
    /// Where the purgatory says what happens.
    pub serial: Option<Serial>,
    /// What the purgatory does when the digest does not match.
    pub on_mismatch: MismatchAction,
    /// Let the purgatory compute its digest with MMU and caches on (arm64), which takes a fraction of the
    /// time. True unless asked otherwise; elsewhere it must be.
    pub purgatory_caches: bool,
}

impl PlanOptions {
    /// What [`PlanOptions::default`] gives.
    pub(super) const DEFAULT: Self = Self {
        cmdline: String::new(),
        reuse_cmdline: false,
        backup: BackupPolicy::Auto,
        entry_32bit: false,
        memmap_cmdline: false,
        no_efi: false,
        hotplug: false,
        mem_min: None,
        mem_max: None,
        elf_class: None,
        rng_seed: None,
        serial: None,
        on_mismatch: MismatchAction::Halt,
        purgatory_caches: true,
    };
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

setters! {
    PlanOptions {
        cmdline: String,
        reuse_cmdline: bool,
        backup: BackupPolicy,
        entry_32bit: bool,
        memmap_cmdline: bool,
        no_efi: bool,
        hotplug: bool,
        mem_min: Option<u64>,
        mem_max: Option<u64>,
        elf_class: Option<Class>,
        rng_seed: Option<[u8; 32]>,
        serial: Option<Serial>,
        on_mismatch: MismatchAction,
        purgatory_caches: bool,
    }
}
