//! The control registers of an x86 CPU, from the note that QEMU writes of its state.
//!
//! `QEMUCPUState`, version 1, little-endian: its version and size (4 bytes each), 18 general
//! registers of 8 bytes, 10 segments of 24, then CR0 to CR4 (docs of QEMU name no layout: it is
//! what its dumps have, checked against the tables that VMCOREINFO names).

use kdump_elf::Endian;

use super::row::NOT_TOLD;
use crate::dump::Facts;

/// Paging is on.
const CR0_PG: u64 = 1 << 31;
/// Tables of 64-bit entries.
pub(super) const CR4_PAE: u64 = 1 << 5;
/// Five levels.
pub(super) const CR4_LA57: u64 = 1 << 12;

const IN_USER_SPACE: &str = "no PT_LOAD has it, there is no VMCOREINFO that says where the page tables are, and \
                             every CPU whose registers are noted was in user space, whose page tables need not \
                             have the kernel";

const NAME: &[u8] = b"QEMU";
const VERSION: u32 = 1;
/// The selector of the code segment, whose low two bits are the privilege level.
const CS: usize = 152;
const CR: usize = 392;

/// Where a CPU's page tables begin and of what kind they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlRegisters {
    pub(super) cr3: u64,
    pub(super) cr4: u64,
}

impl ControlRegisters {
    /// Those of a CPU that ran the kernel: where user space has tables of its own (page table isolation,
    /// Documentation/arch/x86/pti.rst), the kernel is not in them, and would seem not to be mapped.
    pub(super) fn of(facts: &Facts) -> Result<Self, &'static str> {
        let notes = facts.notes.iter().filter(|note| note.name == NAME && note.n_type == 0);
        let mut refused = NOT_TOLD;
        for (found, level) in notes.filter_map(|note| state(note.desc)) {
            if level == 0 {
                return Ok(found);
            }
            refused = IN_USER_SPACE;
        }
        Err(refused)
    }
}

/// The registers in a state and the privilege level; `None` without paging.
fn state(desc: &[u8]) -> Option<(ControlRegisters, u32)> {
    let size = usize::try_from(Endian::Little.read::<u32>(desc, 4)?).ok()?;
    if Endian::Little.read::<u32>(desc, 0)? != VERSION || size > desc.len() {
        return None;
    }
    let cr = |index: usize| Endian::Little.read::<u64>(desc, CR.saturating_add(index.saturating_mul(8)));
    let found = ControlRegisters { cr3: cr(3)?, cr4: cr(4)? };
    (cr(0)? & CR0_PG != 0).then_some((found, Endian::Little.read::<u32>(desc, CS)? & 3))
}
