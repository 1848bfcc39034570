//! Decides whether low memory needs a backup.

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, PhysRange, VmcoreInfo};

use crate::elfcorehdr::low_ram;
use crate::plan::BackupPolicy;
use crate::range_set::subtract_sorted;
use crate::target::LowMemoryDecision;
use crate::{Error, Machine, MemoryKind};

/// End of the memory real mode can use; video memory and ROMs follow.
const CONVENTIONAL_END: u64 = 0xa_0000;
/// Boot protocol 2.15 came with Linux 5.5, as did the unconditional reservation of the low
/// 1 MiB for crash kernels ("x86/kdump: Always reserve the low 1M when the crashkernel option
/// is specified").
const PROTOCOL_5_5: u16 = 0x20f;

/// Decides by what the user asked for and what the machine shows. Why, is said in `notes`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn decide(
    machine: &Machine,
    policy: BackupPolicy,
    notes: &mut Vec<String>,
) -> Result<LowMemoryDecision, Error> {
    if !matches!(machine.arch, Arch::X86_64 | Arch::I386) {
        return Ok(LowMemoryDecision::Keep);
    }
    let wanted = match policy {
        BackupPolicy::Always => true,
        BackupPolicy::Never => {
            notes.push(String::from("no backup was asked for: memory below 1 MiB is not dumped"));
            false
        }
        BackupPolicy::Auto => auto(machine, notes),
    };
    if !wanted {
        return Ok(LowMemoryDecision::Use);
    }
    let Some(source) = conventional_ram(machine)? else {
        notes.push(String::from("there is no RAM below 640 KiB: nothing is backed up"));
        return Ok(LowMemoryDecision::Keep);
    };
    if low_ram(machine)?.iter().filter(|range| range.start() < CONVENTIONAL_END).count() > 1 {
        notes.push(String::from(
            "low RAM has several ranges: the first is backed up and used, the others are dumped in place",
        ));
    }
    Ok(LowMemoryDecision::Save(source))
}

/// The lowest range of dumped RAM below 640 KiB, with the borders the dump has.
fn conventional_ram(machine: &Machine) -> Result<Option<PhysRange>, Error> {
    let conventional = PhysRange::from_half_open(0, CONVENTIONAL_END)?;
    let low = machine.memory.of_kind(MemoryKind::Ram).take_while(|range| range.start() < CONVENTIONAL_END);
    let low = low.filter_map(|range| range.intersection(conventional));
    Ok(subtract_sorted(low, &machine.not_dumped()?)?.first().copied())
}

/// Asks what the kernel shows, never its version number, which vendors reuse.
fn auto(machine: &Machine, notes: &mut Vec<String>) -> bool {
    let prb =
        machine.vmcoreinfo.as_ref().and_then(|note| VmcoreInfo::new(note.text.as_deref()?).symbol("prb"));
    let proof = if machine.boot_protocol.is_some_and(|version| version >= PROTOCOL_5_5) {
        "boot protocol 2.15"
    } else if machine.kexec.elfcorehdr_size.is_some() {
        "crash_elfcorehdr_size"
    } else if prb.is_some() {
        "SYMBOL(prb) in VMCOREINFO"
    } else {
        notes.push(String::from(
            "nothing shows that the running kernel reserves the low 1 MiB: low memory is backed up",
        ));
        return true;
    };
    notes.push(alloc::format!(
        "the running kernel reserves the low 1 MiB ({proof} shows it is 5.5 or newer): \
         no backup is made and memory below 1 MiB is not dumped"
    ));
    false
}
