//! i386: two levels of 4-byte entries, or with PAE three of 8 bytes (Intel SDM volume 3, 4.3 and
//! 4.4).

use kdump_elf::{Arch, Endian, PT_LOAD};

use super::control_registers::{CR4_PAE, ControlRegisters};
use super::radix::{Entry, Level, Radix, Raw, from_zero};
use super::row::Architecture;
use crate::dump::Facts;

pub(super) const ROW: Architecture = Architecture { arch: Arch::I386, tables, ..Architecture::PLAIN };

const PLAIN: &[Level] = &[Level { shift: 22, bits: 10 }, Level { shift: 12, bits: 10 }];
const PAE: &[Level] =
    &[Level { shift: 30, bits: 2 }, Level { shift: 21, bits: 9 }, Level { shift: 12, bits: 9 }];

const PRESENT: u64 = 1;
/// Bit 7 at level 2: the entry maps a large page.
const LARGE: u64 = 1 << 7;
/// Bits 51:12 of an entry of 8 bytes: the frame.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Bits that must be zero in an entry that maps 2 MiB.
const RESERVED_2M: u64 = 0x001f_e000;
/// Bits that must be zero in an entry of the root of PAE: 2:1, 8:6 and those above the address.
/// So must bit 5, but QEMU sets it there as in any other entry it walks.
const ROOT_RESERVED: u64 = 0xfff0_0000_0000_01c6;

/// A large page has 4 MiB; bits 20:13 are its address bits 39:32 (PSE-36), bit 21 is reserved.
fn plain(raw: Raw) -> Entry {
    let Raw { bits, level, .. } = raw;
    match level {
        _ if bits & PRESENT == 0 => Entry::Absent,
        1 => Entry::Page(bits & 0xffff_f000),
        _ if bits & LARGE == 0 => Entry::Table(bits & 0xffff_f000),
        _ if bits & (1 << 21) != 0 => Entry::Impossible,
        _ => Entry::Page((bits & 0xffc0_0000) | ((bits & 0x001f_e000) << 19)),
    }
}

/// A large page has 2 MiB; bits 20:13 of its entry are reserved, bit 12 is PAT.
fn pae(raw: Raw) -> Entry {
    let Raw { bits, level, .. } = raw;
    match level {
        _ if bits & PRESENT == 0 => Entry::Absent,
        3 if bits & ROOT_RESERVED != 0 => Entry::Impossible,
        1 => Entry::Page(bits & FRAME),
        2 if bits & LARGE != 0 && bits & RESERVED_2M != 0 => Entry::Impossible,
        2 if bits & LARGE != 0 => Entry::Page(bits & FRAME),
        _ => Entry::Table(bits & FRAME),
    }
}

fn tables(facts: &Facts) -> Result<Radix, &'static str> {
    told(facts).map_or_else(|| by_cpu(facts), Ok)
}

/// By VMCOREINFO: the tables lie in the memory that is mapped as one piece.
fn told(facts: &Facts) -> Option<Radix> {
    let info = facts.vmcoreinfo()?;
    let root = info.symbol("swapper_pg_dir")?;
    let has_pae = info.get("CONFIG_X86_PAE") == Some("y");
    Some(radix(root.checked_sub(page_offset(facts, root)?)?, has_pae))
}

/// By the registers of a CPU. The root of PAE needs no whole page.
fn by_cpu(facts: &Facts) -> Result<Radix, &'static str> {
    let cpu = ControlRegisters::of(facts)?;
    let has_pae = cpu.cr4 & CR4_PAE != 0;
    Ok(radix(cpu.cr3 & if has_pae { 0xffff_ffe0 } else { 0xffff_f000 }, has_pae))
}

fn radix(root: u64, has_pae: bool) -> Radix {
    Radix {
        root,
        levels: if has_pae { PAE } else { PLAIN },
        entry_size: if has_pae { 8 } else { 4 },
        endian: Endian::Little,
        ignored: 0,
        above: None,
        entry: if has_pae { pae } else { plain },
        canonical: from_zero,
    }
}

/// Where the kernel's memory begins (`PAGE_OFFSET`), which VMCOREINFO does not tell: by a PT_LOAD
/// whose loader knew it, or the nearest of those a kernel can be built for (VMSPLIT_*) below an
/// address of its image. A kernel for 0xb0000000 that KASLR put above 0xc0000000 needs the former.
fn page_offset(facts: &Facts, image: u64) -> Option<u64> {
    const SPLITS: [u64; 5] = [0xc000_0000, 0xb000_0000, 0x8000_0000, 0x7800_0000, 0x4000_0000];
    let loads = facts.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD && (ROW.has_vaddr)(phdr));
    let mut told = loads.filter_map(|phdr| phdr.p_vaddr.checked_sub(phdr.p_paddr));
    told.find(|offset| SPLITS.contains(offset)).or_else(|| SPLITS.into_iter().find(|split| *split <= image))
}
