//! The second kernel: finds the dead one's memory and writes the dump out, twice.

use core::ops::ControlFlow;

use alloc::boxed::Box;

use kdump_elf::{Paddr, PhysRange};
use kdump_segments::{RangeSet, memparse};
use kdump_vmcore::{Dump, OldMemory, Progress, ReadAt, SavePlan, WriteAt};

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
    match capture(boot) {
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
    save(&Dump::open(Overlay { memory, elfcorehdr })?)
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

struct Overlay {
    memory: PhysMemory,
    elfcorehdr: u64,
}
impl ReadAt for Overlay {
    fn size(&self) -> Result<u64, kdump_vmcore::Error> {
        Ok(1 << 52)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, kdump_vmcore::Error> {
        let at = if offset < 0x1000 { self.elfcorehdr + offset } else { offset };
        match self.memory.read_phys(Paddr(at), buf) {
            Ok(()) => Ok(buf.len()),
            Err(stopped) if stopped.read > 0 => Ok(stopped.read),
            Err(stopped) => Err(stopped.error),
        }
    }
}
