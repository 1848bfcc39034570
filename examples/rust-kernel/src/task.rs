//! A workload worth dumping: tasks with stacks, registers and pages of known content, switched
//! in turn on the CPU they belong to.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use kdump_elf::PhysRange;

use crate::per_cpu::PerCpu;
use crate::phys::{self, PAGE};
use crate::{cause, frames, say, stack};

/// Tasks of each CPU, and pages of each task.
const TASKS: usize = 2;
const PAGES: usize = 16;

/// Turns of `hold`, about a millisecond.
const TURNS: u64 = 20_000;

unsafe extern "C" {
    fn switch_stack(from: *mut u64, to: u64);
    fn hold(base: u64, turns: u64);
}

/// Something to run, with a stack of its own.
pub(crate) struct Task {
    id: u32,
    stack_pointer: u64,
    run: fn(u32) -> !,
}

/// The tasks of one CPU.
pub(crate) struct RunQueue {
    tasks: Vec<Task>,
    current: usize,
    /// Where the stack pointer of whoever called [`run`] goes; never taken up again.
    abandoned: u64,
}

impl RunQueue {
    pub(crate) const fn new() -> Self {
        Self { tasks: Vec::new(), current: 0, abandoned: 0 }
    }
}

/// Adds a task to a CPU that does not run tasks yet. Says whether memory sufficed.
pub(crate) fn spawn(per_cpu: &mut PerCpu, run: fn(u32) -> !) -> bool {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let queue = per_cpu.run_queue.get_mut();
    let (Some(top), Ok(())) = (stack::allocate(), queue.tasks.try_reserve(1)) else { return false };
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    // What `switch_stack` takes from the stack of a task: six registers, then where to return.
    // Behind it an empty return address, which ends every backtrace.
    let frame = [0, 0, 0, 0, 0, 0, begin as *const () as u64, 0];
    // SAFETY: the top of a fresh stack.
    let stack_pointer = unsafe {
        let pointer = (top as *mut [u64; 8]).sub(1);
        pointer.write(frame);
        pointer as u64
    };
    let bottom = top - stack::SIZE as u64;
    say!("witness task={id} cpu={} stack={bottom:#x}-{top:#x}", per_cpu.index);
    queue.tasks.push(Task { id, stack_pointer, run });
    true
}

/// Adds the tasks that keep a CPU busy.
pub(crate) fn spawn_workload(per_cpu: &mut PerCpu) {
    for _ in 0..TASKS {
        if !spawn(per_cpu, work) {
            say!("no memory for a task of CPU {}", per_cpu.index);
        }
    }
}

/// Runs the tasks of this CPU for ever.
pub(crate) fn run() -> ! {
    let queue = PerCpu::this().run_queue.get();
    // SAFETY: only this CPU touches its queue.
    let queue = unsafe { &mut *queue };
    if let Some(first) = queue.tasks.first() {
        // SAFETY: `spawn` made this stack for it.
        unsafe { switch_stack(&raw mut queue.abandoned, first.stack_pointer) };
    }
    crate::cpu::halt()
}

/// Lets the next task of this CPU run.
pub(crate) fn yield_now() {
    let queue = PerCpu::this().run_queue.get();
    // SAFETY: only this CPU touches its queue, and nothing interrupts it here.
    let queue = unsafe { &mut *queue };
    let from = queue.current;
    queue.current = (from + 1) % queue.tasks.len();
    let next = queue.tasks.get(queue.current).map(|task| task.stack_pointer);
    if let (Some(current), Some(next)) = (queue.tasks.get_mut(from), next) {
        if from != queue.current {
            // SAFETY: `next` is a stack that `switch_stack` or `spawn` left.
            unsafe { switch_stack(&raw mut current.stack_pointer, next) };
        }
    }
}

/// The task that runs on a CPU, 0 before there is one. Part of the crash path.
pub(crate) fn current(per_cpu: &PerCpu) -> u32 {
    // SAFETY: read by the CPU that owns it, which has stopped whatever it did.
    let queue = unsafe { &*per_cpu.run_queue.get() };
    queue.tasks.get(queue.current).map_or(0, |task| task.id)
}

/// Has the list of tasks of this CPU lead nowhere, for tests.
pub(crate) fn damage() {
    let queue = PerCpu::this().run_queue.get();
    // SAFETY: none: the address is none that a CPU knows. Nothing uses the list before the crash.
    unsafe {
        (&raw mut (*queue).tasks).write(Vec::from_raw_parts(0xdead_0000_0000_0000_u64 as *mut Task, 2, 2))
    };
}

/// The first function of every task.
extern "C" fn begin() -> ! {
    let queue = PerCpu::this().run_queue.get();
    // SAFETY: only this CPU touches its queue.
    let queue = unsafe { &*queue };
    match queue.tasks.get(queue.current).map(|task| (task.run, task.id)) {
        Some((run, id)) => run(id),
        None => crate::cpu::halt(),
    }
}

/// The word at a physical address of a task's page: nothing else in memory looks like it
/// (the output function of SplitMix64).
fn known_word(paddr: u64) -> u64 {
    let mut z = paddr.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Fills pages with known content, then shows known registers whenever it runs.
fn work(id: u32) -> ! {
    for index in 0..PAGES {
        // Half of them below 1 MiB, where the capture kernel works.
        let least = if index % 2 == 0 { 0 } else { 1 << 20 };
        let Some(paddr) = frames::allocate_range(PAGE, PAGE, least).map(PhysRange::start) else { break };
        // SAFETY: the frame is ours.
        let page = unsafe { phys::bytes_mut(paddr, PAGE as usize) };
        for (at, word) in (paddr..).step_by(8).zip(page.chunks_exact_mut(8)) {
            word.copy_from_slice(&known_word(at).to_le_bytes());
        }
        say!("witness page={paddr:#x} task={id}");
    }
    say!("witness filled task={id}");
    loop {
        cause::obey(PerCpu::this().index);
        // SAFETY: touches registers only.
        unsafe { hold(u64::from(id) << 32, TURNS) }; // stays here: hold
        yield_now();
    }
}
