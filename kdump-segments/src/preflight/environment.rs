//! What the kernel's verdict depends on besides the load itself.

use kdump_elf::{Arch, PhysRange};

use super::ControlPages;
use crate::{Error, Machine, MemoryKind, RangeSet};

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
    /// All RAM, which the identity map of the next kernel covers.
    pub ram: RangeSet,
    /// What that map may cover besides: firmware tables and persistent memory.
    pub mapped_tables: RangeSet,
    /// Whether the kernel runs with page tables of five levels (x86_64).
    pub five_levels: Option<bool>,
    /// Whether the CPU maps 1 GiB pages.
    pub gib_pages: Option<bool>,
    /// How this kernel takes its control pages.
    pub control_pages: ControlPages,
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
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of_machine(machine: &Machine) -> Result<Self, Error> {
        let hotplug = machine.kexec.elfcorehdr_size.is_some();
        Ok(Self {
            arch: machine.arch,
            page_size: machine.page_size,
            crash_region: machine.load_region(),
            total_ram: None,
            ram: machine.ram()?,
            mapped_tables: mapped_tables(machine)?,
            five_levels: machine.five_levels,
            gib_pages: machine.gib_pages,
            control_pages: ControlPages::default(),
            update_elfcorehdr: Some(hotplug),
            hotplug_support: if hotplug { None } else { Some(false) },
            capable: None,
            load_disabled: None,
            load_limit: None,
            locked_down: None,
        })
    }
}

/// What the next kernel must find mapped though it is no RAM.
fn mapped_tables(machine: &Machine) -> Result<RangeSet, Error> {
    let kinds = [MemoryKind::Acpi, MemoryKind::Nvs, MemoryKind::Pmem, MemoryKind::Pram];
    let efi = machine.efi.as_ref().and_then(|efi| PhysRange::from_len(efi.config_table, 1).ok());
    RangeSet::from_ranges(kinds.into_iter().flat_map(|kind| machine.memory.of_kind(kind)).chain(efi))
}
