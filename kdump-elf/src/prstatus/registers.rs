// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers in `pr_reg`, per architecture: names, order and widths
//! (`elf_gregset_t` and `struct user_regs_struct` of each `arch/*/include/uapi/asm`).

#![allow(missing_debug_implementations, reason = "markers that zerocopy derives, seen because of the macro")]
#![allow(clippy::declare_interior_mutable_const, reason = "a value to begin with, never a place")]

use core::sync::atomic::AtomicU32;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::note_size::crash_note_words;
use crate::Arch;

/// The registers of one architecture as a type, in the byte order of the program: what a kernel
/// fills for its own [`CrashNote`](crate::CrashNote).
///
/// The fields stand in the order of `pr_reg`, which is also that of
/// [`PrStatusMut::set_registers`](crate::PrStatusMut::set_registers), and have the names that
/// [`PrStatus::register`](crate::PrStatus::register) takes.
pub trait Registers: IntoBytes + Immutable + sealed::Sealed {
    /// The architecture they are of.
    const ARCH: Arch;
    /// The words of a [`CrashNote`](crate::CrashNote).
    #[doc(hidden)]
    type Words: AsRef<[AtomicU32]>;
    /// A note that is not there.
    #[doc(hidden)]
    const EMPTY: Self::Words;
}

mod sealed {
    /// The layouts are the kernel's: nobody adds one.
    pub trait Sealed {}
}

/// The registers of one architecture as a value.
pub(super) struct Table {
    /// Names and widths in bytes, in order.
    named: &'static [(&'static str, usize)],
    /// Bytes of `pr_reg`, unnamed tail included.
    pub(super) size: usize,
    /// Name of the instruction pointer.
    pub(super) instruction_pointer: &'static str,
    /// Name of the stack pointer.
    pub(super) stack_pointer: &'static str,
}

/// One register's place in `pr_reg`.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: usize,
    pub(super) size: usize,
}

/// All registers of `arch` in order.
pub(super) fn fields(arch: Arch) -> impl Iterator<Item = Field> {
    table(arch).named.iter().scan(0_usize, |next, &(name, size)| {
        let offset = *next;
        *next = offset.saturating_add(size);
        Some(Field { name, offset, size })
    })
}

/// The register table of `arch`.
pub(super) const fn table(arch: Arch) -> Table {
    match arch {
        Arch::X86_64 => X86_64::TABLE,
        Arch::I386 => I386::TABLE,
        Arch::Arm64 => Arm64::TABLE,
        Arch::Arm => Arm::TABLE,
        Arch::Ppc64 => Ppc64::TABLE,
        Arch::Ppc32 => Ppc32::TABLE,
        Arch::Riscv64 => Riscv64::TABLE,
        Arch::S390x => S390x::TABLE,
        Arch::LoongArch64 => LoongArch64::TABLE,
    }
}

/// The names of the registers of `arch` in the order of `pr_reg`: the fields of the structure
/// that is called as the architecture is.
pub fn register_names(arch: Arch) -> impl Iterator<Item = &'static str> {
    fields(arch).map(|field| field.name)
}

/// A structure and the table of its names: instruction pointer and stack pointer, then runs of
/// registers of equal width.
macro_rules! registers {
    ($(#[$doc:meta])* $arch:ident, $ip:ident, $sp:ident;
     $($word:ident: $($name:ident)+;)+ $([$unused:ty; $count:literal])?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
        #[repr(C)]
        pub struct $arch {
            $($(#[doc = concat!("`", stringify!($name), "`")] pub $name: $word,)+)+
            $(
                /// Unused, zero.
                pub reserved: [$unused; $count],
            )?
        }

        impl $arch {
            const TABLE: Table = Table {
                named: &[$($((stringify!($name), size_of::<$word>())),+),+],
                size: size_of::<Self>(),
                instruction_pointer: stringify!($ip),
                stack_pointer: stringify!($sp),
            };
        }

        impl sealed::Sealed for $arch {}

        impl Registers for $arch {
            const ARCH: Arch = Arch::$arch;
            type Words = [AtomicU32; crash_note_words(Arch::$arch)];
            const EMPTY: Self::Words = [const { AtomicU32::new(0) }; crash_note_words(Arch::$arch)];
        }
    };
}

registers! {
    /// x86_64: `struct user_regs_struct`. A kernel without system calls in flight sets `orig_rax` to
    /// all ones.
    X86_64, rip, rsp;
    u64:
        r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp
        ss fs_base gs_base ds es fs gs;
}

registers! {
    /// i386: `struct user_regs_struct`.
    I386, eip, esp;
    u32:
        ebx ecx edx esi edi ebp eax ds es fs gs orig_eax eip cs eflags esp ss;
}

registers! {
    /// arm64: `struct user_pt_regs`. `x29` is the frame pointer, `x30` the link register.
    Arm64, pc, sp;
    u64:
        x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 x10 x11 x12 x13 x14 x15 x16 x17 x18 x19 x20 x21 x22
        x23 x24 x25 x26 x27 x28 x29 x30 sp pc pstate;
}

registers! {
    /// ARM, 32-bit: `struct pt_regs`. `r13` is the stack pointer, `r14` the link register, `r15` the
    /// program counter.
    Arm, r15, r13;
    u32:
        r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 cpsr orig_r0;
}

registers! {
    /// PowerPC, 64-bit: `struct pt_regs`. `gpr1` is the stack pointer.
    Ppc64, nip, gpr1;
    u64:
        gpr0 gpr1 gpr2 gpr3 gpr4 gpr5 gpr6 gpr7 gpr8 gpr9 gpr10 gpr11 gpr12 gpr13 gpr14
        gpr15 gpr16 gpr17 gpr18 gpr19 gpr20 gpr21 gpr22 gpr23 gpr24 gpr25 gpr26 gpr27 gpr28
        gpr29 gpr30 gpr31 nip msr orig_gpr3 ctr link xer ccr softe trap dar dsisr result;
    [u64; 4]
}

registers! {
    /// PowerPC, 32-bit: `struct pt_regs`. `gpr1` is the stack pointer.
    Ppc32, nip, gpr1;
    u32:
        gpr0 gpr1 gpr2 gpr3 gpr4 gpr5 gpr6 gpr7 gpr8 gpr9 gpr10 gpr11 gpr12 gpr13 gpr14
        gpr15 gpr16 gpr17 gpr18 gpr19 gpr20 gpr21 gpr22 gpr23 gpr24 gpr25 gpr26 gpr27 gpr28
        gpr29 gpr30 gpr31 nip msr orig_gpr3 ctr link xer ccr mq trap dar dsisr result;
    [u32; 4]
}

registers! {
    /// RISC-V, 64-bit: `struct user_regs_struct`. `s0` is the frame pointer.
    Riscv64, pc, sp;
    u64:
        pc ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10
        s11 t3 t4 t5 t6;
}

registers! {
    /// IBM Z, 64-bit: `s390_regs`. `r14` is the return address, `r15` the stack pointer.
    S390x, psw_addr, r15;
    u64:
        psw_mask psw_addr r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15;
    u32:
        acr0 acr1 acr2 acr3 acr4 acr5 acr6 acr7 acr8 acr9 acr10 acr11 acr12 acr13 acr14
        acr15;
    u64:
        orig_gpr2;
}

registers! {
    /// LoongArch, 64-bit: `struct user_pt_regs`. `r1` is the return address, `r3` the stack pointer,
    /// `era` the program counter.
    LoongArch64, era, r3;
    u64:
        r0 r1 r2 r3 r4 r5 r6 r7 r8 r9 r10 r11 r12 r13 r14 r15 r16 r17 r18 r19 r20 r21 r22
        r23 r24 r25 r26 r27 r28 r29 r30 r31 orig_a0 era badv;
    [u64; 10]
}
