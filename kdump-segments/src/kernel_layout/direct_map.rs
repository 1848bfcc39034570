//! The base of the direct map, in which all RAM has a virtual address.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, align_down};

use super::inputs::LayoutInputs;
use super::text::X86_64_IMAGE_BASE;
use super::{Source, Sourced};
use crate::machine::{Kcore, KcoreLoad};

/// Memory KASLR moves the direct map in steps of 1 GiB (arch/x86/mm/kaslr.c).
const X86_64_STEP: u64 = 1 << 30;

/// Where the image of riscv64 begins, behind all else (Documentation/arch/riscv/vm-layout.rst).
const RISCV64_IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

/// Finds the base of the direct map, or says why it is not known.
pub(crate) fn find_direct_map(inputs: &LayoutInputs<'_>) -> Result<Sourced<u64>, String> {
    let mut found: Vec<(u64, Source)> = Vec::new();
    if let Some(kcore) = inputs.kcore {
        found.extend(from_kcore(inputs, kcore)?);
    }
    found.extend(inputs.page_offset_base.map(|base| (base, Source::KcoreMemory)));
    found.extend(from_vmcoreinfo(inputs).map(|base| (base, Source::Vmcoreinfo)));
    if found.is_empty() {
        found.extend(from_architecture(inputs.arch).map(|base| (base, Source::Architecture)));
    }
    let Some((&(base, source), rest)) = found.split_first() else {
        return Err("no source tells it".into());
    };
    if rest.iter().any(|&(other, _)| other != base) {
        let said: Vec<String> = found.iter().map(|(base, source)| format!("{base:#x} by {source}")).collect();
        return Err(format!("it is {}", said.join(", ")));
    }
    Ok(Sourced { value: base, source, others: rest.iter().map(|&(_, source)| source).collect() })
}

/// Virtual minus physical address of RAM, which is the same for all RAM.
fn from_kcore(inputs: &LayoutInputs<'_>, kcore: &Kcore) -> Result<Option<(u64, Source)>, String> {
    let arch = inputs.arch;
    let image = match arch {
        Arch::X86_64 => Some(X86_64_IMAGE_BASE),
        Arch::Arm64 => arm64_linear_end(inputs),
        Arch::Riscv64 => Some(RISCV64_IMAGE_BASE),
        _ => None,
    };
    let is_image = |vaddr: u64| image.is_some_and(|image| vaddr >= image);
    let mut bases = kcore
        .loads
        .iter()
        .filter(|load| !is_image(load.vaddr))
        .filter_map(|load| Some(load.vaddr.wrapping_sub(load.paddr?)));
    if let Some(base) = bases.next() {
        return match bases.find(|&other| other != base) {
            Some(other) => Err(format!("program headers of kcore say {base:#x} and {other:#x}")),
            None => Ok(Some((base, Source::KcorePhdrs))),
        };
    }
    // The direct map of x86_64 is below everything else of the kernel, and RAM begins in its
    // first GiB.
    let lowest = kcore.loads.iter().map(|load| load.vaddr).min();
    Ok(lowest
        .filter(|&vaddr| arch == Arch::X86_64 && vaddr >> 63 == 1 && !is_image(vaddr))
        .map(|vaddr| (align_down(vaddr, X86_64_STEP), Source::KcoreLowest)))
}

/// Where the direct map ends, whose base is known: on i386 behind the stretch that /proc/kcore lists
/// of it, or where the usual split of the addresses ends it.
pub(crate) fn find_direct_map_end(inputs: &LayoutInputs<'_>, base: u64) -> Option<Sourced<u64>> {
    /// 896 MiB: the last GiB of addresses without 128 MiB for vmalloc and fixed mappings
    /// (Documentation/mm/highmem.rst).
    const I386_USUAL: u64 = 0x3800_0000;
    if inputs.arch != Arch::I386 {
        return None;
    }
    let of_ram = |load: &&KcoreLoad| load.paddr.is_some_and(|paddr| load.vaddr.wrapping_sub(paddr) == base);
    let loads = inputs.kcore.map_or(&[][..], |kcore| &kcore.loads);
    let end = loads.iter().filter(of_ram).map(|load| load.end().wrapping_sub(base)).max();
    Some(match end {
        Some(end) => Sourced::new(align_down(end, inputs.page_size), Source::KcorePhdrs),
        None => Sourced::new(I386_USUAL, Source::Architecture),
    })
}

/// Behind the direct map of arm64, where image, modules and vmalloc area lie: the upper half of the
/// addresses that a kernel has on a machine without 52-bit addresses, 47 bits of them with pages of
/// 16 KiB (Documentation/arch/arm64/memory.rst).
fn arm64_linear_end(inputs: &LayoutInputs<'_>) -> Option<u64> {
    const PAGE_16K: u64 = 16 << 10;
    let bits = u32::try_from(inputs.number("VA_BITS")?).ok()?;
    let least = match bits {
        49.. if inputs.page_size == PAGE_16K => 47,
        bits => bits.min(48),
    };
    Some(1_u64.checked_shl(least.checked_sub(1)?)?.wrapping_neg())
}

/// From the terms of each architecture's address translation
/// (Documentation/admin-guide/kdump/vmcoreinfo.rst).
fn from_vmcoreinfo(inputs: &LayoutInputs<'_>) -> Option<u64> {
    match inputs.arch {
        Arch::Arm64 => {
            let bits = u32::try_from(inputs.number("VA_BITS")?).ok()?;
            let page_offset = 1_u64.checked_shl(bits)?.wrapping_neg();
            Some(page_offset.wrapping_sub(inputs.number("PHYS_OFFSET")?))
        }
        Arch::Riscv64 => Some(inputs.number("PAGE_OFFSET")?.wrapping_sub(inputs.number("phys_ram_base")?)),
        Arch::S390x => inputs.vmcoreinfo.as_ref()?.hex("IDENTITYBASE"),
        _ => None,
    }
}

/// Where the architecture fixes it: arch/powerpc/Kconfig and arch/loongarch/include/asm
/// (`CACHE_BASE`), for i386 the usual 3 GiB : 1 GiB split.
fn from_architecture(arch: Arch) -> Option<u64> {
    match arch {
        Arch::Ppc64 => Some(0xc000_0000_0000_0000),
        Arch::LoongArch64 => Some(0x9000_0000_0000_0000),
        Arch::I386 | Arch::Ppc32 => Some(0xc000_0000),
        _ => None,
    }
}
