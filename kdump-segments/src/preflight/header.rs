//! Rules about the ELF core header as it will stand in memory.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::{CoreHeader, PT_LOAD, PT_NOTE, Phdr, PhysRange};

use super::{Checked, Outcome};
use crate::elfcorehdr::{LowMemory, image_of_its_own};
use crate::plan::Plan;
use crate::segment::SegmentKind;
use crate::{Error, room};

fn bytes<'p>(plan: &'p Plan<'_>) -> &'p [u8] {
    plan.segment(SegmentKind::Elfcorehdr).map_or(&[], |segment| &segment.data)
}

/// The program headers as they are read back; none when they cannot be.
pub(super) fn decoded(plan: &Plan<'_>) -> Result<Vec<Phdr>, Error> {
    let header = CoreHeader::parse(bytes(plan));
    header.map_or_else(|_| Ok(Vec::new()), |header| room::collect("program headers", header.phdrs()))
}

/// Reads back what was encoded.
pub(crate) fn decodes(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let header = CoreHeader::parse(bytes(plan)).map_err(|why| why.to_string())?;
    if header.ehdr().e_machine != plan.arch.e_machine() {
        return Err(format!("e_machine is {}", header.ehdr().e_machine));
    }
    if !header.phdrs().eq(plan.elfcorehdr.phdrs().iter().copied()) {
        return Err(String::from("the program headers are not those planned"));
    }
    Ok(format!("{} with {} program headers", header.encoding().class, header.phnum()))
}

/// A note outside RAM would be read as zeros, one in the crash region as the capture kernel.
pub(crate) fn notes(Checked { machine, ram, phdrs, .. }: &Checked<'_>) -> Outcome {
    let notes = || phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE);
    if notes().next().is_none() {
        return Err(String::from("there is no PT_NOTE, which the capture kernel's reader relies on"));
    }
    for note in notes() {
        let range = PhysRange::from_len(note.p_offset, note.p_memsz).map_err(|why| why.to_string())?;
        if !ram.contains_range(range) {
            return Err(format!("the note at {range} is not in RAM"));
        }
        if machine.crash_regions.iter().any(|region| region.overlaps(range)) {
            return Err(format!("the note at {range} is in a crash region"));
        }
        if machine.cma_ranges.overlaps(range) {
            return Err(format!(
                "the note at {range} is in memory given to the capture kernel (crash_cma_ranges)"
            ));
        }
    }
    Ok(format!("{} notes in RAM", notes().count()))
}

/// Every PT_LOAD is RAM outside the crash regions, and those of the direct map are disjoint.
pub(crate) fn memory(Checked { plan, machine, ram, phdrs, .. }: &Checked<'_>) -> Outcome {
    // Once only: RAM may begin where the image does.
    let mut text = image_of_its_own(machine).map(|image| image.vaddr);
    let mut end = 0;
    let captures = machine.captures().map_err(|why| why.to_string())?;
    for (index, load) in phdrs.iter().enumerate().filter(|(_, phdr)| phdr.p_type == PT_LOAD) {
        let named = |why: &str| format!("program header {index}, the PT_LOAD at {why}");
        let range = PhysRange::from_len(load.p_paddr, load.p_memsz)
            .map_err(|why| named(&format!("{:#x} of {:#x} bytes: {why}", load.p_paddr, load.p_memsz)))?;
        if !ram.contains_range(range) {
            return Err(named(&format!("{range} is not RAM")));
        }
        if captures.overlaps(range) {
            return Err(named(&format!("{range} is in a crash region")));
        }
        let copied = matches!(plan.low_memory, LowMemory::BackedUp { source, .. } if source == range);
        if load.p_offset != load.p_paddr && !copied {
            return Err(format!("the PT_LOAD at {range} is read from {:#x}", load.p_offset));
        }
        if Some(load.p_vaddr) == text {
            text = None;
            continue;
        }
        if range.start() < end {
            return Err(format!("the PT_LOAD at {range} overlaps the one before it"));
        }
        end = range.end();
    }
    if end == 0 {
        return Err(String::from("there is no PT_LOAD of RAM: the dump would hold nothing"));
    }
    Ok(String::from("all PT_LOADs are RAM outside the crash regions and disjoint"))
}
