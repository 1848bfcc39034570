//! One thread per CPU: a writer that crashes the machine, and spinners with known registers.

#![allow(unsafe_code, reason = "pins threads and spins with chosen register values")]

use core::mem::MaybeUninit;
use core::time::Duration;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use kdump_witness::{Cpu, Role, spinner_magic};

/// The CPU whose thread writes to /proc/sysrq-trigger.
const WRITER: u32 = 0;

/// The pinned threads, waiting behind a barrier.
pub(crate) struct Crew {
    /// Who sits where.
    pub(crate) cpus: Vec<Cpu>,
    barrier: Arc<Barrier>,
}

impl Crew {
    /// Starts one thread on each of the `online` CPUs and waits until each is in its place.
    pub(crate) fn assemble(online: u32) -> io::Result<Self> {
        let threads = usize::try_from(online).map_err(io::Error::other)?;
        let barrier = Arc::new(Barrier::new(threads.saturating_add(1)));
        let (tell, told) = channel();
        for cpu in 0..online {
            let (tell, barrier) = (tell.clone(), Arc::clone(&barrier));
            thread::spawn(move || member(cpu, &tell, &barrier));
        }
        drop(tell);
        Ok(Self { cpus: roll_call(&told, threads)?, barrier })
    }

    /// Lets the threads go. Returns only if the crash does not come.
    pub(crate) fn crash(&self) {
        self.barrier.wait();
        thread::sleep(Duration::from_secs(20));
    }
}

fn roll_call(told: &Receiver<io::Result<Cpu>>, threads: usize) -> io::Result<Vec<Cpu>> {
    let mut cpus = told.iter().take(threads).collect::<io::Result<Vec<_>>>()?;
    cpus.sort_by_key(|cpu| cpu.cpu);
    Ok(cpus)
}

fn member(cpu: u32, tell: &Sender<io::Result<Cpu>>, barrier: &Barrier) {
    let role = if cpu == WRITER { Role::Writer } else { Role::Spinner };
    // SAFETY: gettid has no preconditions.
    let tid = unsafe { libc::gettid() };
    let placed = pin(cpu).map(|()| Cpu { cpu, role, tid: tid.unsigned_abs() });
    let failed = placed.is_err();
    if tell.send(placed).is_err() || failed {
        return;
    }
    barrier.wait();
    match role {
        Role::Writer => {
            // The other CPUs must be in their loops before the NMI finds them.
            thread::sleep(Duration::from_secs(1));
            if let Err(error) = std::fs::write("/proc/sysrq-trigger", "c") {
                crate::complain(&format_args!("/proc/sysrq-trigger: {error}"));
            }
        }
        Role::Spinner => spin(spinner_magic(cpu)),
    }
}

/// Ties the calling thread to one CPU, ahead of every ordinary task there.
fn pin(cpu: u32) -> io::Result<()> {
    let cpu = usize::try_from(cpu).map_err(io::Error::other)?;
    // SAFETY: cpu_set_t is a plain bit array, for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: CPU_SET ignores numbers beyond the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is a whole cpu_set_t of the length passed.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sched_param is plain data; zero is valid for each of its fields.
    let mut param: libc::sched_param = unsafe { MaybeUninit::zeroed().assume_init() };
    param.sched_priority = 1;
    // SAFETY: `param` is a whole sched_param. musl's own sched_setscheduler always fails, so the
    // system call is made directly.
    let refused =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const param) };
    if refused != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Spins for ever with values in callee-saved registers that a note must show.
#[cfg(target_arch = "x86_64")]
fn spin(magic: u64) {
    // SAFETY: the loop touches neither memory nor stack and never leaves.
    unsafe {
        core::arch::asm!(
            "2:",
            "pause",
            "jmp 2b",
            in("r12") magic,
            in("r13") !magic,
            in("r14") magic.rotate_left(16),
            in("r15") magic.rotate_left(32),
            options(noreturn, nomem, nostack),
        )
    }
}

/// The same in x20 to x23.
#[cfg(target_arch = "aarch64")]
fn spin(magic: u64) {
    // SAFETY: the loop touches neither memory nor stack and never leaves.
    unsafe {
        core::arch::asm!(
            "2:",
            "yield",
            "b 2b",
            in("x20") magic,
            in("x21") !magic,
            in("x22") magic.rotate_left(16),
            in("x23") magic.rotate_left(32),
            options(noreturn, nomem, nostack),
        )
    }
}

/// The same in r14 to r17.
#[cfg(target_arch = "powerpc64")]
fn spin(magic: u64) {
    // SAFETY: the loop touches neither memory nor stack and never leaves.
    unsafe {
        core::arch::asm!(
            "2:",
            "or 31, 31, 31",
            "b 2b",
            in("r14") magic,
            in("r15") !magic,
            in("r16") magic.rotate_left(16),
            in("r17") magic.rotate_left(32),
            options(noreturn, nomem, nostack),
        )
    }
}

/// The low halves of the same in eax, ecx, edx and edi, those that the compiler does not keep.
#[cfg(target_arch = "x86")]
#[allow(clippy::cast_possible_truncation, reason = "the low halves are meant")]
fn spin(magic: u64) {
    // SAFETY: the loop touches neither memory nor stack and never leaves.
    unsafe {
        core::arch::asm!(
            "2:",
            "pause",
            "jmp 2b",
            in("eax") magic as u32,
            in("ecx") !magic as u32,
            in("edx") magic.rotate_left(16) as u32,
            in("edi") magic.rotate_left(32) as u32,
            options(noreturn, nomem, nostack),
        )
    }
}

/// Elsewhere the thread id alone tells the CPUs apart.
#[cfg(not(any(
    target_arch = "x86",
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "powerpc64"
)))]
fn spin(_magic: u64) {
    loop {
        core::hint::spin_loop();
    }
}
