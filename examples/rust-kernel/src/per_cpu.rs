//! What each CPU has of its own: descriptors, stacks for emergencies, its tasks.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use alloc::boxed::Box;

use kdump_elf::CrashNote;
use kdump_elf::registers::X86_64;
use spin::Once;

use crate::crash::Dying;
use crate::task::RunQueue;
use crate::{cpu, say, stack, trap};

/// A place for each CPU that ACPI names, filled while they start. The crash path reads it: no lock,
/// and an end.
static ALL: Once<&'static [AtomicPtr<PerCpu>]> = Once::new();

/// Selector of kernel code; that of data follows. Linux has the same.
pub(crate) const KERNEL_CODE: u16 = 0x10;
const KERNEL_DATA: u16 = 0x18;
const TASK_STATE: u16 = 0x20;

/// Entries of the interrupt stack table, from 1.
pub(crate) const NMI_STACK: u8 = 1;
pub(crate) const DOUBLE_FAULT_STACK: u8 = 2;

/// Found through the base of the GS segment.
#[repr(C)]
pub(crate) struct PerCpu {
    /// Top of the stack of the crash path; trap.s takes it from gs:0.
    pub(crate) crash_stack: u64,
    /// Address of this very structure, read from gs:8.
    this: u64,
    /// Number of this CPU, from 0.
    pub(crate) index: usize,
    /// Number of its local APIC.
    pub(crate) apic_id: u32,
    /// Whether it runs and takes part in a crash.
    pub(crate) online: AtomicBool,
    /// Its place in the elfcorehdr.
    pub(crate) note: CrashNote<X86_64>,
    /// What it keeps for the crash path.
    pub(crate) dying: Dying,
    /// Its tasks; touched by this CPU alone.
    pub(crate) run_queue: UnsafeCell<RunQueue>,
    gdt: [u64; 6],
    tss: TaskState,
}

/// Task state segment of 64-bit mode (Intel SDM vol. 3, "TSS in 64-bit Mode").
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

/// Operand of lgdt and lidt.
#[repr(C, packed)]
pub(crate) struct TablePointer {
    pub(crate) limit: u16,
    pub(crate) base: u64,
}

/// Makes room for `count` CPUs; the capture kernel, which has one, needs none.
pub(crate) fn expect(count: usize) {
    ALL.call_once(|| Box::leak((0..count).map(|_| AtomicPtr::default()).collect()));
}

/// The CPUs there are, whether they run or not. Part of the crash path.
pub(crate) fn all() -> impl Iterator<Item = &'static PerCpu> {
    let slots = ALL.get().copied().unwrap_or_default();
    // SAFETY: null, or made by `PerCpu::new`, never freed.
    slots.iter().filter_map(|slot| unsafe { slot.load(Ordering::Acquire).as_ref() })
}

impl PerCpu {
    /// Data and stacks for one more CPU; lives for ever. `None` when stacks or memory ran out.
    pub(crate) fn new(index: usize, apic_id: u32) -> Option<&'static mut Self> {
        let mut ist = [0; 7];
        for (slot, _) in ist.iter_mut().zip([NMI_STACK, DOUBLE_FAULT_STACK]) {
            *slot = stack::allocate()?;
        }
        let tss = TaskState {
            reserved0: 0,
            rsp: [0; 3],
            reserved1: 0,
            ist,
            reserved2: 0,
            reserved3: 0,
            io_map: size_of::<TaskState>() as u16,
        };
        let this = Box::leak(Box::new(Self {
            crash_stack: stack::allocate()?,
            this: 0,
            index,
            apic_id,
            online: AtomicBool::new(false),
            note: CrashNote::new(),
            dying: Dying::new(),
            run_queue: UnsafeCell::new(RunQueue::new()),
            gdt: [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0],
            tss,
        }));
        this.this = core::ptr::from_ref(&*this) as u64;
        let (base, limit) = (&raw const this.tss as u64, size_of::<TaskState>() as u64 - 1);
        let low = (base & 0xff_ffff) << 16 | (base >> 24 & 0xff) << 56;
        this.gdt[4] = 0x0000_8900_0000_0000 | low | limit;
        this.gdt[5] = base >> 32;
        let (top, gs_base) = (this.crash_stack, this.this);
        if let Some(slot) = ALL.get().and_then(|all| all.get(index)) {
            slot.store(&raw mut *this, Ordering::Release);
        }
        say!("witness cpu={index} gs_base={gs_base:#x} crash_stack={:#x}-{top:#x}", top - stack::SIZE as u64);
        Some(this)
    }

    /// Makes this the data of the CPU that runs, and catches its exceptions.
    pub(crate) fn install(&'static self) {
        let limit = size_of_val(&self.gdt) as u16 - 1;
        let pointer = TablePointer { limit, base: self.gdt.as_ptr() as u64 };
        // SAFETY: the table has flat code and data at these selectors and lives for ever.
        unsafe {
            asm!(
                "lgdt [{pointer}]",
                "mov ds, {data:x}", "mov es, {data:x}", "mov ss, {data:x}",
                "mov fs, {data:x}", "mov gs, {data:x}",
                "push {code}", "lea {scratch}, [rip + 2f]", "push {scratch}", "retfq",
                "2:",
                "ltr {task:x}",
                pointer = in(reg) &raw const pointer,
                data = in(reg) u64::from(KERNEL_DATA),
                code = in(reg) u64::from(KERNEL_CODE),
                task = in(reg) u64::from(TASK_STATE),
                scratch = out(reg) _,
            );
        }
        // SAFETY: GS is how `this` finds it.
        unsafe { cpu::wrmsr(cpu::MSR_GS_BASE, self.this) };
        trap::install();
        self.online.store(true, Ordering::Release);
    }

    /// As [`PerCpu::this`], before which there may be none.
    pub(crate) fn installed() -> Option<&'static Self> {
        (cpu::gs_base() != 0).then(Self::this)
    }

    /// The data of the CPU that runs.
    pub(crate) fn this() -> &'static Self {
        let this: *const Self;
        // SAFETY: every CPU installs its data before it comes here.
        unsafe {
            asm!("mov {}, gs:[{}]", out(reg) this, const offset_of!(PerCpu, this),
                 options(nostack, preserves_flags, readonly));
        }
        // SAFETY: made by `new`, never freed.
        unsafe { &*this }
    }
}
