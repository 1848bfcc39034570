//! Ways for a kernel to die, each from a function whose name and line a debugger must find.

use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::apic::{self, Ipi};
use crate::{per_cpu, say, task, trap};

/// The causes by the names they have on the console.
const CAUSES: [(&str, fn()); 4] = [
    ("null", || null_dereference(black_box(core::ptr::null()))),
    ("panic", || explicit_panic(black_box(3))),
    ("double-fault", || _ = black_box(overflow_stack(black_box(1)))),
    ("run-queue", || damaged_run_queue(black_box(core::ptr::null()))),
];

/// What can be broken on the crash path, for tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hurt {
    /// The console faults once a CPU has crashed.
    Console,
    /// An NMI comes while the owner reports.
    Nmi,
    /// An NMI comes before the registers are saved.
    NmiInSave,
    /// CPU 1 does not hear NMIs.
    Deaf,
    /// All CPUs have saved their registers before any of them goes on.
    Together,
}

const HURTS: [(&str, Hurt); 5] = [
    ("console", Hurt::Console),
    ("nmi", Hurt::Nmi),
    ("nmi-in-save", Hurt::NmiInSave),
    ("deaf", Hurt::Deaf),
    ("together", Hurt::Together),
];

/// What is broken: 1 plus an index of `HURTS`.
static HURT: AtomicUsize = AtomicUsize::new(0);

/// Every CPU.
const ALL: usize = 0xff_ffff;

/// What a CPU was told to die of: its number times 256, plus 1, plus the index of the cause.
static ORDER: AtomicUsize = AtomicUsize::new(0);

/// Has a CPU die, or each of them, the next time it asks [`obey`].
pub(crate) fn order(cpu: Option<usize>, name: &str) {
    let cpu = cpu.unwrap_or(ALL);
    match CAUSES.iter().position(|(known, _)| *known == name) {
        Some(index) => ORDER.store(cpu << 8 | (index + 1), Ordering::Release),
        None => say!("causes: null, panic, double-fault, run-queue; then perhaps a CPU, or all"),
    }
}

/// Has the crash path meet something broken.
pub(crate) fn hurt(name: &str) {
    match HURTS.iter().position(|(known, _)| *known == name) {
        Some(index) => HURT.store(index + 1, Ordering::Release),
        None => say!("to hurt: console, nmi, nmi-in-save, deaf, together"),
    }
}

fn is_hurt(what: Hurt) -> bool {
    let index = HURT.load(Ordering::Acquire).checked_sub(1);
    index.and_then(|index| HURTS.get(index)).is_some_and(|(_, hurt)| *hurt == what)
}

/// Faults if the console is to.
pub(crate) fn hurt_console() {
    if crate::crash::has_begun() && is_hurt(Hurt::Console) {
        // SAFETY: none. The address is none that a CPU knows, which is the point.
        unsafe { (0xdead_0000_0000_0000_u64 as *const u8).read_volatile() };
    }
}

/// Interrupts this CPU, once, if it is to be.
pub(crate) fn hurt_nmi(what: Hurt) {
    if is_hurt(what) {
        HURT.store(0, Ordering::Release);
        apic::send(apic::id(), Ipi::Nmi);
        // It may take a moment.
        crate::cpu::delay(1000);
    }
}

/// Waits for the exceptions of all other CPUs if they are to come at once.
pub(crate) fn hurt_together() {
    let done = || per_cpu::all().all(|cpu| cpu.note.is_saved());
    while is_hurt(Hurt::Together) && !done() {
        core::hint::spin_loop();
    }
}

/// Hangs if this CPU is not to hear the NMI.
pub(crate) fn hurt_deaf(cpu: usize, vector: u64) {
    while cpu == 1 && vector == trap::NMI && is_hurt(Hurt::Deaf) {
        core::hint::spin_loop();
    }
}

/// Dies if this CPU is the one that was told to.
pub(crate) fn obey(cpu: usize) {
    let order = ORDER.load(Ordering::Acquire);
    if let Some((_, die)) = (order & 0xff).checked_sub(1).and_then(|index| CAUSES.get(index)) {
        if order >> 8 == cpu || order >> 8 == ALL {
            die();
        }
    }
}

#[inline(never)]
fn null_dereference(pointer: *const u64) {
    // SAFETY: none. Page 0 is not mapped, which is the point.
    let value = unsafe { pointer.read_volatile() }; // dies here: null
    say!("page 0 holds {value:#x}");
}

#[inline(never)]
#[allow(clippy::panic, reason = "the point")]
fn explicit_panic(reasons: u32) {
    panic!("for {reasons} good reasons"); // dies here: panic
}

/// Dies with a list of tasks that leads nowhere.
#[inline(never)]
fn damaged_run_queue(pointer: *const u64) {
    task::damage();
    // SAFETY: none. Page 0 is not mapped, which is the point.
    let value = unsafe { pointer.read_volatile() }; // dies here: run-queue
    say!("page 0 holds {value:#x}");
}

/// Runs into the guard page below the stack. The exception cannot be delivered on that stack,
/// so it becomes a double fault, which has a stack of its own.
#[inline(never)]
#[allow(unconditional_recursion, reason = "the point")]
fn overflow_stack(depth: u64) -> u64 {
    let frame = black_box([depth; 32]); // dies here: double-fault
    frame.iter().sum::<u64>() + overflow_stack(black_box(depth + 1))
}
