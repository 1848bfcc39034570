//! The second kernel: finds the dead one's memory and writes the dump out, twice.

use core::cell::UnsafeCell;
use core::ops::ControlFlow;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::{Arch, Class, Encoding, Endian, HeaderLayout, Paddr, PhysRange};
use kdump_segments::{RangeSet, memparse};
use kdump_vmcore::{Dump, Progress, SavePlan, ViewOptions, VmcoreView, WriteAt};

use crate::boot_info::BootInfo;
use crate::disk::Disk;
use crate::old_memory::PhysMemory;
use crate::stream::Stream;
use crate::{cpu, frames, phys, say};

type Error = Box<dyn core::error::Error>;

/// What the second kernel was told, while it reads what the dead one left; null otherwise.
static READING: AtomicPtr<BootInfo> = AtomicPtr::new(null_mut());

/// As large as the disk and the line can use; `copy` would take 2 MiB. Not from the heap: notes of
/// absurd sizes may have left nothing of that.
static BATCH: Batch = Batch(UnsafeCell::new([0; 64 << 10]));

struct Batch(UnsafeCell<[u8; 64 << 10]>);

// SAFETY: of the one CPU that the second kernel runs on.
unsafe impl Sync for Batch {}

/// Everything the second kernel does.
pub(crate) fn run(boot: &'static BootInfo) -> ! {
    say!("capture kernel: {}", boot.cmdline());
    use_low_memory();
    end(capture(boot))
}

/// A panic over what the dead kernel left must not cost the dump: takes the memory without it.
/// Returns when the panic was about something else.
pub(crate) fn after_panic(info: &core::panic::PanicInfo<'_>) {
    let boot = READING.swap(null_mut(), Ordering::AcqRel);
    // SAFETY: null, or what `run` was given.
    if let Some(boot) = unsafe { boot.as_ref() } {
        say!("capture: elfcorehdr refused: it led to a panic: {info}");
        end(capture_plain(boot));
    }
}

fn end(outcome: Result<(), Error>) -> ! {
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

fn capture(boot: &'static BootInfo) -> Result<(), Error> {
    let elfcorehdr = number(boot.option("elfcorehdr").ok_or("no elfcorehdr=")?)?;
    let memory = PhysMemory::new(ranges(boot, "ram")?.union(&ranges(boot, "region")?)?);
    READING.store(core::ptr::from_ref(boot).cast_mut(), Ordering::Release);
    let options = ViewOptions::default().arch(Some(Arch::X86_64));
    let view = VmcoreView::from_memory(Paddr(elfcorehdr), memory, options);
    READING.store(null_mut(), Ordering::Release);
    match view {
        Ok(view) => {
            for defect in view.defects() {
                say!("capture: notes: {defect}");
            }
            save(&Dump::open(view)?)
        }
        Err(error) => {
            say!("capture: elfcorehdr refused: {error}");
            capture_plain(boot)
        }
    }
}

/// Without the elfcorehdr: no notes, but all that can be proven to be RAM.
fn capture_plain(boot: &BootInfo) -> Result<(), Error> {
    let ram = ranges(boot, "ram")?;
    say!("capture: dumping {} bytes that the command line proves to be RAM", ram.total());
    let header = plain_header(&ram)?;
    save(&Dump::open(VmcoreView::from_header(&header, PhysMemory::new(ram), ViewOptions::default())?)?)
}

/// A header for memory of which nothing is known but that it is RAM. The purgatory's digest
/// covers the command line, so what it says is what the first kernel knew.
fn plain_header(ram: &RangeSet) -> Result<Vec<u8>, Error> {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let count = u32::try_from(ram.len())? + 1;
    let layout = HeaderLayout::elfcorehdr(encoding, Arch::X86_64.e_machine(), count)?;
    let mut bytes = vec![0; usize::try_from(layout.size())?];
    layout.write_plain(&mut bytes, ram.iter(), phys::DIRECT_MAP)?;
    Ok(bytes)
}

fn save(dump: &Dump<'_>) -> Result<(), Error> {
    let plan = SavePlan::elf(dump)?;
    // The line is there for when the disk fails: nobody can fetch one later.
    if let Err(error) = copy(&plan, &mut Disk::new(), "disk") {
        say!("capture: disk: {error}");
    }
    let mut stream = Stream::begin(plan.size());
    copy(&plan, &mut stream, "stream")?;
    say!("capture: {} blocks sent, a file of {} bytes", stream.blocks(), plan.size());
    Ok(())
}

/// Writes the file into `sink`, saying how far it is every eighth of the way.
fn copy(plan: &SavePlan<'_>, sink: &mut dyn WriteAt, name: &str) -> Result<(), Error> {
    let mut said = 0;
    // SAFETY: one CPU runs, and copies one file at a time.
    let batch = unsafe { &mut *BATCH.0.get() };
    let report = plan.copy_with(batch, sink, &mut |Progress { done, total, .. }| {
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

/// The value of `key=`: `START-LAST,START-LAST,…`, last addresses inclusive.
fn ranges(boot: &BootInfo, key: &str) -> Result<RangeSet, Error> {
    let text = boot.option(key).unwrap_or_default();
    let words = text.split(',').filter(|word| !word.is_empty());
    let parse = |word: &str| -> Result<PhysRange, Error> {
        let (start, last) = word.split_once('-').ok_or("a range without -")?;
        Ok(PhysRange::from_inclusive(number(start)?, number(last)?)?)
    };
    let ranges = words.map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok(RangeSet::from_ranges(ranges)?)
}

fn number(text: &str) -> Result<u64, Error> {
    match memparse(text.as_bytes()) {
        Some((value, len)) if len == text.len() && len != 0 => Ok(value),
        _ => Err("a number is expected".into()),
    }
}
