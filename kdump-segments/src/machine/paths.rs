//! The files a machine is described from, by their path under the root.

pub(crate) const IOMEM: &str = "proc/iomem";
pub(crate) const KCORE: &str = "proc/kcore";
/// Values read from kernel memory through /proc/kcore; only recorded machines have it.
pub(crate) const KCORE_VALUES: &str = "proc/kcore.values";
pub(crate) const KALLSYMS: &str = "proc/kallsyms";
/// What each CPU can do.
pub(crate) const CPUINFO: &str = "proc/cpuinfo";
/// The machine name of `uname(2)`, since Linux 6.1.
pub(crate) const ARCH: &str = "proc/sys/kernel/arch";

/// The flattened tree (Documentation/ABI/testing/sysfs-firmware-ofw), and the same tree as directories,
/// which is read where there is no flattened one.
pub(crate) const FDT: &str = "sys/firmware/fdt";
pub(crate) const DEVICE_TREE: &str = "proc/device-tree";

/// The files that are read as they are.
#[cfg(feature = "std")]
pub(crate) const FILES: [&str; 30] = [
    IOMEM,
    "proc/cmdline",
    CPUINFO,
    "proc/mounts",
    "proc/sys/kernel/osrelease",
    "sys/kernel/vmcoreinfo",
    "sys/kernel/kexec_crash_loaded",
    "sys/kernel/kexec_loaded",
    "sys/kernel/kexec_crash_size",
    "sys/kernel/crash_elfcorehdr_size",
    "sys/kernel/crash_cma_ranges",
    "sys/kernel/kexec_crash_cma_ranges",
    "sys/kernel/kexec/crash_loaded",
    "sys/kernel/kexec/loaded",
    "sys/kernel/kexec/crash_size",
    "sys/kernel/kexec/crash_elfcorehdr_size",
    "sys/kernel/kexec/crash_cma_ranges",
    "sys/kernel/boot_params/data",
    "sys/kernel/boot_params/version",
    "sys/devices/system/cpu/crash_hotplug",
    "sys/devices/system/memory/crash_hotplug",
    "sys/firmware/efi/fw_vendor",
    "sys/firmware/efi/runtime",
    "sys/firmware/efi/config_table",
    "sys/firmware/efi/fw_platform_size",
    "sys/firmware/efi/systab",
    FDT,
    crate::target::ppc64::TREE,
    ARCH,
    KCORE_VALUES,
];

/// What [`probe_environment`](crate::load::probe_environment) reads besides: a recording has it
/// too, a description does not need it.
#[cfg(feature = "std")]
pub(crate) const ENVIRONMENT: [&str; 4] = [
    "proc/meminfo",
    "proc/sys/kernel/kexec_load_disabled",
    "proc/sys/kernel/kexec_load_limit_panic",
    "sys/kernel/security/lockdown",
];

/// Directories of numbered directories: where they are, what stands before the number, and
/// the files read from each.
#[cfg(feature = "std")]
pub(crate) const NUMBERED: [(&str, &str, &[&str]); 3] = [
    ("sys/devices/system/cpu", "cpu", &["crash_notes", "crash_notes_size"]),
    ("sys/firmware/memmap", "", &["start", "end", "type"]),
    ("sys/firmware/efi/runtime-map", "", &["type", "phys_addr", "virt_addr", "num_pages", "attribute"]),
];
