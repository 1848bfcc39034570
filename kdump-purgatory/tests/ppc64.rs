//! Runs the digest function of the shipped ppc64le object as a Linux program under QEMU's user emulation,
//! and links it with hand-overs it can and cannot keep. All of it runs in `cargo xtask crash --arch
//! ppc64le`, where there is the hypervisor that its console asks for.
//!
//! The few instructions around it are written in numbers, as the assembler of the host is another.

#![cfg(target_os = "linux")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{Random, expected};
use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::purgatory::{
    BackupCopy, DigestRegion, Entry, Handover, MismatchAction, Purgatory, Serial, SerialPort,
};

fn builtin() -> ObjectPurgatory {
    ObjectPurgatory::builtin(Arch::Ppc64).expect("built in")
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the program is loaded, and where its parts are in it.
const BASE: u64 = 0x1000_0000;
const STUB: usize = 0x1000;
const TABLE: usize = 0x1800;
const OUT: usize = 0x1a00;
const OBJECT: usize = 0x2000;
const DATA: usize = 0x2_0000;

/// `lis` and `ori`: a register with a number of 31 bits.
fn load(register: u32, value: u64) -> [u32; 2] {
    let value = u32::try_from(value).expect("below 2 GiB");
    [
        0x3c00_0000 | register << 21 | value >> 16,
        0x6000_0000 | register << 21 | register << 16 | value & 0xffff,
    ]
}

/// A static program that calls `purgatory_digest` for `regions` and writes the digest to standard
/// output.
fn program(regions: &[&[u8]]) -> Vec<u8> {
    let purgatory = builtin();
    let image = purgatory.object().link(BASE + OBJECT as u64).expect("links");
    assert!(OBJECT as u64 + purgatory.memsz() <= DATA as u64);
    let mut file = vec![0; DATA];
    let mut table = Vec::new();
    for region in regions {
        table.extend((BASE + file.len() as u64).to_le_bytes());
        table.extend((region.len() as u64).to_le_bytes());
        file.extend_from_slice(region);
    }
    let function = image.address("purgatory_digest").expect("there");
    // Arguments in r3 to r5, the function in r12 as its first instructions want it; mtctr, bctrl;
    // write(1, out, 32); exit(0).
    let mut stub = Vec::new();
    for (register, value) in [(3, BASE + TABLE as u64), (4, BASE + OUT as u64), (5, 0), (12, function)] {
        stub.extend(load(register, value));
    }
    stub.extend([0x7d89_03a6, 0x4e80_0421]);
    for (register, value) in [(0, 4), (3, 1), (4, BASE + OUT as u64), (5, 32)] {
        stub.extend(load(register, value));
    }
    stub.push(0x4400_0002);
    stub.extend(load(0, 1));
    stub.extend(load(3, 0));
    stub.push(0x4400_0002);
    let stub: Vec<u8> = stub.into_iter().flat_map(u32::to_le_bytes).collect();
    put(&mut file, STUB, &stub);
    put(&mut file, TABLE, &table);
    put(&mut file, OBJECT, image.bytes());
    // ELF header, of the second ABI, and one PT_LOAD, readable, writable and executable (`elf(5)`).
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    let size = file.len() as u64;
    for (at, value) in [(16, 2_u16), (18, 21), (48, 2), (52, 64), (54, 56), (56, 1)] {
        put(&mut file, at, &value.to_le_bytes());
    }
    put(&mut file, 20, &1_u32.to_le_bytes());
    put(&mut file, 64, &[1, 0, 0, 0, 7, 0, 0, 0]);
    for (at, value) in
        [(24, BASE + STUB as u64), (32, 64), (80, BASE), (88, BASE), (96, size), (104, size), (112, 0x1_0000)]
    {
        put(&mut file, at, &value.to_le_bytes());
    }
    file
}

/// The digest the program writes.
fn run(name: &str, regions: &[&[u8]]) -> [u8; 32] {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ppc64le-{name}"));
    std::fs::write(&path, program(regions)).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let output = Command::new("qemu-ppc64le-static").arg(&path).output();
    let output = output.expect("qemu-ppc64le-static (package qemu-user-static)");
    assert!(output.status.success(), "{name}: {:?}", output.status);
    output.stdout.try_into().expect("32 bytes")
}

#[test]
fn the_digest_agrees_with_sha2() {
    let data = Random(1).bytes(1 << 16);
    let sets: [&[&[u8]]; 6] = [
        &[],
        &[b"abc"],
        &[&data[..55], &data[3..59]],
        &[&data[..64], &data[..128]],
        &[&data[1..4097], &data[..1], &data[9..9000]],
        &[&data],
    ];
    for (index, set) in sets.iter().enumerate() {
        assert_eq!(run(&format!("digest-{index}"), set), expected(set), "set {index}");
    }
}

#[test]
fn a_changed_byte_changes_the_digest() {
    let mut data = Random(2).bytes(10_000);
    let before = run("changed-0", &[&data]);
    data[7777] ^= 0x10;
    assert_ne!(run("changed-1", &[&data]), before);
}

const KERNEL: u64 = 0x2000_0000;

fn handover<'a>(regions: &'a [DigestRegion<'a>]) -> Handover<'a> {
    Handover::new(regions, Entry::Ppc64 { kernel: KERNEL, dtb: 0x2800_0000 })
        .backup(Some(BackupCopy { source: 0, size: 0x1_0000, destination: 0x2700_0000 }))
        .serial(Some(Serial { port: SerialPort::Mmio(0x7100_0000), baud: None }))
}

/// The first 256 bytes are what other processors find at address 0.
#[test]
fn begins_with_the_head_of_the_kernel() {
    let kernel = Random(3).bytes(0x400);
    let regions = [DigestRegion { start: KERNEL, bytes: &kernel }];
    let linked = builtin().link(0x2600_0000, &handover(&regions)).expect("links");
    assert_eq!(linked.entry, 0x2600_0000);
    assert_eq!(linked.bytes[4..0x100], kernel[4..0x100]);
    // A branch over them.
    assert_eq!(linked.bytes[..4], 0x4800_0100_u32.to_le_bytes());
    for regions in [&[][..], &[DigestRegion { start: KERNEL, bytes: &kernel[..0xff] }]] {
        let error = builtin().link(0x2600_0000, &handover(regions)).expect_err("refused").to_string();
        assert!(error.contains("first 256 bytes"), "{error}");
    }
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let kernel = [0x60; 0x100];
    let regions = [DigestRegion { start: KERNEL, bytes: &kernel }];
    let good = handover(&regions);
    let refused =
        |handover: &Handover<'_>| builtin().link(0x2600_0000, handover).expect_err("refused").to_string();
    assert!(builtin().link(0x2600_0000, &good).is_ok());
    let serial = |port, baud| good.clone().serial(Some(Serial { port, baud }));
    assert!(refused(&serial(SerialPort::Port(0x3f8), None)).contains("I/O ports"));
    assert!(refused(&serial(SerialPort::Mmio(1 << 32), None)).contains("unit address"));
    assert!(refused(&serial(SerialPort::Mmio(0), Some(9600))).contains("the speed"));
    assert!(refused(&good.clone().caches(false)).contains("caches off"));
    let reset = good.clone().on_mismatch(MismatchAction::Reset);
    assert!(refused(&reset).contains("resetting the machine"));
    let arm64 = good.clone().entry(Entry::Arm64 { kernel: 0, dtb: 0 });
    assert!(refused(&arm64).contains("ppc64"));
}
