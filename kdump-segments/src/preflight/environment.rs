//! What the kernel's verdict depends on besides the load itself.

use kdump_elf::{Arch, PhysRange};

use super::ControlPages;
use crate::{Error, Machine, MemoryKind, RangeSet};

/// The state of the running kernel. `None` where it is not known.
///
/// [`Environment::new`] knows nothing but the kernel and its memory, [`Environment::of_machine`] what files
/// show; the fields are set by methods of their names, or directly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// A kernel with this memory, of which nothing else is known.
    #[must_use]
    pub fn new(arch: Arch, page_size: u64, ram: RangeSet) -> Self {
        Self {
            arch,
            page_size,
            crash_region: None,
            total_ram: None,
            ram,
            mapped_tables: RangeSet::new(),
            five_levels: None,
            gib_pages: None,
            control_pages: ControlPages::default(),
            update_elfcorehdr: None,
            hotplug_support: None,
            capable: None,
            load_disabled: None,
            load_limit: None,
            locked_down: None,
        }
    }

    /// Sets the region crash loads must lie in.
    #[must_use]
    pub fn crash_region(self, crash_region: Option<PhysRange>) -> Self {
        Self { crash_region, ..self }
    }

    /// Sets the bytes of RAM the kernel manages.
    #[must_use]
    pub fn total_ram(self, total_ram: Option<u64>) -> Self {
        Self { total_ram, ..self }
    }

    /// Sets what the identity map may cover besides RAM.
    #[must_use]
    pub fn mapped_tables(self, mapped_tables: RangeSet) -> Self {
        Self { mapped_tables, ..self }
    }

    /// Sets whether the kernel runs with page tables of five levels.
    #[must_use]
    pub fn five_levels(self, five_levels: Option<bool>) -> Self {
        Self { five_levels, ..self }
    }

    /// Sets whether the CPU maps 1 GiB pages.
    #[must_use]
    pub fn gib_pages(self, gib_pages: Option<bool>) -> Self {
        Self { gib_pages, ..self }
    }

    /// Sets how the kernel takes its control pages.
    #[must_use]
    pub fn control_pages(self, control_pages: ControlPages) -> Self {
        Self { control_pages, ..self }
    }

    /// Sets whether it knows KEXEC_UPDATE_ELFCOREHDR.
    #[must_use]
    pub fn update_elfcorehdr(self, update_elfcorehdr: Option<bool>) -> Self {
        Self { update_elfcorehdr, ..self }
    }

    /// Sets whether it knows KEXEC_CRASH_HOTPLUG_SUPPORT.
    #[must_use]
    pub fn hotplug_support(self, hotplug_support: Option<bool>) -> Self {
        Self { hotplug_support, ..self }
    }

    /// Sets whether the caller has CAP_SYS_BOOT.
    #[must_use]
    pub fn capable(self, capable: Option<bool>) -> Self {
        Self { capable, ..self }
    }

    /// Sets whether kernel.kexec_load_disabled is set.
    #[must_use]
    pub fn load_disabled(self, load_disabled: Option<bool>) -> Self {
        Self { load_disabled, ..self }
    }

    /// Sets kernel.kexec_load_limit_panic; -1 is no limit.
    #[must_use]
    pub fn load_limit(self, load_limit: Option<i64>) -> Self {
        Self { load_limit, ..self }
    }

    /// Sets whether lockdown forbids unsigned images.
    #[must_use]
    pub fn locked_down(self, locked_down: Option<bool>) -> Self {
        Self { locked_down, ..self }
    }

    /// What the description of a machine tells; the caller's rights are not part of it.
    ///
    /// A kernel that shows crash_elfcorehdr_size knows KEXEC_UPDATE_ELFCOREHDR: both came with
    /// "crash: hotplug support for kexec_load()" in Linux 6.6.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of_machine(machine: &Machine) -> Result<Self, Error> {
        let hotplug = machine.kexec.elfcorehdr_size.is_some();
        Ok(Self::new(machine.arch, machine.page_size, machine.ram()?)
            .crash_region(machine.load_region())
            .mapped_tables(mapped_tables(machine)?)
            .five_levels(machine.five_levels)
            .gib_pages(machine.gib_pages)
            .update_elfcorehdr(Some(hotplug))
            .hotplug_support(if hotplug { None } else { Some(false) }))
    }
}

/// What the next kernel must find mapped though it is no RAM.
fn mapped_tables(machine: &Machine) -> Result<RangeSet, Error> {
    let kinds = [MemoryKind::Acpi, MemoryKind::Nvs, MemoryKind::Pmem, MemoryKind::Pram];
    let efi = machine.efi.as_ref().and_then(|efi| PhysRange::from_len(efi.config_table, 1).ok());
    RangeSet::from_ranges(kinds.into_iter().flat_map(|kind| machine.memory.of_kind(kind)).chain(efi))
}
