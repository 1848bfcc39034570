//! Runs the digest of the shipped i386 object as a Linux program under QEMU's user emulation, on a
//! processor that has no vector registers; all of it runs in `boot.rs`.
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

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{Random, expected};
use kdump_elf::Arch;
use kdump_purgatory::{Error, ObjectPurgatory};
use kdump_segments::purgatory::{BackupCopy, DigestRegion, Entry, Handover, Purgatory, Serial, SerialPort};

fn builtin() -> ObjectPurgatory {
    ObjectPurgatory::builtin(Arch::I386).expect("built in")
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Where the program is loaded, and where its parts are in it.
const BASE: u32 = 0x1000_0000;
const STUB: u32 = 0x1000;
const TABLE: u32 = 0x1800;
const OUT: u32 = 0x1a00;
const OBJECT: u32 = 0x2000;
const DATA: usize = 0x2_0000;

/// A static program that calls `purgatory_digest` for `regions` and writes the digest to standard
/// output.
fn program(regions: &[&[u8]]) -> Vec<u8> {
    let purgatory = builtin();
    let image = purgatory.object().link((BASE + OBJECT).into()).expect("links");
    assert!(u64::from(OBJECT) + purgatory.memsz() <= DATA as u64);
    let mut file = vec![0; DATA];
    let mut table = Vec::new();
    for region in regions {
        table.extend((u64::from(BASE) + file.len() as u64).to_le_bytes());
        table.extend((region.len() as u64).to_le_bytes());
        file.extend_from_slice(region);
    }
    let function = u32::try_from(image.address("purgatory_digest").expect("there")).expect("32 bits");
    // push sha, out, table; mov eax, function; call eax; write(1, out, 32); exit(0).
    let mut stub = vec![0x6a, 1];
    for value in [BASE + OUT, BASE + TABLE] {
        stub.push(0x68);
        stub.extend(value.to_le_bytes());
    }
    for (register, value) in [
        (Some(0xb8), function),
        (None, 0xd0ff),
        (Some(0xb8), 4),
        (Some(0xbb), 1),
        (Some(0xb9), BASE + OUT),
        (Some(0xba), 32),
        (None, 0x80cd),
        (Some(0xb8), 1),
        (Some(0xbb), 0),
        (None, 0x80cd),
    ] {
        match register {
            Some(mov) => {
                stub.push(mov);
                stub.extend(value.to_le_bytes());
            }
            None => stub.extend(&value.to_le_bytes()[..2]),
        }
    }
    put(&mut file, STUB as usize, &stub);
    put(&mut file, TABLE as usize, &table);
    put(&mut file, OBJECT as usize, image.bytes());
    // ELF header and one PT_LOAD, readable, writable and executable (`elf(5)`).
    put(&mut file, 0, b"\x7fELF\x01\x01\x01");
    for (at, value) in [(16, 2_u16), (18, 3), (40, 52), (42, 32), (44, 1)] {
        put(&mut file, at, &value.to_le_bytes());
    }
    let size = file.len() as u32;
    for (at, value) in [
        (20, 1),
        (24, BASE + STUB),
        (28, 52),
        (52, 1),
        (60, BASE),
        (64, BASE),
        (68, size),
        (72, size),
        (76, 7),
        (80, 0x1000),
    ] {
        put(&mut file, at, &value.to_le_bytes());
    }
    file
}

/// The digest the program writes.
fn run(name: &str, regions: &[&[u8]]) -> [u8; 32] {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("i386-{name}"));
    std::fs::write(&path, program(regions)).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut emulator = Command::new("qemu-i386-static");
    emulator.args(["-cpu", "pentium"]).arg(&path);
    let output = emulator.output().expect("qemu-i386-static (package qemu-user-static)");
    assert!(output.status.success(), "{name}: {:?}", output.status);
    output.stdout.try_into().expect("32 bytes")
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

fn handover() -> Handover<'static> {
    Handover::new(&[], Entry::X86Bits32 { eip: 0x100_0000, boot_params: 0x200_0000 })
        .backup(Some(BackupCopy { source: 0, size: 0xa_0000, destination: 0x300_0000 }))
        .sha_instructions(true)
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let refused =
        |handover: &Handover<'_>| builtin().link(0x40_0000, handover).expect_err("refused").to_string();
    assert!(builtin().link(0x40_0000, &handover()).is_ok());
    let bits64 = handover().entry(Entry::X86Bits64 { rip: 0, boot_params: 0 });
    assert_eq!(refused(&bits64), "a purgatory for i386 cannot enter a kernel this way");
    let serial = Some(Serial { port: SerialPort::Mmio(0x900_0000), baud: None });
    assert!(refused(&handover().serial(serial)).contains("a purgatory for i386 only writes to I/O"));
    let high = [DigestRegion { start: 0xffff_ffff, bytes: b"ab" }];
    assert!(refused(&handover().regions(&high)).contains("0xffffffff, 0x2 bytes, is not below"));
    let last = [DigestRegion { start: 0xffff_fffe, bytes: b"ab" }];
    assert!(builtin().link(0x40_0000, &handover().regions(&last)).is_ok());
    for (source, destination) in [(0xffff_f000, 0x300_0000), (0, 1 << 32), (0, u64::MAX)] {
        let backup = Some(BackupCopy { source, size: 0x2000, destination });
        assert!(refused(&handover().backup(backup)).contains("is not below 4 GiB"));
    }
}

#[test]
fn all_of_it_lies_below_4_gib() {
    let purgatory = builtin();
    let highest = (0xffff_ffff - purgatory.memsz()) & !(purgatory.align() - 1);
    let image = purgatory.object().link(highest).expect("links");
    assert!(image.address("stack_end").expect("there") < 1 << 32);
    let above = purgatory.object().link(highest + purgatory.align()).expect_err("refused");
    assert!(matches!(above, Error::BeyondAddressSpace { limit: 0xffff_ffff, .. }), "{above}");
}

/// A relocation section with addends is not what objects of i386 have.
#[test]
fn relocations_with_addends_are_refused() {
    const SHT_RELA: u32 = 4;
    const SHT_REL: u32 = 9;
    let mut object =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/objects/i386.o")).expect("the object");
    let word = |object: &[u8], at: usize| u32::from_le_bytes(object[at..at + 4].try_into().expect("4 bytes"));
    let (table, count) = (word(&object, 32) as usize, usize::from(object[48]));
    let types = (0..count).map(|index| table + index * 40 + 4);
    let relocations: Vec<_> = types.filter(|at| word(&object, *at) == SHT_REL).collect();
    assert!(!relocations.is_empty());
    put(&mut object, relocations[0], &SHT_RELA.to_le_bytes());
    let purgatory = ObjectPurgatory::from_object(object).expect("parses");
    let error = purgatory.object().link(0x40_0000).expect_err("refused");
    assert!(matches!(error, Error::RelocationForm { arch: Arch::I386, .. }), "{error}");
}
