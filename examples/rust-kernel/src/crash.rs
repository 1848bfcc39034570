//! The crash path: from an exception to the next kernel.
//!
//! Runs in a kernel that is broken in an unknown way, so it allocates nothing, waits for nobody
//! without a limit, and touches only what was prepared: the note buffers, the crash stacks,
//! one entry of the page tables, the console and the local APIC.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::per_cpu::PerCpu;
use crate::trap::{self, TrapFrame};
use crate::{apic, cpu, heap, notes, phys, say, smp, task};

/// No CPU has crashed.
const NOBODY: usize = usize::MAX;

/// How long the other CPUs get to save their registers.
const PATIENCE_MICROSECONDS: u32 = 1_000_000;

/// The CPU that crashed first; the others follow.
static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);

/// CPUs whose registers are saved and which have stopped.
static STOPPED: AtomicUsize = AtomicUsize::new(0);

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

/// From now on a crash leads to the purgatory at this physical address.
pub(crate) fn arm(purgatory: u64) {
    PURGATORY.store(purgatory, Ordering::Release);
}

/// The end of this CPU, on its crash stack.
pub(crate) fn enter_crash(frame: &TrapFrame, vector: u64) -> ! {
    let this = PerCpu::this();
    let first = OWNER.compare_exchange(NOBODY, this.index, Ordering::AcqRel, Ordering::Acquire);
    match first {
        Ok(_) => {
            ALLOCATIONS_AT_CRASH.store(heap::ALLOCATIONS.load(Ordering::Relaxed), Ordering::Relaxed);
            report(this, frame, vector);
            save(this, frame);
            stop_others();
            leave()
        }
        Err(owner) if owner == this.index => {
            // The crash path itself crashed. Whatever is prepared by now must do.
            say!("crash: exception {vector} at {:#x} on the way out", frame.rip());
            leave()
        }
        Err(_) => {
            save(this, frame);
            STOPPED.fetch_add(1, Ordering::Release);
            cpu::halt()
        }
    }
}

fn report(this: &PerCpu, frame: &TrapFrame, vector: u64) {
    let (index, rip) = (this.index, frame.rip());
    match vector {
        trap::NMI => say!("crash: NMI on CPU {index} at {rip:#x}"),
        trap::INVALID_OPCODE => say!("crash: end of a panic on CPU {index} at {rip:#x}"),
        trap::DOUBLE_FAULT => say!("crash: double fault on CPU {index} at {rip:#x}"),
        trap::PAGE_FAULT => say!("crash: page fault on CPU {index} at {rip:#x} about {:#x}", cpu::cr2()),
        _ => say!("crash: exception {vector} on CPU {index} at {rip:#x}"),
    }
}

/// Writes the note of this CPU, once: an NMI may arrive while it is dying already.
fn save(this: &PerCpu, frame: &TrapFrame) {
    if !this.saved.swap(true, Ordering::AcqRel) {
        notes::save_registers(this.index, task::current(this), frame);
    }
}

fn stop_others() {
    let others = smp::ONLINE.load(Ordering::Acquire) - 1;
    apic::nmi_to_others();
    for _ in 0..PATIENCE_MICROSECONDS {
        if STOPPED.load(Ordering::Acquire) >= others {
            return;
        }
        cpu::delay(1);
    }
    say!("crash: only {} of {others} CPUs stopped", STOPPED.load(Ordering::Acquire));
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
    phys::identity_map(true);
    // SAFETY: the loader put the purgatory there; the identity map shows it at its address.
    unsafe { enter(purgatory) }
}
