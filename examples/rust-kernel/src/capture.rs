//! The second kernel: finds the dead one's memory and writes the dump out, twice.

use core::ops::ControlFlow;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::{
    Arch, Class, Encoding, Endian, HeaderLayout, PF_RWX, PT_LOAD, PT_NOTE, Paddr, Phdr, PhysRange,
};
use kdump_segments::{RangeSet, memparse};
use kdump_vmcore::{Dump, Progress, ReadAt, SavePlan, ViewOptions, VmcoreView, WriteAt};

use crate::boot_info::BootInfo;
use crate::disk::Disk;
use crate::old_memory::PhysMemory;
use crate::stream::Stream;
use crate::{cpu, frames, phys, say};

type Error = Box<dyn core::error::Error>;

/// Everything the second kernel does; ends with a reset.
pub(crate) fn run(boot: &BootInfo) -> ! {
    say!("capture kernel: {}", boot.cmdline());
    use_low_memory();
    let outcome = capture(boot);
    crate::say_use("capturing");
    match outcome {
        Ok(()) => say!("capture: done"),
        Err(error) => say!("capture: failed: {error}"),
    }
    cpu::reset()
}

/// Stands for all that a bigger kernel does below 1 MiB: page tables, buffers, other CPUs. The
/// dump has what was there before, because the purgatory saved it.
fn use_low_memory() {
    while let Some(paddr) = frames::allocate().filter(|paddr| *paddr < 1 << 20) {
        // SAFETY: the frame is ours.
        unsafe { phys::bytes_mut(paddr, phys::PAGE as usize) }.fill(0xdd);
    }
}

fn capture(boot: &BootInfo) -> Result<(), Error> {
    let elfcorehdr = number(boot.option("elfcorehdr").ok_or("no elfcorehdr=")?)?;
    let dumped = ranges(boot.option("ram").unwrap_or_default())?;
    let ours = ranges(boot.option("region").unwrap_or_default())?;
    let memory = PhysMemory::new(dumped.union(&ours));
    let options = || ViewOptions { arch: Some(Arch::X86_64), ..ViewOptions::default() };
    let view = VmcoreView::from_memory(Paddr(elfcorehdr), &memory, options()).or_else(|error| {
        say!("capture: elfcorehdr refused: {error}");
        say!(
            "capture: dumping {} bytes that the command line proves to be RAM, without notes",
            dumped.total()
        );
        VmcoreView::from_header(&plain_header(&dumped)?, &memory, options()).map_err(Error::from)
    })?;
    for defect in view.defects() {
        say!("capture: notes: {defect}");
    }
    save(&Dump::open(view)?)
}

/// A header for memory of which nothing is known but that it is RAM. The purgatory's digest
/// covers the command line, so what it says is what the first kernel knew.
fn plain_header(ram: &RangeSet) -> Result<Vec<u8>, Error> {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    // A vmcore has one PT_NOTE at least; this one is empty.
    let count = u32::try_from(ram.len())? + 1;
    let layout = HeaderLayout::elfcorehdr(encoding, Arch::X86_64.e_machine(), count)?;
    let mut bytes = vec![0; usize::try_from(layout.size())?];
    let mut writer = layout.writer(&mut bytes)?;
    writer.push(&Phdr { p_type: PT_NOTE, ..Phdr::default() })?;
    for range in ram {
        writer.push(&Phdr {
            p_type: PT_LOAD,
            p_flags: PF_RWX,
            p_offset: range.start(),
            p_vaddr: phys::DIRECT_MAP + range.start(),
            p_paddr: range.start(),
            p_filesz: range.size(),
            p_memsz: range.size(),
            ..Phdr::default()
        })?;
    }
    writer.finish()?;
    Ok(bytes)
}

fn save<S: ReadAt>(dump: &Dump<S>) -> Result<(), Error> {
    let plan = SavePlan::elf(dump)?;
    let mut disk = Disk::new();
    copy(&plan, &mut disk, "disk")?;
    disk.finish()?;
    let mut stream = Stream::begin(plan.size());
    copy(&plan, &mut stream, "stream")?;
    say!("capture: {} blocks sent, a file of {} bytes", stream.finish(), plan.size());
    Ok(())
}

/// Writes the file into `sink`, saying how far it is every eighth of the way.
fn copy<S: ReadAt>(plan: &SavePlan<'_, S>, sink: &mut dyn WriteAt, name: &str) -> Result<(), Error> {
    let mut said = 0;
    let report = plan.copy(sink, &mut |Progress { done, total, .. }| {
        let eighth = done * 8 / total.max(1);
        if eighth > said {
            say!("capture: {name} {} %", done * 100 / total.max(1));
            said = eighth;
        }
        ControlFlow::Continue(())
    })?;
    say!("capture: {name} took {} of {} bytes of memory", report.written, report.memory);
    Ok(())
}

/// `START-LAST,START-LAST,…`, last addresses inclusive.
fn ranges(text: &str) -> Result<RangeSet, Error> {
    let words = text.split(',').filter(|word| !word.is_empty());
    let parse = |word: &str| -> Result<PhysRange, Error> {
        let (start, last) = word.split_once('-').ok_or("a range without -")?;
        Ok(PhysRange::from_inclusive(number(start)?, number(last)?)?)
    };
    words.map(parse).collect()
}

fn number(text: &str) -> Result<u64, Error> {
    match memparse(text.as_bytes()) {
        Some((value, len)) if len == text.len() && len != 0 => Ok(value),
        _ => Err("a number is expected".into()),
    }
}
