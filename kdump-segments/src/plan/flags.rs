//! Flags of kexec_load(2) (include/uapi/linux/kexec.h).

use kdump_elf::Arch;

bitflags::bitflags! {
    /// The flags; the architecture's `e_machine` stands in bits 16 to 31.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct KexecFlags: u64 {
        /// Load a capture kernel.
        const ON_CRASH = 1;
        /// The kernel may rewrite the elfcorehdr on hot-plug (Linux 6.6).
        const UPDATE_ELFCOREHDR = 4;
        /// The kernel may rewrite what hot-plug changes (Linux 6.10).
        const CRASH_HOTPLUG_SUPPORT = 8;
        /// Any architecture.
        const ARCH_MASK = 0xffff_0000;
    }
}

impl KexecFlags {
    /// The flags of a crash load for `arch`.
    #[must_use]
    pub fn crash(arch: Arch) -> Self {
        Self::ON_CRASH.union(Self::from_bits_retain(u64::from(arch.e_machine()) << 16))
    }
}
