//! Exceptions and NMI: all of them end this kernel.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

use kdump_elf::registers::X86_64;

use crate::per_cpu::{DOUBLE_FAULT_STACK, KERNEL_CODE, NMI_STACK, TablePointer};
use crate::{cpu, crash};

global_asm!(include_str!("trap.s"));

/// Vectors of the CPU's own events (Intel SDM vol. 3, "Exception and Interrupt Reference").
const VECTORS: usize = 32;
pub(crate) const NMI: u64 = 2;
pub(crate) const INVALID_OPCODE: u64 = 6;
pub(crate) const DOUBLE_FAULT: u64 = 8;
pub(crate) const PAGE_FAULT: u64 = 14;

unsafe extern "C" {
    static trap_stubs: [u8; 16 * VECTORS];
}

/// The registers as trap.s left them: the order of `pr_reg`, the error code in place of `orig_rax`.
#[repr(transparent)]
pub(crate) struct TrapFrame(pub(crate) [u64; 21]);

impl TrapFrame {
    /// The registers for the note: what is not in the frame has not changed since.
    pub(crate) fn registers(&self) -> X86_64 {
        let [r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, ..] = self.0;
        let [.., _error_code, rip, cs, eflags, rsp, ss] = self.0;
        let data = u64::from(KERNEL_CODE) + 8;
        let (orig_rax, fs_base, gs_base) = (u64::MAX, 0, cpu::gs_base());
        let (ds, es, fs, gs) = (data, data, data, data);
        X86_64 {
            r15,
            r14,
            r13,
            r12,
            rbp,
            rbx,
            r11,
            r10,
            r9,
            r8,
            rax,
            rcx,
            rdx,
            rsi,
            rdi,
            orig_rax,
            rip,
            cs,
            eflags,
            rsp,
            ss,
            fs_base,
            gs_base,
            ds,
            es,
            fs,
            gs,
        }
    }

    /// What the CPU pushed besides, 0 for most exceptions.
    pub(crate) fn error_code(&self) -> u64 {
        self.0[15]
    }

    /// Where it happened.
    pub(crate) fn rip(&self) -> u64 {
        self.0[16]
    }
}

struct Idt(UnsafeCell<[[u64; 2]; VECTORS]>);

// SAFETY: all CPUs write the same values into it.
unsafe impl Sync for Idt {}

static IDT: Idt = Idt(UnsafeCell::new([[0; 2]; VECTORS]));

/// Sends the exceptions of this CPU to trap.s.
pub(crate) fn install() {
    let first = &raw const trap_stubs as u64;
    for (vector, handler) in (0..VECTORS as u64).zip((first..).step_by(16)) {
        let ist = match vector {
            NMI => NMI_STACK,
            DOUBLE_FAULT => DOUBLE_FAULT_STACK,
            _ => 0,
        };
        // An interrupt gate (Intel SDM vol. 3, "64-Bit Mode IDT").
        let low = handler & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | u64::from(ist) << 32
            | 0x8e << 40
            | (handler >> 16 & 0xffff) << 48;
        // SAFETY: in bounds, and `Idt` says why unshared access is not needed.
        unsafe { IDT.0.get().cast::<[u64; 2]>().add(vector as usize).write([low, handler >> 32]) };
    }
    let pointer = TablePointer { limit: (VECTORS * 16 - 1) as u16, base: IDT.0.get() as u64 };
    // SAFETY: a complete table that lives for ever.
    unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, preserves_flags)) };
}

/// Called by trap.s, on the crash stack of this CPU.
#[unsafe(no_mangle)]
extern "C" fn trap(frame: &TrapFrame, vector: u64) -> ! {
    crash::enter_crash(frame, vector)
}
