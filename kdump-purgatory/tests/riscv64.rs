//! Runs the shipped riscv64 object as a Linux program under QEMU's user emulation: its digest, and the
//! whole way from its entry to a kernel that says which registers it was given.
//!
//! The few instructions around it are written in numbers, as the assembler of the host is another.

#![cfg(target_os = "linux")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use core::time::Duration;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::{Random, expected};
use kdump_elf::Arch;
use kdump_purgatory::{Error, ObjectPurgatory};
use kdump_segments::purgatory::{
    BackupCopy, DigestRegion, Entry, Handover, MismatchAction, Purgatory, Serial, SerialPort,
};

fn builtin() -> ObjectPurgatory {
    ObjectPurgatory::builtin(Arch::Riscv64).expect("built in")
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the program is loaded, and where its parts are in it.
const BASE: u32 = 0x1000_0000;
const STUB: u32 = 0x1000;
const KERNEL: u32 = 0x1100;
const TABLE: u32 = 0x1800;
const OUT: u32 = 0x1a00;
const UART: u32 = 0x1c00;
const OBJECT: u32 = 0x2000;
const DATA: usize = 0x2_0000;

/// Registers (RISC-V ABIs, "Integer Register Convention") and instructions (RISC-V unprivileged ISA).
const ZERO: u32 = 0;
const RA: u32 = 1;
const T0: u32 = 5;
const A0: u32 = 10;
const A1: u32 = 11;
const A2: u32 = 12;
const A7: u32 = 17;
const ECALL: u32 = 0x73;
const WRITE: u32 = 64;
const EXIT: u32 = 93;

/// A number below 2 GiB into a register: LUI and ADDI.
fn li(register: u32, value: u32) -> [u32; 2] {
    let high = value.wrapping_add(0x800) & 0xffff_f000;
    [high | register << 7 | 0x37, value.wrapping_sub(high) << 20 | register << 15 | register << 7 | 0x13]
}

/// JALR with the return address in `link`.
fn jump(link: u32, to: u32) -> u32 {
    to << 15 | link << 7 | 0x67
}

/// SD at a small offset.
fn store(register: u32, base: u32, offset: u32) -> u32 {
    (offset >> 5) << 25 | register << 20 | base << 15 | 3 << 12 | (offset & 0x1f) << 7 | 0x23
}

/// Writes `len` bytes at `OUT` to standard output and exits.
fn end(len: u32) -> Vec<u32> {
    let mut code = Vec::new();
    for (register, value) in [(A0, 1), (A1, BASE + OUT), (A2, len), (A7, WRITE)] {
        code.extend(li(register, value));
    }
    code.push(ECALL);
    code.extend(li(A0, 0));
    code.extend(li(A7, EXIT));
    code.push(ECALL);
    code
}

fn words(code: &[u32]) -> Vec<u8> {
    code.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A static program with one PT_LOAD, readable, writable and executable (`elf(5)`).
fn program(stub: &[u32], kernel: &[u32], object: &[u8], data: &[u8]) -> Vec<u8> {
    assert!(OBJECT as usize + object.len() <= DATA);
    let mut file = vec![0; DATA];
    put(&mut file, STUB as usize, &words(stub));
    put(&mut file, KERNEL as usize, &words(kernel));
    put(&mut file, OBJECT as usize, object);
    // A 16550 that takes a byte at any time.
    put(&mut file, UART as usize + 5, &[0x20]);
    file.extend_from_slice(data);
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    for (at, value) in [(16, 2_u16), (18, 243), (52, 64), (54, 56), (56, 1)] {
        put(&mut file, at, &value.to_le_bytes());
    }
    for (at, value) in [(20, 1_u32), (48, 5), (64, 1), (68, 7)] {
        put(&mut file, at, &value.to_le_bytes());
    }
    let size = file.len() as u64;
    let base = u64::from(BASE);
    for (at, value) in [
        (24, base + u64::from(STUB)),
        (32, 64),
        (80, base),
        (88, base),
        (96, size),
        (104, size),
        (112, 0x1000),
    ] {
        put(&mut file, at, &value.to_le_bytes());
    }
    file
}

/// What the program writes, and whether it ended as it should; `None` if it did not end.
fn run(name: &str, program: &[u8]) -> Option<(Vec<u8>, bool)> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("riscv64-{name}"));
    std::fs::write(&path, program).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut emulator = Command::new("qemu-riscv64-static");
    emulator.arg(&path).stdout(Stdio::piped());
    let mut child = emulator.spawn().expect("qemu-riscv64-static (package qemu-user-static)");
    for _ in 0..100 {
        if let Some(status) = child.try_wait().expect("waited for") {
            let mut said = Vec::new();
            child.stdout.take().expect("piped").read_to_end(&mut said).expect("read");
            return Some((said, status.success()));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    None
}

/// The digest that `purgatory_digest` computes.
fn digest(name: &str, regions: &[&[u8]]) -> [u8; 32] {
    let image = builtin().object().link(u64::from(BASE + OBJECT)).expect("links");
    let (mut table, mut data) = (Vec::new(), Vec::new());
    for region in regions {
        table.extend((u64::from(BASE) + (DATA + data.len()) as u64).to_le_bytes());
        table.extend((region.len() as u64).to_le_bytes());
        data.extend_from_slice(region);
    }
    let function = u32::try_from(image.address("purgatory_digest").expect("there")).expect("below 2 GiB");
    let mut stub = Vec::new();
    for (register, value) in [(A0, BASE + TABLE), (A1, BASE + OUT), (A2, 1), (T0, function)] {
        stub.extend(li(register, value));
    }
    stub.push(jump(RA, T0));
    stub.extend(end(32));
    let mut file = program(&stub, &[], image.bytes(), &data);
    put(&mut file, TABLE as usize, &table);
    let (said, good) = run(name, &file).expect("it ends");
    assert!(good, "{name}");
    said.try_into().expect("32 bytes")
}

/// Told that there are SHA instructions, too: the program has none.
#[test]
fn the_digest_is_that_of_sha2() {
    let data = Random(1).bytes(1 << 16);
    let sets: [&[&[u8]]; 7] = [
        &[],
        &[b"abc"],
        &[&data[..55], &data[3..59]],
        &[&data[..56]],
        &[&data[..64], &data[..128]],
        &[&data[1..4097], &data[..1], &data[9..9000]],
        &[&data],
    ];
    for (index, set) in sets.iter().enumerate() {
        assert_eq!(digest(&format!("digest-{index}"), set), expected(set), "set {index}");
    }
}

const HART: u32 = 7;
const DTB: u64 = 0x8fe0_0000;
const BACKUP: usize = 0x100;

fn handover<'a>(regions: &'a [DigestRegion<'a>]) -> Handover<'a> {
    Handover::new(regions, Entry::Riscv64 { kernel: u64::from(BASE + KERNEL), dtb: DTB })
        .serial(Some(Serial { port: SerialPort::Mmio(u64::from(BASE + UART)), baud: None }))
        .sha_instructions(true)
}

/// Enters the purgatory as the dying kernel does, over `data`; the kernel writes a0, a1, a2 and what lies
/// at the UART and behind it.
fn boot(name: &str, handover: &Handover<'_>, data: &[u8]) -> Option<(Vec<u8>, bool)> {
    let linked = builtin().link(u64::from(BASE + OBJECT), handover).expect("links");
    let mut stub = Vec::new();
    for (register, value) in [(A0, HART), (A1, 0x5a5a), (A2, 0x5a5a), (T0, linked.entry as u32)] {
        stub.extend(li(register, value));
    }
    stub.push(jump(ZERO, T0));
    let mut kernel = li(T0, BASE + OUT).to_vec();
    kernel.extend([store(A0, T0, 0), store(A1, T0, 8), store(A2, T0, 16)]);
    kernel.extend(end(0x400));
    run(name, &program(&stub, &kernel, &linked.bytes, data))
}

#[test]
fn the_kernel_is_entered_with_its_hart_and_its_tree() {
    let data = Random(3).bytes(100_000);
    let start = u64::from(BASE) + DATA as u64;
    let regions = [DigestRegion { start, bytes: &data }];
    let copy =
        BackupCopy { source: start + 5, size: BACKUP as u64, destination: u64::from(BASE + UART + 0x100) };
    let (said, good) = boot("boot", &handover(&regions).backup(Some(copy)), &data).expect("ends");
    assert!(good);
    let register = |at: usize| u64::from_le_bytes(said[at..at + 8].try_into().expect("8 bytes"));
    assert_eq!((register(0), register(8), register(16)), (u64::from(HART), DTB, 0));
    let uart = (UART - OUT) as usize;
    assert_eq!(said[uart], b'\n', "the last byte of the last message");
    assert_eq!(said[uart + 0x100..uart + 0x200], data[5..5 + BACKUP], "the copy of low memory");
}

#[test]
fn a_mismatch_stops_unless_it_is_to_be_gone_on() {
    let mut data = Random(2).bytes(10_000);
    let bytes = data.clone();
    let regions = [DigestRegion { start: u64::from(BASE) + DATA as u64, bytes: &bytes }];
    assert!(boot("right", &handover(&regions), &data).expect("ends").1);
    data[7777] ^= 0x10;
    for (name, on_mismatch) in [("halt", MismatchAction::Halt), ("reset", MismatchAction::Reset)] {
        let ended = boot(name, &handover(&regions).on_mismatch(on_mismatch), &data);
        assert!(ended.is_none_or(|(said, good)| !good && said.is_empty()), "{name}: the kernel was entered");
    }
    let go_on = handover(&regions).on_mismatch(MismatchAction::Continue);
    assert!(boot("continue", &go_on, &data).expect("ends").1);
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let refused =
        |handover: &Handover<'_>| builtin().link(0x40_0000, handover).expect_err("refused").to_string();
    assert!(builtin().link(0x40_0000, &handover(&[])).is_ok());
    let arm64 = handover(&[]).entry(Entry::Arm64 { kernel: 0, dtb: 0 });
    assert_eq!(refused(&arm64), "a purgatory for riscv64 cannot enter a kernel this way");
    let serial = |port, baud| handover(&[]).serial(Some(Serial { port, baud }));
    assert!(refused(&serial(SerialPort::Port(0x3f8), None)).contains("give that of a 16550's registers"));
    assert!(refused(&serial(SerialPort::Mmio(0x1000_0000), Some(9600))).contains("speed of a serial port"));
    assert!(refused(&handover(&[]).caches(false)).contains("caches off"));
}

/// A low part whose symbol is no place of an upper part says so; addresses reach wherever it is linked.
#[test]
fn relocations_in_pairs_are_resolved_or_refused() {
    let low = builtin().object().link(0x1000).expect("links");
    let high = builtin().object().link(0xffff_ffff_8000_0000).expect("links");
    assert_eq!(low.bytes(), high.bytes(), "everything is relative");
    let object =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/objects/riscv64.o")).expect("the object");
    let long = |at: usize| u64::from_le_bytes(object[at..at + 8].try_into().expect("8 bytes"));
    let half = |at: usize| usize::from(u16::from_le_bytes(object[at..at + 2].try_into().expect("2 bytes")));
    let sections = (0..half(60)).map(|index| long(40) as usize + index * 64);
    let rela = sections.into_iter().find(|at| object[at + 4] == 4).expect("a table of relocations");
    let (start, size) = (long(rela + 24) as usize, long(rela + 32) as usize);
    let mut entries = (start..start + size).step_by(24);
    let upper = entries.find(|at| object[at + 8] == 23).expect("an upper part");
    let mut damaged = object.clone();
    // NONE in the place of an upper part.
    put(&mut damaged, upper + 8, &[0]);
    let damaged = ObjectPurgatory::from_object(damaged).expect("parses");
    let error = damaged.object().link(0x1000).expect_err("refused");
    assert!(matches!(error, Error::RelocationSymbol { why: "no place of an upper part", .. }), "{error}");
}
