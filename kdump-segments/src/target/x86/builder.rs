//! What the parts of an x86 crash load are laid out with.

use kdump_elf::PhysRange;

use super::e820::E820Entry;
use crate::cmdline::CommandLine;
use crate::plan::builder::Builder;

/// Highest byte of what a pointer of 32 bits refers to.
pub(super) const POINTER_MAX_32: u64 = 0xffff_ffff;

/// The parts every target has, and how the kernel is entered.
pub(super) struct X86Builder<'i, 'a> {
    pub(super) common: Builder<'i, 'a>,
    pub(super) bits32: bool,
}

/// What boot_params tells the capture kernel.
pub(super) struct Told<'t> {
    pub(super) boot_params: PhysRange,
    pub(super) initrd: Option<(u64, u64)>,
    pub(super) setup_data: u64,
    pub(super) efi_map: Option<(u64, u32)>,
    pub(super) cmdline: &'t CommandLine,
    pub(super) e820: &'t [E820Entry],
}
