//! The crash path: from an exception to the next kernel.
//!
//! Runs in a kernel that is broken in an unknown way, so it allocates nothing, waits for nobody
//! without a limit, and saves the registers before it touches anything that may be what is broken.
//! What follows is done in steps, each of which is tried once: an exception in one of them leads
//! back here, and on to the next.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use kdump_elf::{CrashCause, CrashPath, CrashRole};

use crate::apic::Ipi;
use crate::cause::Hurt;
use crate::per_cpu::{self, PerCpu};
use crate::text::Text;
use crate::trap::{self, TrapFrame};
use crate::{apic, cause, cpu, heap, phys, say, task};

/// How long the other CPUs get to save their registers.
const PATIENCE_MICROSECONDS: u32 = 1_000_000;

/// How often the way out is tried.
const ATTEMPTS: u32 = 3;

/// The number that stands for a task until it is known: no task has it, and no other CPU.
const UNKNOWN_TASK: i32 = 1 << 30;

static CRASH: CrashPath = CrashPath::new();

/// Physical address of the purgatory, 0 while nothing is loaded.
static PURGATORY: AtomicU64 = AtomicU64::new(0);

/// What the allocator had counted when the crash began and when it ended, for the dump to show.
#[unsafe(no_mangle)]
static ALLOCATIONS_AT_CRASH: AtomicU64 = AtomicU64::new(0);
#[unsafe(no_mangle)]
static ALLOCATIONS_AT_EXIT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    /// Leaves this kernel (trap.s).
    fn enter(entry: u64) -> !;
}

/// What a CPU keeps of its first exception, which is the one that counts: those that follow are about
/// the crash path.
pub(crate) struct Dying {
    /// On whatever stack it was taken, which nobody uses any more. Null before.
    frame: AtomicPtr<TrapFrame>,
    vector: AtomicU64,
    fault_address: AtomicU64,
    page_table: AtomicU64,
    /// Whether its task was looked for.
    task: AtomicBool,
    /// Whether it has done all it can.
    stopped: AtomicBool,
    /// What a panic on this CPU said.
    panic: UnsafeCell<Text>,
}

// SAFETY: the text is written and read by the CPU it belongs to.
unsafe impl Sync for Dying {}

impl Dying {
    pub(crate) const fn new() -> Self {
        Self {
            frame: AtomicPtr::new(core::ptr::null_mut()),
            vector: AtomicU64::new(0),
            fault_address: AtomicU64::new(0),
            page_table: AtomicU64::new(0),
            task: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            panic: UnsafeCell::new(Text::new()),
        }
    }

    /// The first exception, which is this one if there was none.
    fn first<'f>(&self, frame: &'f TrapFrame, vector: u64) -> &'f TrapFrame {
        // SAFETY: frames of exceptions from which nobody returns.
        if let Some(first) = unsafe { self.frame.load(Ordering::Relaxed).as_ref() } {
            return first;
        }
        self.vector.store(vector, Ordering::Relaxed);
        self.fault_address.store(cpu::cr2(), Ordering::Relaxed);
        self.page_table.store(cpu::cr3(), Ordering::Relaxed);
        self.frame.store(core::ptr::from_ref(frame).cast_mut(), Ordering::Relaxed);
        frame
    }

    /// What happened, in words.
    fn text(&self) -> &str {
        // SAFETY: this CPU wrote it, and no longer does.
        let panic = unsafe { &*self.panic.get() }.as_str();
        match self.vector.load(Ordering::Relaxed) {
            trap::NMI => "NMI",
            trap::INVALID_OPCODE if !panic.is_empty() => panic,
            trap::INVALID_OPCODE => "invalid opcode",
            trap::DOUBLE_FAULT => "double fault",
            trap::PAGE_FAULT => "page fault",
            _ => "exception",
        }
    }

    fn cause(&self, frame: &TrapFrame) -> CrashCause {
        CrashCause {
            exception: self.vector.load(Ordering::Relaxed),
            code: frame.error_code(),
            fault_address: self.fault_address.load(Ordering::Relaxed),
            page_table: self.page_table.load(Ordering::Relaxed),
            ..CrashCause::with_text(self.text())
        }
    }
}

/// From now on a crash leads to the purgatory at this physical address.
pub(crate) fn arm(purgatory: u64) {
    PURGATORY.store(purgatory, Ordering::Release);
}

/// Whether a CPU has crashed.
pub(crate) fn has_begun() -> bool {
    CRASH.has_begun()
}

/// Keeps what a panic says for the dump, then dies of it.
pub(crate) fn panic(this: &PerCpu, info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: of this CPU. A panic within the formatting of a panic begins a new text.
    let text = unsafe { &mut *this.dying.panic.get() };
    text.clear();
    if let Some(place) = info.location() {
        // Text that does not fit is cut.
        // Of a path into somebody's library the end is enough.
        let file = place.file().rsplit_once("/src/").map_or(place.file(), |(_, file)| file);
        let _ = core::fmt::write(text, format_args!("{file}:{}: ", place.line()));
    }
    let _ = core::fmt::write(text, format_args!("{}", info.message()));
    cpu::undefined()
}

/// The end of this CPU, on its crash stack.
pub(crate) fn enter_crash(frame: &TrapFrame, vector: u64) -> ! {
    let this = PerCpu::this();
    cause::hurt_deaf(this.index, vector);
    let frame = this.dying.first(frame, vector);
    cause::hurt_nmi(Hurt::NmiInSave);
    if this.note.save(&frame.registers(), UNKNOWN_TASK + this.index as i32) {
        this.note.set_cause(&this.dying.cause(frame));
    }
    cause::hurt_together();
    match CRASH.enter(this.index as u64) {
        CrashRole::Owner => {
            ALLOCATIONS_AT_CRASH.store(heap::ALLOCATIONS.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        CrashRole::OwnerAgain => {}
        CrashRole::Other => {
            find_task(this);
            this.dying.stopped.store(true, Ordering::Release);
            cpu::halt()
        }
    }
    loop {
        match CRASH.next_step() {
            0 => phys::take_way_out(),
            1 => stop_others(this),
            2 => find_task(this),
            3 => report(this, frame),
            step if step < 4 + ATTEMPTS => leave(),
            _ => cpu::reset(),
        }
    }
}

/// Looks up the task of this CPU, once: the run queue may be what is broken.
fn find_task(this: &PerCpu) {
    if !this.dying.task.swap(true, Ordering::AcqRel) {
        match task::current(this) {
            0 => {}
            task => this.note.set_pid(task as i32),
        }
    }
}

fn report(this: &PerCpu, frame: &TrapFrame) {
    cause::hurt_nmi(Hurt::Nmi);
    let (index, rip, cause) = (this.index, frame.rip(), this.dying.cause(frame));
    // The note has the beginning of what a panic said, the console all that was kept.
    let (text, address) = (this.dying.text(), cause.fault_address);
    match cause.exception {
        trap::PAGE_FAULT => say!("crash: {text} on CPU {index} at {rip:#x} about {address:#x}"),
        _ => say!("crash: {text} on CPU {index} at {rip:#x} (exception {})", cause.exception),
    }
    for other in per_cpu::all().filter(|other| !is_done(other, this)) {
        let what = if other.note.is_saved() { "did not stop" } else { "left no registers" };
        say!("crash: CPU {} {what}", other.index);
    }
}

/// Sends an NMI, which reaches a CPU that spins with interrupts off, to each of the others that
/// runs, and waits for them.
fn stop_others(this: &PerCpu) {
    for other in per_cpu::all().filter(|other| !is_done(other, this)) {
        apic::send(other.apic_id, Ipi::Nmi);
    }
    for _ in 0..PATIENCE_MICROSECONDS {
        if per_cpu::all().all(|other| is_done(other, this)) {
            return;
        }
        cpu::delay(1);
    }
}

/// Whether nothing more is expected of a CPU.
fn is_done(other: &PerCpu, this: &PerCpu) -> bool {
    let absent = other.index == this.index || !other.online.load(Ordering::Acquire);
    absent || other.dying.stopped.load(Ordering::Acquire)
}

/// Jumps to the purgatory, or resets the machine when there is none: before one is loaded, and
/// in the capture kernel itself.
fn leave() -> ! {
    let purgatory = PURGATORY.load(Ordering::Acquire);
    if purgatory == 0 {
        say!("crash: no capture kernel is loaded, the machine is reset");
        cpu::reset();
    }
    ALLOCATIONS_AT_EXIT.store(heap::ALLOCATIONS.load(Ordering::Relaxed), Ordering::Relaxed);
    phys::take_way_out();
    // SAFETY: the loader put the purgatory there; the new page tables show it at its address.
    unsafe { enter(purgatory) }
}
