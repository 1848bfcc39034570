//! loongarch64: the windows through which all memory is reached without page tables (LoongArch
//! Reference Manual volume 1, 5.2.1 "Direct mapping address translation mode").

use alloc::vec::Vec;

use kdump_elf::{Arch, PhysRange};

use super::row::{Architecture, Linear};
use crate::dump::Facts;

pub(super) const ROW: Architecture = Architecture {
    arch: Arch::LoongArch64,
    linear: windows,
    tables: |_| {
        Err("no PT_LOAD and no direct window has it, and VMCOREINFO of LoongArch does not say how many \
             levels the page tables have: vmalloc, modules and vmemmap cannot be reached")
    },
    ..Architecture::PLAIN
};

/// Bits of a physical address.
const WIDTH: u64 = 1 << 48;

/// Those that Linux sets up: without the cache and with it, which has the kernel's image too.
fn windows(_: &Facts) -> Vec<Linear> {
    let starts = [0x8000_0000_0000_0000, 0x9000_0000_0000_0000];
    let ranges = starts.into_iter().filter_map(|start| PhysRange::from_len(start, WIDTH).ok());
    ranges.map(|range| Linear { range, paddr: 0, told: false }).collect()
}
