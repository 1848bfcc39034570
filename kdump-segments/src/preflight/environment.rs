//! What the kernel's verdict depends on besides the load itself.

use kdump_elf::{Arch, PhysRange};

use crate::{Machine, MemoryKind};

const GIB: u64 = 1 << 30;
/// Control code, top levels of the identity map and the VMCOREINFO copy; measured on x86_64
/// Linux 6.1 and 6.12, where five pages are too few and six suffice.
const BASE_CONTROL_PAGES: u64 = 6;

/// The state of the running kernel. `None` where it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The running kernel's architecture.
    pub arch: Arch,
    /// Bytes of its pages.
    pub page_size: u64,
    /// The region crash loads must lie in: the highest one.
    pub crash_region: Option<PhysRange>,
    /// Bytes of RAM the kernel manages (`MemTotal`).
    pub total_ram: Option<u64>,
    /// First address behind all RAM, which the identity map of the next kernel covers.
    pub ram_end: u64,
    /// Whether the CPU maps 1 GiB pages (`pdpe1gb` in /proc/cpuinfo).
    pub gib_pages: Option<bool>,
    /// Whether the kernel knows KEXEC_UPDATE_ELFCOREHDR (Linux 6.6).
    pub update_elfcorehdr: Option<bool>,
    /// Whether the kernel knows KEXEC_CRASH_HOTPLUG_SUPPORT (Linux 6.10).
    pub hotplug_support: Option<bool>,
    /// Whether the caller has CAP_SYS_BOOT.
    pub capable: Option<bool>,
    /// Whether the sysctl kernel.kexec_load_disabled is set.
    pub load_disabled: Option<bool>,
    /// The sysctl kernel.kexec_load_limit_panic; -1 is no limit.
    pub load_limit: Option<i64>,
    /// Whether lockdown forbids loading unsigned images.
    pub locked_down: Option<bool>,
}

impl Environment {
    /// What the description of a machine tells; the caller's rights are not part of it.
    ///
    /// A kernel that shows crash_elfcorehdr_size knows KEXEC_UPDATE_ELFCOREHDR: both came with
    /// "crash: hotplug support for kexec_load()" in Linux 6.6.
    #[must_use]
    pub fn of_machine(machine: &Machine) -> Self {
        let hotplug = machine.kexec.elfcorehdr_size.is_some();
        Self {
            arch: machine.arch,
            page_size: machine.page_size,
            crash_region: machine.load_region(),
            total_ram: None,
            ram_end: ram_end(machine),
            gib_pages: None,
            update_elfcorehdr: Some(hotplug),
            hotplug_support: if hotplug { None } else { Some(false) },
            capable: None,
            load_disabled: None,
            load_limit: None,
            locked_down: None,
        }
    }
}

/// First address behind all RAM.
pub(crate) fn ram_end(machine: &Machine) -> u64 {
    machine.memory.of_kind(MemoryKind::Ram).next_back().map_or(0, PhysRange::end)
}

/// Pages the kernel takes from the crash region for itself when RAM ends at `ram_end`.
///
/// Without 1 GiB pages each GiB mapped takes one more page, and each 512 GiB another.
#[must_use]
pub fn control_pages(ram_end: u64, gib_pages: bool) -> u64 {
    let upper = ram_end.div_ceil(GIB << 9);
    let lower = if gib_pages { 0 } else { ram_end.div_ceil(GIB) };
    BASE_CONTROL_PAGES.saturating_add(upper.saturating_sub(1)).saturating_add(lower)
}
