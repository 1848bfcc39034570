// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crash-note path as a kernel links it, one function per use; never run.
//!
//! Whatever a function is given is unknown to the compiler, so that a panic it cannot rule out
//! stays in the object.
#![no_std]
#![allow(improper_ctypes_definitions, reason = "no C calls this")]

use kdump_elf::registers::{Arm64, Riscv64, X86_64};
use kdump_elf::{Arch, CrashCause, CrashNote, CrashPath, CrashRole, Endian, write_crash_note};

/// One note, of any architecture and byte order.
#[unsafe(no_mangle)]
extern "C" fn note_of_any_architecture(
    buffer: &mut [u8],
    arch: Arch,
    endian: Endian,
    pid: i32,
    registers: &[u64],
    one: (&str, u64),
) -> bool {
    write_crash_note(buffer, arch, endian, |status| {
        status.set_pid(pid);
        status.set_registers(registers);
        status.set_register(one.0, one.1);
    })
    .is_ok()
}

/// All that the crash path takes from the crate, for one architecture.
macro_rules! crash_path {
    ($name:ident, $registers:ty) => {
        #[unsafe(no_mangle)]
        extern "C" fn $name(
            notes: &[CrashNote<$registers>],
            path: &CrashPath,
            cpu: usize,
            registers: &$registers,
            cause: &CrashCause,
            pid: i32,
        ) -> u32 {
            let Some(note) = notes.get(cpu) else { return u32::MAX };
            note.save(registers, -1);
            note.set_cause(cause);
            let role = path.enter(cpu as u64);
            let step = if role == CrashRole::Other { u32::MAX } else { path.next_step() };
            if notes.iter().all(CrashNote::is_saved) {
                note.set_pid(pid);
            }
            step
        }
    };
}

crash_path!(crash_path_x86_64, X86_64);
crash_path!(crash_path_arm64, Arm64);
crash_path!(crash_path_riscv64, Riscv64);

/// May panic: shows that a panic is found.
#[unsafe(no_mangle)]
extern "C" fn may_panic(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    panic_is_linked()
}

/// The symbol that gives a panic away.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn panic_is_linked() -> ! {
    loop {
        core::hint::spin_loop();
    }
}
