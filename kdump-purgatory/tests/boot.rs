//! Runs the shipped objects of x86 in ring 0 of an emulated machine which is in the state a kexec
//! leaves: SSE off, descriptor tables empty. What it does is seen on the serial line, and by two small
//! kernels that report how they were entered.
//!
//! The emulated machine has no SHA instructions; those run in `run.rs`, on this processor.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "reads machine code that is part of this test")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::purgatory::{
    BackupCopy, DigestRegion, Entry, Handover, MismatchAction, Purgatory, Serial, SerialPort,
};

core::arch::global_asm!(include_str!("harness.s"), options(att_syntax, raw));

unsafe extern "C" {
    static harness_start: u8;
    static harness_end: u8;
    static harness_kernel64: u8;
    static harness_kernel32: u8;
}

const IMAGE: u64 = 0x10_0000;
const PARAMETERS: usize = 0x2000;
const PURGATORY: usize = 0x4000;
const DATA: usize = 0x2_0000;
const DATA_LEN: usize = 0x2_3457;
const LOW: u64 = 0x200_0000;
const HIGH: u64 = 0x1_0100_0000;
const BOOT_PARAMS: u32 = 0x9_0120;

/// What one run is about.
struct Case {
    name: &'static str,
    arch: Arch,
    base: u64,
    bits32: bool,
    damage: bool,
    on_mismatch: MismatchAction,
    serial: bool,
    sha: bool,
}

const CASE: Case = Case {
    name: "",
    arch: Arch::X86_64,
    base: LOW,
    bits32: false,
    damage: false,
    on_mismatch: MismatchAction::Halt,
    serial: true,
    sha: false,
};

/// The purgatory of i386, which is entered without paging and enters only 32-bit kernels.
const I386: Case = Case { arch: Arch::I386, bits32: true, ..CASE };

/// Where a label of the harness is in the emulated machine.
fn address(label: *const u8) -> u64 {
    IMAGE + (label as u64 - &raw const harness_start as u64)
}

/// The multiboot image: harness, parameters, linked purgatory, data it verifies.
fn image(case: &Case) -> Vec<u8> {
    let len = address(&raw const harness_end) - IMAGE;
    // SAFETY: the bytes between two labels of one section.
    let harness = unsafe { core::slice::from_raw_parts(&raw const harness_start, len as usize) };
    let data: Vec<u8> = (0..DATA_LEN).map(|i| (i * 7 + (i >> 8)) as u8).collect();
    let start = IMAGE + DATA as u64;
    let split = 12_345;
    let entry = if case.bits32 {
        let eip = u32::try_from(address(&raw const harness_kernel32)).expect("low");
        Entry::X86Bits32 { eip, boot_params: BOOT_PARAMS }
    } else {
        Entry::X86Bits64 { rip: address(&raw const harness_kernel64), boot_params: BOOT_PARAMS.into() }
    };
    let regions = [
        DigestRegion { start: start + split as u64, bytes: &data[split..] },
        DigestRegion { start, bytes: &data[..split] },
    ];
    let handover = Handover::new(&regions, entry)
        .backup(Some(BackupCopy { source: 0, size: 0x9_f001, destination: 0x100_0000 }))
        .serial(case.serial.then_some(Serial { port: SerialPort::Port(0x3f8), baud: Some(115_200) }))
        .sha_instructions(case.sha)
        .on_mismatch(case.on_mismatch);
    let purgatory = ObjectPurgatory::builtin(case.arch).expect("built in");
    let linked = purgatory.link(case.base, &handover).expect("links");

    let mut image = vec![0; DATA + DATA_LEN];
    image[..harness.len()].copy_from_slice(harness);
    let plain = u64::from(case.arch == Arch::I386);
    let parameters = [IMAGE + PURGATORY as u64, case.base, linked.bytes.len() as u64, linked.entry, plain];
    for (at, value) in (PARAMETERS..).step_by(8).zip(parameters) {
        image[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    image[PURGATORY..PURGATORY + linked.bytes.len()].copy_from_slice(&linked.bytes);
    image[DATA..].copy_from_slice(&data);
    if case.damage {
        image[DATA + 777] ^= 1;
    }
    image
}

/// How a run ended.
#[derive(Debug, PartialEq)]
enum End {
    /// A kernel was entered and reported.
    Kernel,
    /// The machine reset itself.
    Reset,
    /// Neither, though it was sent an NMI; ended by us.
    Stopped,
}

/// Runs the emulator until it ends or says nothing more.
fn run(case: &Case) -> (String, End) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "boot-{}-{}.bin",
        case.arch.name(),
        case.name
    ));
    std::fs::write(&path, image(case)).expect("written");
    // Above 3 GiB this machine's memory goes on at 4 GiB. It is taken only where touched.
    let memory = if case.base < 1 << 32 { "64M" } else { "4608M" };
    let (emulator, cpu) = match case.arch {
        Arch::I386 => ("qemu-system-i386", "pentium"),
        _ => ("qemu-system-x86_64", "max,sha-ni=off"),
    };
    let mut command = Command::new(emulator);
    command
        .args(["-accel", "tcg", "-cpu", cpu, "-m", memory, "-nographic", "-no-reboot"])
        .args(["-nodefaults", "-serial", "mon:stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .arg("-kernel")
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let child = command.spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{emulator} (package qemu-system-x86): {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    // To the emulator's monitor: a non-maskable interrupt, as of a watchdog.
    let nmi = move || stdin.write_all(b"\x01cnmi\n").expect("monitor");
    let (said, status) = common::emulator::listen(child, nmi);
    let end = match status.map(|status| status.code()) {
        None => End::Stopped,
        Some(Some(33)) => End::Kernel,
        Some(Some(0)) => End::Reset,
        other => panic!("{}: {other:?}, {said}", case.name),
    };
    (said, end)
}

/// The values a kernel reported in the line that begins with `letter`.
fn report(said: &str, letter: char) -> Vec<u64> {
    let line = said.lines().find(|line| line.starts_with(letter)).expect("a report");
    line.split_whitespace().skip(1).map(|v| u64::from_str_radix(v, 16).expect("hex")).collect()
}

fn stack_end(arch: Arch, base: u64) -> u64 {
    let purgatory = ObjectPurgatory::builtin(arch).expect("built in");
    purgatory.object().link(base).expect("links").address("stack_end").expect("there")
}

/// rsi rsp rbx rbp rdi cr0 cr4 cs ds, low memory differs
fn check_64(said: &str, base: u64) {
    let report = report(said, 'L');
    assert_eq!(report[..5], [u64::from(BOOT_PARAMS), stack_end(Arch::X86_64, base), 0, 0, 0], "{said}");
    assert_eq!(report[5] & 0x8000_000d, 0x8000_000d, "CR0 as before: {said}");
    assert_eq!(report[6..], [0x20, 0x10, 0x18, 0], "CR4 as before, selectors, backup copy: {said}");
}

#[test]
fn enters_a_64_bit_kernel() {
    for (name, base) in [("low", LOW), ("high", HIGH)] {
        let (said, end) = run(&Case { name, base, ..CASE });
        assert_eq!(end, End::Kernel);
        assert!(said.contains("purgatory: digest matches\n"), "{said}");
        check_64(&said, base);
    }
}

#[test]
fn says_nothing_without_a_serial_port() {
    let (said, end) = run(&Case { name: "quiet", serial: false, ..CASE });
    assert_eq!(end, End::Kernel);
    assert!(!said.contains("purgatory"), "{said}");
    check_64(&said, LOW);
}

#[test]
fn enters_a_32_bit_kernel() {
    for case in [Case { bits32: true, ..CASE }, I386] {
        let (said, end) = run(&Case { name: "bits32", ..case });
        assert_eq!(end, End::Kernel);
        assert!(said.contains("purgatory: digest matches\n"), "{said}");
        // ds cs efer cr4 cr0 esi ebx edi ebp esp, low memory differs: not long mode, no paging.
        let report = report(&said, 'P');
        assert_eq!(report[..2], [0x18, 0x10], "{said}");
        assert_eq!((report[2] & 0x500, report[3]), (0, 0), "EFER.LME, EFER.LMA, CR4: {said}");
        assert_eq!(report[4] & 0x8000_0001, 1, "CR0.PG, CR0.PE: {said}");
        assert_eq!(report[5..9], [u64::from(BOOT_PARAMS), 0, 0, 0], "{said}");
        assert_eq!(report[9..], [stack_end(case.arch, LOW), 0], "{said}");
    }
}

#[test]
fn halts_on_a_changed_byte_and_stays_halted_on_an_nmi() {
    for case in [CASE, I386] {
        let (said, end) = run(&Case { name: "halt", damage: true, ..case });
        assert_eq!(end, End::Stopped);
        let line = said.lines().find(|line| line.contains("purgatory: digest mismatch")).expect("said");
        let digests: Vec<_> =
            line.split(|c: char| !c.is_ascii_hexdigit()).filter(|w| w.len() == 64).collect();
        assert!(digests.len() == 2 && digests[0] != digests[1], "{line}");
        // What QEMU's monitor says may follow in the same line.
        assert!(line.contains("; halted"), "{line}");
    }
}

#[test]
fn resets_on_a_changed_byte() {
    let on_mismatch = MismatchAction::Reset;
    for case in [CASE, I386] {
        let (said, end) = run(&Case { name: "reset", damage: true, on_mismatch, ..case });
        assert_eq!(end, End::Reset);
        assert!(said.contains("; resetting\n"), "{said}");
    }
}

#[test]
fn continues_on_a_changed_byte() {
    let on_mismatch = MismatchAction::Continue;
    let (said, end) = run(&Case { name: "continue", damage: true, on_mismatch, ..CASE });
    assert_eq!(end, End::Kernel);
    assert!(said.contains("; continuing\n"), "{said}");
    check_64(&said, LOW);
    let (said, end) = run(&Case { name: "continue", damage: true, on_mismatch, ..I386 });
    assert!(end == End::Kernel && said.contains("; continuing\n"), "{said}");
}

/// The machine has no SHA instructions and no table of exceptions: told otherwise, it resets. So
/// the loader's word decides, and nothing else.
#[test]
fn the_sha_instructions_are_the_loaders_choice() {
    let (said, end) = run(&Case { name: "sha", sha: true, ..CASE });
    assert_eq!(end, End::Reset, "{said}");
    assert!(!said.contains("purgatory"), "{said}");
}
