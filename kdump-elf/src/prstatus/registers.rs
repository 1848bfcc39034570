//! Names and places of the registers in `pr_reg`, per architecture
//! (`elf_gregset_t` and `struct user_regs_struct` of each `arch/*/include/uapi/asm`).

use crate::Arch;

/// The registers of one architecture.
pub(super) struct Table {
    /// Runs of registers of equal width, in order.
    runs: &'static [Run],
    /// Bytes of `pr_reg`, unnamed tail included.
    pub(super) size: usize,
    /// Name of the instruction pointer.
    pub(super) instruction_pointer: &'static str,
    /// Name of the stack pointer.
    pub(super) stack_pointer: &'static str,
}

struct Run {
    width: usize,
    names: &'static [&'static str],
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
    let widths = table(arch).runs.iter().flat_map(|run| run.names.iter().map(|name| (*name, run.width)));
    widths.scan(0_usize, |next, (name, size)| {
        let offset = *next;
        *next = offset.saturating_add(size);
        Some(Field { name, offset, size })
    })
}

const X86_64: &[&str] = &[
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi",
    "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
];
const I386: &[&str] = &[
    "ebx", "ecx", "edx", "esi", "edi", "ebp", "eax", "ds", "es", "fs", "gs", "orig_eax", "eip", "cs",
    "eflags", "esp", "ss",
];
const ARM64: &[&str] = &[
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
    "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
    "sp", "pc", "pstate",
];
const ARM: &[&str] = &[
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "cpsr", "orig_r0",
];
const PPC: &[&str] = &[
    "gpr0",
    "gpr1",
    "gpr2",
    "gpr3",
    "gpr4",
    "gpr5",
    "gpr6",
    "gpr7",
    "gpr8",
    "gpr9",
    "gpr10",
    "gpr11",
    "gpr12",
    "gpr13",
    "gpr14",
    "gpr15",
    "gpr16",
    "gpr17",
    "gpr18",
    "gpr19",
    "gpr20",
    "gpr21",
    "gpr22",
    "gpr23",
    "gpr24",
    "gpr25",
    "gpr26",
    "gpr27",
    "gpr28",
    "gpr29",
    "gpr30",
    "gpr31",
    "nip",
    "msr",
    "orig_gpr3",
    "ctr",
    "link",
    "xer",
    "ccr",
];
const PPC64_TAIL: &[&str] = &["softe", "trap", "dar", "dsisr", "result"];
const PPC32_TAIL: &[&str] = &["mq", "trap", "dar", "dsisr", "result"];
const RISCV: &[&str] = &[
    "pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
const S390_PSW_AND_GPRS: &[&str] = &[
    "psw_mask", "psw_addr", "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15",
];
const S390_ACCESS: &[&str] = &[
    "acr0", "acr1", "acr2", "acr3", "acr4", "acr5", "acr6", "acr7", "acr8", "acr9", "acr10", "acr11",
    "acr12", "acr13", "acr14", "acr15",
];
const LOONGARCH: &[&str] = &[
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", "r29", "r30",
    "r31", "orig_a0", "era", "badv",
];

/// The register table of `arch`. ppc pads `pr_reg` to 48 words, loongarch64 to 45.
pub(super) const fn table(arch: Arch) -> Table {
    const fn one(runs: &'static [Run], size: usize, ip: &'static str, sp: &'static str) -> Table {
        Table { runs, size, instruction_pointer: ip, stack_pointer: sp }
    }
    match arch {
        Arch::X86_64 => one(&[Run { width: 8, names: X86_64 }], 216, "rip", "rsp"),
        Arch::I386 => one(&[Run { width: 4, names: I386 }], 68, "eip", "esp"),
        Arch::Arm64 => one(&[Run { width: 8, names: ARM64 }], 272, "pc", "sp"),
        Arch::Arm => one(&[Run { width: 4, names: ARM }], 72, "r15", "r13"),
        Arch::Ppc64 => {
            one(&[Run { width: 8, names: PPC }, Run { width: 8, names: PPC64_TAIL }], 384, "nip", "gpr1")
        }
        Arch::Ppc32 => {
            one(&[Run { width: 4, names: PPC }, Run { width: 4, names: PPC32_TAIL }], 192, "nip", "gpr1")
        }
        Arch::Riscv64 => one(&[Run { width: 8, names: RISCV }], 256, "pc", "sp"),
        Arch::S390x => one(
            &[
                Run { width: 8, names: S390_PSW_AND_GPRS },
                Run { width: 4, names: S390_ACCESS },
                Run { width: 8, names: &["orig_gpr2"] },
            ],
            216,
            "psw_addr",
            "r15",
        ),
        Arch::LoongArch64 => one(&[Run { width: 8, names: LOONGARCH }], 360, "era", "r3"),
    }
}
