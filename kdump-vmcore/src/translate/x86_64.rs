//! x86_64: page tables of four or five levels, and the linear map of the kernel's image
//! (Documentation/arch/x86/x86_64/mm.rst; Intel SDM volume 3, 4.5).

use kdump_elf::{Arch, Endian, PT_LOAD, PhysRange};

use super::control_registers::{CR4_LA57, ControlRegisters};
use super::radix::{Entry, Level, Radix, Raw, sign_extended};
use super::row::{Architecture, Linear};
use crate::dump::Facts;

pub(super) const ROW: Architecture = Architecture {
    arch: Arch::X86_64,
    linear: |facts| image(facts).into_iter().collect(),
    tables,
    has_vaddr: |phdr| phdr.p_vaddr >= LOWEST,
};

/// `__START_KERNEL_map`, where the image is mapped.
const KERNEL_IMAGE: u64 = 0xffff_ffff_8000_0000;
/// The image's window with KASLR (`KERNEL_IMAGE_SIZE`), of which modules take the rest.
const MAX_IMAGE: u64 = 1 << 30;
/// The window without KASLR.
const USUAL_IMAGE: u64 = 1 << 29;
/// Why the page tables are not found by a VMCOREINFO that is damaged.
const NO_PHYS_BASE: &str = "no PT_LOAD has it, and the page tables cannot be found, for the NUMBER(phys_base) of \
                            VMCOREINFO is no number";
/// The kernel's half begins here with five levels, higher with four.
const LOWEST: u64 = 0xff00_0000_0000_0000;

const LEVELS: &[Level] = &[
    Level { shift: 48, bits: 9 },
    Level { shift: 39, bits: 9 },
    Level { shift: 30, bits: 9 },
    Level { shift: 21, bits: 9 },
    Level { shift: 12, bits: 9 },
];

/// Bits 51:12 of an entry: the frame.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
const PRESENT: u64 = 1;
/// Bit 7 at levels 2 and 3: the entry maps a large page; at those above it must be 0.
const LARGE: u64 = 1 << 7;
/// Bits 20:13 of an entry that maps 2 MiB, and 29:13 of one for 1 GiB, must be 0; bit 12 is PAT.
const RESERVED_2M: u64 = 0x001f_e000;
const RESERVED_1G: u64 = 0x3fff_e000;

fn entry(raw: Raw) -> Entry {
    let Raw { bits, level, ignored, .. } = raw;
    let frame = bits & FRAME & !ignored;
    match level {
        _ if bits & PRESENT == 0 => Entry::Absent,
        1 => Entry::Page(frame),
        2 if bits & LARGE != 0 && frame & RESERVED_2M != 0 => Entry::Impossible,
        3 if bits & LARGE != 0 && frame & RESERVED_1G != 0 => Entry::Impossible,
        2 | 3 if bits & LARGE != 0 => Entry::Page(frame),
        4.. if bits & LARGE != 0 => Entry::Impossible,
        _ => Entry::Table(frame),
    }
}

fn tables(facts: &Facts) -> Result<Radix, &'static str> {
    told(facts).map_or_else(|| by_cpu(facts), Ok).map_err(|why| {
        let info = facts.vmcoreinfo();
        let is_there = info.is_some_and(|info| info.get("NUMBER(phys_base)").is_some());
        if is_there && phys_base(facts).is_none() { NO_PHYS_BASE } else { why }
    })
}

/// By VMCOREINFO.
fn told(facts: &Facts) -> Option<Radix> {
    let info = facts.vmcoreinfo()?;
    let symbols = ["swapper_pg_dir", "init_top_pgt", "init_level4_pgt"];
    let root = symbols.iter().find_map(|name| info.symbol(name))?;
    let inside = root.checked_sub(KERNEL_IMAGE).filter(|inside| *inside < MAX_IMAGE)?;
    let five = info.number("pgtable_l5_enabled") == Some(1);
    let root = inside.wrapping_add(phys_base(facts)?);
    Some(radix(root, five, info.number_bits("sme_mask").unwrap_or(0)))
}

/// By the registers of a CPU.
fn by_cpu(facts: &Facts) -> Result<Radix, &'static str> {
    let cpu = ControlRegisters::of(facts)?;
    Ok(radix(cpu.cr3, cpu.cr4 & CR4_LA57 != 0, 0))
}

fn radix(root: u64, five: bool, encryption: u64) -> Radix {
    Radix {
        root: root & FRAME,
        levels: LEVELS.get(usize::from(!five)..).unwrap_or(LEVELS),
        entry_size: 8,
        endian: Endian::Little,
        ignored: encryption,
        above: None,
        entry,
        canonical: sign_extended,
    }
}

/// The map of the image.
fn image(facts: &Facts) -> Option<Linear> {
    let size = facts.vmcoreinfo().and_then(|info| info.number("KERNEL_IMAGE_SIZE"));
    let size = size.and_then(|size| u64::try_from(size).ok());
    let size = size.filter(|size| (1 << 20..=MAX_IMAGE).contains(size)).unwrap_or(USUAL_IMAGE);
    let range = PhysRange::from_len(KERNEL_IMAGE, size).ok()?;
    Some(Linear { range, paddr: phys_base(facts)?, told: told_phys_base(facts).is_some() })
}

/// The physical address of `__START_KERNEL_map`, modulo 2^64: by VMCOREINFO, or by the PT_LOAD
/// of the text.
fn phys_base(facts: &Facts) -> Option<u64> {
    told_phys_base(facts).or_else(|| {
        let window = KERNEL_IMAGE..KERNEL_IMAGE.saturating_add(MAX_IMAGE);
        let mut loads = facts.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD);
        let text = loads.find(|phdr| window.contains(&phdr.p_vaddr))?;
        Some(text.p_paddr.wrapping_sub(text.p_vaddr.wrapping_sub(KERNEL_IMAGE)))
    })
}

fn told_phys_base(facts: &Facts) -> Option<u64> {
    facts.vmcoreinfo()?.number_bits("phys_base")
}
