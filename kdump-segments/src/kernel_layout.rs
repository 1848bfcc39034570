//! Where the running kernel lies: its text mapping and the base of its direct map.

use alloc::vec::Vec;
use core::fmt;

mod direct_map;
mod inputs;
mod text;

pub(crate) use direct_map::{find_direct_map, find_direct_map_end};
pub(crate) use inputs::LayoutInputs;
pub(crate) use text::find_text;

/// Where a value was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Program headers of /proc/kcore.
    KcorePhdrs,
    /// The lowest virtual address in the program headers of /proc/kcore.
    KcoreLowest,
    /// Kernel memory read through /proc/kcore.
    KcoreMemory,
    /// /proc/kallsyms.
    Kallsyms,
    /// /proc/iomem.
    Iomem,
    /// The VMCOREINFO text.
    Vmcoreinfo,
    /// The boot_params of the running kernel.
    BootParams,
    /// /sys/firmware/efi/systab.
    EfiSystab,
    /// /proc/cmdline.
    Cmdline,
    /// A constant of the architecture.
    Architecture,
}

impl Source {
    /// The name in plans and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KcorePhdrs => "kcore program headers",
            Self::KcoreLowest => "lowest kcore program header",
            Self::KcoreMemory => "kernel memory read through kcore",
            Self::Kallsyms => "kallsyms",
            Self::Iomem => "iomem",
            Self::Vmcoreinfo => "vmcoreinfo",
            Self::BootParams => "boot_params",
            Self::EfiSystab => "EFI systab",
            Self::Cmdline => "command line",
            Self::Architecture => "architecture",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The source that gave it.
    pub source: Source,
    /// Further sources that gave a part of it or were found to agree with it.
    pub others: Vec<Source>,
}

impl<T> Sourced<T> {
    /// A value that only `source` gave.
    #[must_use]
    pub const fn new(value: T, source: Source) -> Self {
        Self { value, source, others: Vec::new() }
    }
}

/// The virtual mapping of the kernel image: text to bss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextMapping {
    /// Virtual address of its first byte.
    pub vaddr: u64,
    /// Physical address of its first byte.
    pub paddr: u64,
    /// Length in bytes, a multiple of the page size.
    pub size: u64,
}

/// Where the running kernel lies. What no trustworthy source tells is `None`, with a note in
/// the machine that says why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLayout {
    /// The mapping of the kernel image.
    pub text: Option<Sourced<TextMapping>>,
    /// Virtual address at which physical address 0 appears in the direct map; the virtual
    /// address of any RAM is this plus its physical address, modulo 2^64.
    pub direct_map_base: Option<Sourced<u64>>,
    /// The first physical address behind the direct map; `None` where it has all RAM. RAM from here on
    /// has no virtual address of its own (highmem of i386).
    pub direct_map_end: Option<Sourced<u64>>,
}
