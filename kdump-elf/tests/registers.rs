// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of every architecture against gdb: a core of this crate's making is shown to
//! gdb-multiarch, which must find each value under the name it has there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test: what goes wrong must stop it"
)]

use std::path::PathBuf;
use std::process::Command;

use kdump_elf::{
    Arch, Encoding, Endian, HeaderLayout, PT_NOTE, Phdr, crash_note_size, prstatus_note_size, registers,
    write_crash_note,
};

/// What gdb calls a register that it does not call as the kernel does; `None` when it shows the
/// register in another way or not at all.
fn gdb_name(arch: Arch, name: &str) -> Option<&str> {
    match (arch, name) {
        (Arch::Arm64, "x29" | "x30") | (Arch::Riscv64, _) => Some(name),
        (Arch::Arm64, "pstate") => Some("cpsr"),
        (Arch::Arm, "r13") => Some("sp"),
        (Arch::Arm, "r14") => Some("lr"),
        (Arch::Arm, "r15") => Some("pc"),
        // Only used to restart system calls, for which gdb has no register in cores.
        (Arch::Arm, "orig_r0") => None,
        (Arch::Ppc64 | Arch::Ppc32, "nip") => Some("pc"),
        (Arch::Ppc64 | Arch::Ppc32, "link") => Some("lr"),
        (Arch::Ppc64 | Arch::Ppc32, "ccr") => Some("cr"),
        (Arch::Ppc64 | Arch::Ppc32, "orig_gpr3") => Some("orig_r3"),
        // Of the kernel's own, or of processors that are gone.
        (Arch::Ppc64 | Arch::Ppc32, "softe" | "mq" | "dar" | "dsisr" | "result") => None,
        (Arch::Ppc64 | Arch::Ppc32, name) if name.starts_with("gpr") => name.strip_prefix("gp"),
        (Arch::S390x, "psw_mask") => Some("pswm"),
        (Arch::S390x, "psw_addr") => Some("pswa"),
        (Arch::S390x, "orig_gpr2") => Some("orig_r2"),
        (Arch::LoongArch64, "era") => Some("pc"),
        // Always zero.
        (Arch::LoongArch64, "r0") => None,
        (_, name) => Some(name),
    }
}

/// Distinct values that are addresses of instructions on every architecture.
fn value(index: usize) -> u64 {
    0x0000_1234_0010_0000 + 0x0000_0001_0000_0100 * (index as u64 + 1)
}

/// A core with the registers of one CPU.
fn core(arch: Arch, endian: Endian) -> Vec<u8> {
    let mut note = vec![0; crash_note_size(arch)];
    let values: Vec<u64> = (0..registers::register_names(arch).count()).map(value).collect();
    write_crash_note(&mut note, arch, endian, |status| {
        status.set_pid(1);
        assert_eq!(status.set_registers(&values), values.len());
    })
    .unwrap();
    let layout = HeaderLayout::file(Encoding { class: arch.class(), endian }, arch.e_machine(), 1);
    let mut bytes = vec![0; usize::try_from(layout.size()).unwrap()];
    let size = prstatus_note_size(arch) as u64;
    let mut writer = layout.writer(&mut bytes).unwrap();
    let phdr =
        Phdr { p_type: PT_NOTE, p_offset: layout.size(), p_filesz: size, p_align: 4, ..Phdr::default() };
    writer.push(&phdr).unwrap();
    writer.finish().unwrap();
    bytes.extend_from_slice(&note[..prstatus_note_size(arch)]);
    bytes
}

/// What gdb says of each register, in order.
fn ask(arch: Arch, endian: Endian, names: &[&str]) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{endian:?}.core", arch.name()));
    std::fs::write(&path, core(arch, endian)).unwrap();
    let mut gdb = Command::new("gdb-multiarch");
    gdb.args(["-batch", "-nx", "-q", "-iex", "set osabi GNU/Linux", "-ex"]);
    gdb.arg(format!("core-file {}", path.display()));
    for name in names {
        gdb.args(["-ex", "echo @", "-ex", &format!("output/x ${name}"), "-ex", "echo \\n"]);
    }
    let out = gdb.output().unwrap_or_else(|error| {
        panic!("gdb-multiarch: {error}; cargo xtask setup installs it");
    });
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let found: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix('@')).map(str::to_owned).collect();
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(found.len(), names.len(), "{}:\n{text}\n{errors}", arch.name());
    found
}

#[test]
#[cfg_attr(miri, ignore = "asks gdb")]
fn gdb_finds_every_register() {
    let mut wrong = Vec::new();
    let cases = Arch::all().map(|arch| (arch, arch.endian())).chain([(Arch::Ppc64, Endian::Little)]);
    for (arch, endian) in cases {
        let known: Vec<(usize, &str, &str)> = registers::register_names(arch)
            .enumerate()
            .filter_map(|(index, name)| Some((index, name, gdb_name(arch, name)?)))
            .collect();
        let names: Vec<&str> = known.iter().map(|&(_, _, name)| name).collect();
        let answers = ask(arch, endian, &names);
        // Older versions do not know this architecture at all: the test below does without.
        if arch == Arch::LoongArch64
            && answers.iter().all(|answer| ["void", "<unavailable>"].contains(&&**answer))
        {
            continue;
        }
        for ((index, name, _), found) in known.iter().zip(answers) {
            // gdb shows some with fewer bits than their place has.
            let full = value(*index);
            if ![full, full & u64::from(u32::MAX)].iter().any(|expected| found == format!("{expected:#x}")) {
                wrong.push(format!("{}: {name} is {found}, not {full:#x}", arch.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `struct user_pt_regs` of arch/loongarch/include/uapi/asm/ptrace.h, `regs[32]`, `orig_a0`, `csr_era`,
/// `csr_badv` and ten words that are reserved, behind the 112 bytes in front of `pr_reg`.
#[test]
fn loongarch64_is_as_its_header_has_it() {
    let mut names: Vec<String> = (0..32).map(|index| format!("r{index}")).collect();
    names.extend(["orig_a0", "era", "badv"].map(str::to_owned));
    assert!(registers::register_names(Arch::LoongArch64).eq(names.iter().map(String::as_str)));
    let core = core(Arch::LoongArch64, Endian::Little);
    // A note's header has three words, and its name eight bytes.
    let desc = &core[core.len() - prstatus_note_size(Arch::LoongArch64) + 20..];
    for index in 0..45 {
        let at = 112 + 8 * index;
        let found = u64::from_le_bytes(desc[at..at + 8].try_into().unwrap());
        assert_eq!(found, if index < 35 { value(index) } else { 0 }, "word {index}");
    }
}
