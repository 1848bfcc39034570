//! What the kdump crates add to a kernel, in bytes: built once without them and once per feature.
//!
//! Never run. Whatever comes from outside is hidden from the compiler, so that nothing is computed
//! in advance; the formatting of numbers and text, which every kernel has, is part of the program
//! without them.
#![no_std]
#![no_main]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt::{self, Display, Write};
use core::hint::black_box;

struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        black_box(text);
        Ok(())
    }
}

struct NoHeap;

// SAFETY: it has no memory to hand out.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        black_box(layout);
        black_box(core::ptr::null_mut())
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        black_box(pointer);
    }
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

/// The entry that the linker script names; everything used must be reached from here.
#[unsafe(no_mangle)]
extern "C" fn boot64() -> ! {
    say(&black_box(1_u64));
    say(&black_box("text"));
    let _ = write!(Nowhere, "{:#x} {:?} {:>4}", black_box(2_u64), black_box("x"), black_box(3_i32));
    black_box(alloc::vec![black_box(1_u8); black_box(2)]);
    #[cfg(feature = "size-crash-note")]
    crash_note::run(black_box(0));
    #[cfg(feature = "size-notes")]
    report(notes::run(black_box(&mut [0; 1024])));
    #[cfg(feature = "size-view")]
    report(view::run());
    #[cfg(feature = "size-all")]
    report(all::run());
    loop {
        core::hint::spin_loop();
    }
}

fn say(what: &dyn Display) {
    let _ = write!(Nowhere, "{}", black_box(what));
}

#[cfg(feature = "size")]
#[allow(dead_code, reason = "used by the features on top of it")]
fn report<E: Display>(result: Result<(), E>) {
    if let Err(error) = result {
        say(&error);
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say(info);
    loop {
        core::hint::spin_loop();
    }
}

/// The crash path of a kernel that knows its architecture: a note per CPU, and the order of steps.
#[cfg(feature = "size-crash-note")]
mod crash_note {
    use core::hint::black_box;

    use kdump_elf::registers::X86_64;
    use kdump_elf::{CrashCause, CrashNote, CrashPath, CrashRole};

    static NOTES: [CrashNote<X86_64>; 4] = [const { CrashNote::new() }; 4];
    static PATH: CrashPath = CrashPath::new();

    pub(crate) fn run(cpu: usize) {
        let Some(note) = NOTES.get(cpu) else { return };
        if note.save(black_box(&X86_64::default()), black_box(1)) {
            note.set_cause(&CrashCause {
                exception: black_box(14),
                ..CrashCause::with_text(black_box("text"))
            });
        }
        if PATH.enter(cpu as u64) != CrashRole::Other {
            black_box(PATH.next_step());
        }
        black_box(NOTES.iter().all(CrashNote::is_saved));
        note.set_pid(black_box(2));
    }
}

/// What a kernel needs that leaves the rest to others: notes, VMCOREINFO, elfcorehdr.
#[cfg(feature = "size-notes")]
mod notes {
    use core::hint::black_box;

    use kdump_elf::{
        Arch, Class, Encoding, Endian, Error, HeaderLayout, Phdr, VmcoreInfoWriter, write_crash_note,
        write_note,
    };

    pub(crate) fn run(buffer: &mut [u8]) -> Result<(), Error> {
        write_crash_note(buffer, Arch::X86_64, Endian::Little, |status| {
            status.set_pid(black_box(1));
            status.set_registers(black_box(&[0; 27]));
        })?;
        let mut text = [0; 512];
        let mut info = VmcoreInfoWriter::new(&mut text);
        info.line("OSRELEASE", black_box("1"))?;
        info.symbol("a", black_box(1))?;
        info.number("b", black_box(1))?;
        write_note(buffer, Endian::Little, b"VMCOREINFO", 0, info.text())?;
        let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
        let mut writer = HeaderLayout::elfcorehdr(encoding, 62, black_box(9))?.writer(buffer)?;
        writer.push(black_box(&Phdr::default()))?;
        black_box(writer.finish()?);
        Ok(())
    }
}

/// The vmcore of a dead kernel, to be read by offset and by address.
#[cfg(feature = "size-view")]
mod view {
    use core::hint::black_box;

    use kdump_elf::Paddr;
    use kdump_vmcore::{Error, OldMemory, ReadAt, Stopped, ViewOptions, VmcoreView};

    pub(crate) struct Memory;

    impl OldMemory for Memory {
        fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
            black_box((paddr, buf));
            Ok(())
        }
    }

    pub(crate) fn open() -> Result<VmcoreView<Memory>, Error> {
        VmcoreView::from_memory(black_box(Paddr(1)), Memory, ViewOptions::default())
    }

    pub(crate) fn run() -> Result<(), Error> {
        let view = open()?;
        black_box(view.read_at(black_box(0), black_box(&mut [0; 64]))?);
        view.read_phys(black_box(Paddr(2)), black_box(&mut [0; 64])).map_err(|stopped| stopped.error)
    }
}

/// All that the example kernel does: plan, link and check a load, save a dump.
#[cfg(feature = "size-all")]
mod all {
    use core::hint::black_box;
    use core::ops::ControlFlow;

    use alloc::boxed::Box;

    use kdump_elf::{Arch, PhysRange};
    use kdump_purgatory::ObjectPurgatory;
    use kdump_segments::plan::{Plan, PlanInputs, PlanOptions};
    use kdump_segments::preflight::{Environment, check_plan};
    use kdump_segments::{CrashkernelLimits, CrashkernelRequest, Machine, MemoryKind, MemoryMap, RangeSet};
    use kdump_vmcore::{Dump, SavePlan, WriteAt};

    struct Sink;

    impl WriteAt for Sink {
        fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), kdump_vmcore::Error> {
            black_box((offset, bytes));
            Ok(())
        }

        fn is_sparse(&self) -> bool {
            black_box(false)
        }

        fn finish(&mut self, size: u64) -> Result<(), kdump_vmcore::Error> {
            black_box(size);
            Ok(())
        }
    }

    pub(crate) fn run() -> Result<(), Box<dyn core::error::Error>> {
        let range = PhysRange::from_len(black_box(0), black_box(1))?;
        let request = CrashkernelRequest::parse(black_box("crashkernel=1M"), 1, Arch::X86_64)?;
        let limits = CrashkernelLimits::of(Arch::X86_64).ok_or("limits")?;
        if let Some(request) = request {
            black_box(request.would_reserve(&RangeSet::from(range), &limits)?);
        }
        let mut memory = MemoryMap::new();
        memory.insert(range, MemoryKind::Ram);
        let machine = Machine::new(Arch::X86_64, 4096, memory);
        let (options, purgatory) = (PlanOptions::default(), ObjectPurgatory::builtin(Arch::X86_64)?);
        let kernel = black_box(&[][..]);
        let inputs = PlanInputs::new(&machine, kernel, &purgatory).options(&options);
        let plan = Plan::new(&inputs)?;
        black_box(check_plan(&plan, &machine, &Environment::of_machine(&machine)?)?.failure());
        black_box(&plan.segments);
        let dump = Dump::open(super::view::open()?)?;
        SavePlan::elf(&dump)?.copy(&mut Sink, &mut |progress| {
            black_box(progress);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }
}
