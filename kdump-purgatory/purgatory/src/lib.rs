//! The purgatory: what runs between the dead kernel and the capture kernel.
//!
//! It verifies that the capture kernel in memory is the one that was loaded, copies low memory
//! out of its way and enters it. `ARCH/entry.s` is the first and the last instruction; this is the
//! middle. There is no operating system, no allocation and no panic: an operation which could
//! panic leaves the symbol `purgatory_panicked` undefined, and the build refuses the object.
#![no_std]

#[cfg_attr(target_arch = "aarch64", path = "arm64/caches.rs")]
#[cfg_attr(not(target_arch = "aarch64"), path = "caches_left_on.rs")]
mod caches;
#[cfg_attr(target_arch = "aarch64", path = "arm64/cpu.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "ppc64/cpu.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/cpu.rs")]
#[cfg_attr(any(target_arch = "x86", target_arch = "x86_64"), path = "x86/cpu.rs")]
mod cpu;
mod digest;
mod handover;
#[cfg_attr(target_arch = "aarch64", path = "arm64/mem.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/mem.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "ppc64/mem.rs")]
#[cfg_attr(target_arch = "x86", path = "i386/mem.rs")]
#[cfg_attr(target_arch = "x86_64", path = "x86_64/mem.rs")]
mod mem;
mod serial;
mod sha256;
#[cfg(target_arch = "aarch64")]
#[path = "arm64/tables.rs"]
mod tables;
#[cfg_attr(target_arch = "aarch64", path = "arm64/uart.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64/uart.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "ppc64/uart.rs")]
#[cfg_attr(any(target_arch = "x86", target_arch = "x86_64"), path = "x86/uart.rs")]
mod uart;

use core::arch::global_asm;

use caches::Caches;
use handover::MismatchAction;
use serial::Console;

#[cfg(target_arch = "x86_64")]
global_asm!(include_str!("x86_64/entry.s"));
#[cfg(target_arch = "x86")]
global_asm!(include_str!("i386/entry.s"));
#[cfg(target_arch = "aarch64")]
global_asm!(include_str!("arm64/entry.s"));
#[cfg(target_arch = "riscv64")]
global_asm!(include_str!("riscv64/entry.s"));
#[cfg(target_arch = "powerpc64")]
global_asm!(include_str!("ppc64/entry.s"));

/// Returns when the capture kernel is to be entered.
///
/// # Safety
/// Called once, by `entry.s`, in ring 0 (EL1 or EL2, supervisor state) with every region of the hand-over mapped.
#[unsafe(no_mangle)]
unsafe extern "C" fn purgatory_main() {
    let console = Console::open();
    if handover::skip_checks() {
        console.print("purgatory: digest not checked\r\n");
    } else {
        verify(&console);
    }
    if let Some(copy) = handover::backup() {
        // SAFETY: the loader named source and destination; both are mapped (only they are RAM).
        unsafe { mem::copy(copy.from, copy.to, copy.len) };
        console.print("purgatory: low memory saved\r\n");
    }
}

/// Compares the digest of the regions with the loader's; what follows a mismatch is the
/// loader's choice.
fn verify(console: &Console) {
    let expected = handover::expected_digest();
    // SAFETY: nothing else runs, and nothing is said on the console before they are switched off.
    let caches = unsafe { Caches::on(handover::regions()) };
    // SAFETY: the loader's table names loaded segments, which are mapped; the loader knows the CPUs.
    let actual = unsafe { digest::digest(handover::regions(), handover::sha_instructions()) };
    // SAFETY: the same table.
    let how = unsafe { caches.off(handover::regions()) };
    if actual == expected {
        console.print("purgatory: digest matches");
        console.print(how);
        return;
    }
    console.print("purgatory: digest mismatch, expected ");
    console.print_hex(&expected);
    console.print(", actual ");
    console.print_hex(&actual);
    match handover::mismatch_action() {
        MismatchAction::Halt => {
            console.print("; halted\r\n");
            cpu::halt()
        }
        MismatchAction::Reset => {
            console.print("; resetting\r\n");
            cpu::reset()
        }
        MismatchAction::Continue => console.print("; continuing\r\n"),
    }
}

unsafe extern "C" {
    /// Defined nowhere.
    fn purgatory_panicked() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never linked, see the crate's documentation.
    unsafe { purgatory_panicked() }
}
