//! What can be asked about the place of the running kernel.

use kdump_elf::{Arch, VmcoreInfo};

use crate::Iomem;
use crate::machine::{Kcore, Symbols};

/// Every source, each optional.
#[derive(Debug)]
pub(crate) struct LayoutInputs<'a> {
    pub(crate) arch: Arch,
    pub(crate) page_size: u64,
    pub(crate) kcore: Option<&'a Kcore>,
    pub(crate) symbols: &'a Symbols,
    pub(crate) vmcoreinfo: Option<VmcoreInfo<'a>>,
    pub(crate) iomem: &'a Iomem,
    /// The variable of this name, as it stands in kernel memory.
    pub(crate) page_offset_base: Option<u64>,
}

impl LayoutInputs<'_> {
    /// `NUMBER(name)` of VMCOREINFO as an address: negative numbers are two's complement.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.vmcoreinfo.as_ref()?.number_bits(name)
    }
}
