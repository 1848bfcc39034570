//! The mapping of the kernel image, from every source that tells a part of it.
//!
//! Two things must be known: which virtual addresses the image has, and what to add to them
//! to get physical ones. Sources that contradict each other belong to different kernels, or
//! one of them is not understood; then there is no answer.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, align_down, align_up};

use super::inputs::LayoutInputs;
use super::{Source, Sourced, TextMapping};

/// Where the x86_64 kernel image window begins: `__START_KERNEL_map`
/// (Documentation/arch/x86/x86_64/mm.rst).
pub(super) const X86_64_IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;

/// The virtual addresses of the image.
struct Extent {
    vaddr: u64,
    end: u64,
    source: Source,
    others: Vec<Source>,
}

/// Finds the mapping of the kernel image, or says why it is not known.
pub(crate) fn find_text(inputs: &LayoutInputs<'_>) -> Result<Sourced<TextMapping>, String> {
    let extent = find_extent(inputs)?;
    let offsets = find_offsets(inputs, &extent)?;
    let Some(&(first, _)) = offsets.first() else {
        return Err("no source tells its physical address".into());
    };
    if offsets.iter().any(|&(offset, _)| offset != first) {
        let said: Vec<String> = offsets
            .iter()
            .map(|(offset, source)| format!("{:#x} by {source}", extent.vaddr.wrapping_add(*offset)))
            .collect();
        return Err(format!("its physical address is {}", said.join(", ")));
    }
    let vaddr = align_down(extent.vaddr, inputs.page_size);
    let end = align_up(extent.end, inputs.page_size).ok_or("it ends behind the last address")?;
    let size = end.checked_sub(vaddr).filter(|&size| size > 0).ok_or("it is empty")?;
    let mut others = extent.others;
    for (_, source) in offsets {
        if source != extent.source && !others.contains(&source) {
            others.push(source);
        }
    }
    let mapping = TextMapping { vaddr, paddr: vaddr.wrapping_add(first), size };
    if mapping.paddr.checked_add(size).is_none() {
        return Err(format!("its physical address would be {:#x}", mapping.paddr));
    }
    Ok(Sourced { value: mapping, source: extent.source, others })
}

fn find_extent(inputs: &LayoutInputs<'_>) -> Result<Extent, String> {
    let mut anchors = Vec::new();
    anchors.extend(inputs.symbols.get("_stext").map(|vaddr| (vaddr, Source::Kallsyms)));
    let vmcoreinfo = inputs.vmcoreinfo.as_ref();
    anchors
        .extend(vmcoreinfo.and_then(|info| info.symbol("_stext")).map(|vaddr| (vaddr, Source::Vmcoreinfo)));
    if let [(kallsyms, _), (vmcoreinfo, _)] = anchors[..] {
        if kallsyms != vmcoreinfo {
            return Err(format!("_stext is {kallsyms:#x} by kallsyms, {vmcoreinfo:#x} by vmcoreinfo"));
        }
    }
    // Only x86_64 lists the image as a stretch of its own; elsewhere it is inside the direct
    // map or the vmalloc area.
    if inputs.arch == Arch::X86_64 {
        if let Some(extent) = kcore_extent(inputs, &anchors)? {
            return Ok(extent);
        }
    }
    symbol_extent(inputs, &anchors)
}

/// From `_text` to `_end` of kallsyms. Kernels built without CONFIG_KALLSYMS_ALL list no
/// `_end`; iomem tells how long the image is.
fn symbol_extent(inputs: &LayoutInputs<'_>, anchors: &[(u64, Source)]) -> Result<Extent, String> {
    let symbol = |name| inputs.symbols.get(name);
    let kallsyms = symbol("_text").or_else(|| symbol("_stext")).map(|vaddr| (vaddr, Source::Kallsyms));
    let (vaddr, source) =
        kallsyms.or_else(|| anchors.first().copied()).ok_or("no source tells its virtual addresses")?;
    let mut others: Vec<Source> = anchors.iter().map(|&(_, source)| source).collect();
    others.retain(|&other| other != source);
    let end = match symbol("_end") {
        Some(end) => end,
        None => {
            let size = iomem_size(inputs)?.ok_or("no source tells where it ends")?;
            others.push(Source::Iomem);
            vaddr.saturating_add(size)
        }
    };
    if end <= vaddr {
        return Err(format!("_end is {end:#x}, not behind _text {vaddr:#x}"));
    }
    Ok(Extent { vaddr, end, source, others })
}

/// Bytes from the kernel's code to the end of its bss, or of its data where bss is a part of it.
fn iomem_size(inputs: &LayoutInputs<'_>) -> Result<Option<u64>, String> {
    let last = inputs
        .iomem
        .named("Kernel bss")
        .chain(inputs.iomem.named("Kernel data"))
        .map(|range| range.end())
        .max();
    Ok(kernel_code(inputs)?.zip(last).and_then(|(code, end)| end.checked_sub(code)))
}

/// The stretch of /proc/kcore that is the image: the one `_stext` lies in; without `_stext`,
/// the one in the image window whose physical address is where iomem has the kernel's code.
fn kcore_extent(inputs: &LayoutInputs<'_>, anchors: &[(u64, Source)]) -> Result<Option<Extent>, String> {
    let Some(kcore) = inputs.kcore else { return Ok(None) };
    let load = match anchors.first() {
        Some(&(stext, source)) => match kcore.load_of(stext) {
            Some(load) => load,
            None if kcore.loads.is_empty() => return Ok(None),
            None => return Err(format!("_stext is {stext:#x} by {source}, where kcore has nothing")),
        },
        None => {
            let code = kernel_code(inputs)?;
            let image = |load: &&crate::machine::KcoreLoad| {
                load.vaddr >= X86_64_IMAGE_BASE && load.paddr.is_some() && load.paddr == code
            };
            match kcore.loads.iter().find(image) {
                Some(load) => load,
                None => return Ok(None),
            }
        }
    };
    if let Some(end) = inputs.symbols.get("_end") {
        if align_up(end, inputs.page_size) != align_up(load.end(), inputs.page_size) {
            return Err(format!("it ends at {end:#x} by kallsyms, {:#x} by kcore", load.end()));
        }
    }
    let others = anchors.iter().map(|&(_, source)| source).collect();
    Ok(Some(Extent { vaddr: load.vaddr, end: load.end(), source: Source::KcorePhdrs, others }))
}

/// What to add to a virtual address of the image to get the physical one, modulo 2^64.
fn find_offsets(inputs: &LayoutInputs<'_>, extent: &Extent) -> Result<Vec<(u64, Source)>, String> {
    let mut offsets = Vec::new();
    let load = inputs.kcore.and_then(|kcore| kcore.load_of(extent.vaddr));
    let told = load.and_then(|load| Some(load.paddr?.wrapping_sub(load.vaddr)));
    offsets.extend(told.map(|offset| (offset, Source::KcorePhdrs)));
    // What each architecture says is in its arch_crash_save_vmcoreinfo()
    // (Documentation/admin-guide/kdump/vmcoreinfo.rst).
    let told = match inputs.arch {
        Arch::X86_64 => inputs.number("phys_base").map(|base| base.wrapping_sub(X86_64_IMAGE_BASE)),
        Arch::Arm64 => inputs.number("kimage_voffset").map(u64::wrapping_neg),
        Arch::Riscv64 => inputs.number("va_kernel_pa_offset").map(u64::wrapping_neg),
        _ => None,
    };
    offsets.extend(told.map(|offset| (offset, Source::Vmcoreinfo)));
    if let Some(code) = kernel_code(inputs)? {
        let offset = match inputs.arch {
            Arch::Arm64 => arm64_code(inputs, extent, code, offsets.first())?,
            _ => code.wrapping_sub(inputs.symbols.get("_text").unwrap_or(extent.vaddr)),
        };
        offsets.push((offset, Source::Iomem));
    }
    Ok(offsets)
}

/// arm64 counts the code from `_stext`, behind the image header, older kernels from `_text`: what
/// iomem says can confirm another source, but alone would leave it open which of the two it is.
fn arm64_code(
    inputs: &LayoutInputs<'_>,
    extent: &Extent,
    code: u64,
    other: Option<&(u64, Source)>,
) -> Result<u64, String> {
    let from = |vaddr: u64| code.wrapping_sub(vaddr);
    let vmcoreinfo = inputs.vmcoreinfo.as_ref().and_then(|info| info.symbol("_stext"));
    let stext = inputs.symbols.get("_stext").or(vmcoreinfo).unwrap_or(extent.vaddr);
    match (other, inputs.symbols.get("_text")) {
        (None, _) => Err("only iomem tells its physical address, from _stext or from _text".into()),
        (Some(&(offset, _)), Some(text)) if from(text) == offset => Ok(offset),
        _ => Ok(from(stext)),
    }
}

/// Physical address of the kernel's first byte by iomem.
fn kernel_code(inputs: &LayoutInputs<'_>) -> Result<Option<u64>, String> {
    let mut lines = inputs.iomem.named("Kernel code");
    match (lines.next(), lines.next()) {
        (Some(first), Some(second)) => {
            Err(format!("iomem has Kernel code twice, at {first} and at {second}"))
        }
        (first, _) => Ok(first.map(|range| range.start())),
    }
}
