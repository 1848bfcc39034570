//! Runs the shipped arm64 object: its digest function as a Linux program under QEMU's user
//! emulation, and all of it on an emulated machine in the state a kexec leaves, at EL1 and EL2, with
//! a small kernel behind it.
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
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Random, expected};
use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::purgatory::{
    DigestRegion, Entry, Handover, MismatchAction, Purgatory, Serial, SerialPort,
};

fn builtin() -> ObjectPurgatory {
    ObjectPurgatory::builtin(Arch::Arm64).expect("built in")
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Where the program is loaded, and where its parts are in it.
const BASE: u64 = 0x1000_0000;
const STUB: usize = 0x1000;
const TABLE: usize = 0x1800;
const OUT: usize = 0x1a00;
const OBJECT: usize = 0x2000;
const DATA: usize = 0x2_0000;

/// A static program that calls `purgatory_digest` for `regions` and writes the digest to standard
/// output.
fn program(regions: &[&[u8]], sha: bool) -> Vec<u8> {
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
    // x0 to x2 and x9 from behind the code; blr x9; write(1, out, 32); exit(0).
    let mut stub = words(&[
        0x5800_01c0,
        0x5800_01e1,
        0x5800_0202,
        0x5800_0229,
        0xd63f_0120,
        0xd280_0020,
        0x5800_0141,
        0xd280_0402,
        0xd280_0808,
        0xd400_0001,
        0xd280_0000,
        0xd280_0ba8,
        0xd400_0001,
        0xd503_201f,
    ]);
    for value in [BASE + TABLE as u64, BASE + OUT as u64, u64::from(sha), function] {
        stub.extend(value.to_le_bytes());
    }
    put(&mut file, STUB, &stub);
    put(&mut file, TABLE, &table);
    put(&mut file, OBJECT, image.bytes());
    // ELF header and one PT_LOAD, readable, writable and executable (`elf(5)`).
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    let size = file.len() as u64;
    for (at, value) in [(16, 2_u16), (18, 183), (52, 64), (54, 56), (56, 1)] {
        put(&mut file, at, &value.to_le_bytes());
    }
    put(&mut file, 20, &1_u32.to_le_bytes());
    put(&mut file, 64, &words(&[1, 7]));
    for (at, value) in
        [(24, BASE + STUB as u64), (32, 64), (80, BASE), (88, BASE), (96, size), (104, size), (112, 0x1000)]
    {
        put(&mut file, at, &value.to_le_bytes());
    }
    file
}

/// The digest the program writes, and whether SHA instructions were translated.
fn run(name: &str, regions: &[&[u8]], sha: bool) -> ([u8; 32], bool) {
    let (path, log) = (scratch(name), scratch(&format!("{name}.log")));
    std::fs::write(&path, program(regions, sha)).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut emulator = Command::new("qemu-aarch64-static");
    emulator.args(["-cpu", "cortex-a72", "-d", "in_asm", "-D"]).arg(&log).arg(&path);
    let output = emulator.output().expect("qemu-aarch64-static (package qemu-user-static)");
    assert!(output.status.success(), "{name}: {:?}", output.status);
    let log = String::from_utf8_lossy(&std::fs::read(&log).expect("log")).into_owned();
    // QEMU 7.2 disassembles; what it cannot, it shows as the instruction's number.
    let used = log.contains("sha256h") || log.contains("5e104") || log.contains("5e004");
    (output.stdout.try_into().expect("32 bytes"), used)
}

#[test]
fn both_digests_agree_with_sha2() {
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
        for sha in [false, true] {
            let (found, used) = run(&format!("digest-{index}-{sha}"), set, sha);
            assert_eq!(found, expected(set), "set {index}, SHA instructions {sha}");
            assert_eq!(used, sha, "set {index}: the instructions are the loader's choice");
        }
    }
}

#[test]
fn a_changed_byte_changes_the_digest() {
    let mut data = Random(2).bytes(10_000);
    let before = run("changed-0", &[&data], true).0;
    data[7777] ^= 0x10;
    assert_ne!(run("changed-1", &[&data], true).0, before);
}

/// The machine of the second half: RAM and the PL011 of QEMU's `virt`.
const UART: u64 = 0x0900_0000;
const IMAGE: u64 = 0x4020_0000;
const START: usize = 0;
const KERNEL: usize = 0x1000;
const DTB: usize = 0x1100;
const PROGRAM: usize = 0x2000;
const VERIFIED: usize = 0x2_0000;

struct Case {
    name: &'static str,
    cpu: &'static str,
    /// EL2 instead of EL1, and there with the host extensions.
    el2: bool,
    vhe: bool,
    damage: bool,
    sha: bool,
    caches: bool,
    /// What is verified besides, all of it zeros.
    more: Vec<Zeros>,
    on_mismatch: MismatchAction,
    serial: bool,
}

/// Address and bytes.
type Zeros = (u64, usize);

const CASE: Case = Case {
    name: "",
    cpu: "cortex-a72",
    el2: false,
    vhe: false,
    damage: false,
    sha: true,
    caches: true,
    more: Vec::new(),
    on_mismatch: MismatchAction::Halt,
    serial: true,
};

/// Harness, kernel, device tree, linked purgatory and data it verifies. The kernel writes the first
/// byte of what x0 points to, if x1 to x3 are 0 and SCTLR is what it was before the purgatory, and
/// switches the machine off (PSCI SYSTEM_OFF).
fn image(case: &Case) -> Vec<u8> {
    let data = Random(7).bytes(0x1_2345);
    let start = IMAGE + VERIFIED as u64;
    // Against the order of memory, so that they are two.
    let mut regions = vec![
        DigestRegion { start: start + 12_345, bytes: &data[12_345..] },
        DigestRegion { start, bytes: &data[..12_345] },
    ];
    let zeros = vec![0; case.more.iter().map(|&(_, size)| size).max().unwrap_or(0)];
    regions.extend(case.more.iter().map(|&(start, size)| DigestRegion { start, bytes: &zeros[..size] }));
    let handover =
        Handover::new(&regions, Entry::Arm64 { kernel: IMAGE + KERNEL as u64, dtb: IMAGE + DTB as u64 })
            .serial(case.serial.then_some(Serial { port: SerialPort::Mmio(UART), baud: None }))
            .sha_instructions(case.sha)
            .caches(case.caches)
            .on_mismatch(case.on_mismatch);
    let linked = builtin().link(IMAGE + PROGRAM as u64, &handover).expect("links");
    let mut image = vec![0; VERIFIED];
    // HCR_EL2.E2H, if asked for; SCTLR into a register that is kept; a branch to the purgatory.
    let host = if case.vhe { [0xd2c0_0080, 0xd51c_1100] } else { [0xd503_201f; 2] };
    let sctlr = if case.el2 { 0xd53c_1000 } else { 0xd538_1000 };
    put(&mut image, START, &words(&[host[0], host[1], 0xd503_3fdf, sctlr | 28, 0x5800_0041, 0xd61f_0020]));
    put(&mut image, START + 24, &linked.entry.to_le_bytes());
    let call = if case.el2 { 0xd400_0003 } else { 0xd400_0002 };
    put(
        &mut image,
        KERNEL,
        &words(&[
            0xd2a1_2009,
            0xaa02_002a,
            0xaa03_014a,
            sctlr | 12,
            0xca1c_018c,
            0xaa0c_014a,
            0xb500_006a,
            0x3940_000b,
            0xb900_012b,
            0x5280_0100,
            0x72b0_8000,
            call,
            0x1400_0000,
        ]),
    );
    put(&mut image, DTB, b"K");
    put(&mut image, PROGRAM, &linked.bytes);
    image.extend_from_slice(&data);
    if case.damage {
        image[VERIFIED + 777] ^= 1;
    }
    image
}

/// Everything that was said, and whether the kernel ended the machine.
fn boot(case: &Case) -> (String, bool) {
    let path = scratch(&format!("boot-arm64-{}.bin", case.name));
    std::fs::write(&path, image(case)).expect("written");
    let mut emulator = Command::new("qemu-system-aarch64");
    let machine = if case.el2 { "virt,virtualization=on" } else { "virt" };
    emulator.args(["-accel", "tcg", "-M", machine, "-cpu", case.cpu, "-m", "128M", "-display", "none"]);
    emulator.args(["-nodefaults", "-no-reboot", "-serial", "stdio"]);
    emulator.arg("-device").arg(format!("loader,file={},addr={IMAGE:#x},force-raw=on", path.display()));
    emulator.arg("-device").arg(format!("loader,addr={IMAGE:#x},cpu-num=0"));
    emulator.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = emulator.spawn().expect("qemu-system-aarch64 (package qemu-system-arm)");
    let (said, status) = common::emulator::listen(child, || ());
    assert!(status.is_none_or(|status| status.success()), "{status:?}");
    (said, status.is_some())
}

#[test]
fn enters_the_kernel_at_el1_and_el2() {
    for case in [
        Case { name: "el1", ..CASE },
        Case { name: "soft", sha: false, ..CASE },
        Case { name: "el2", el2: true, ..CASE },
        Case { name: "vhe", cpu: "max", el2: true, vhe: true, ..CASE },
        Case { name: "max", cpu: "max", ..CASE },
        // Addresses of 40 bits, and the MMU off all the time.
        Case { name: "a53", cpu: "cortex-a53", ..CASE },
        Case { name: "off", caches: false, ..CASE },
        Case { name: "off-vhe", cpu: "max", el2: true, vhe: true, caches: false, ..CASE },
    ] {
        let (said, ended) = boot(&case);
        let how = if case.caches { "on" } else { "off" };
        let wanted = format!("purgatory: digest matches (caches {how})\nK");
        assert!(ended && said == wanted, "{}: {said:?}, ended {ended}", case.name);
    }
}

/// What is mapped is known by what is verified right; what cannot be is verified all the same.
#[test]
fn maps_blocks_and_pages_or_nothing() {
    let zeros = IMAGE + (4 << 20);
    // Each lies in two tables of pages, and there are 24 tables.
    let split = |count: u64| (0..count).map(|i| (zeros + (i << 22) + (1 << 21) - 4096, 8192)).collect();
    for (name, more, how) in [
        ("block", vec![(zeros, 2 << 20)], "on"),
        ("ragged", vec![(zeros + 0x3001, (9 << 20) + 5)], "on"),
        ("split-10", split(10), "on"),
        ("split-11", split(11), "off"),
        ("split-14", split(14), "off"),
        // The same block as pages first.
        ("twice", vec![(zeros + 4096, 4096), (zeros, 2 << 20)], "off"),
        ("twice-back", vec![(zeros, 2 << 20), (zeros + 4096, 4096)], "off"),
    ] {
        for el2 in [false, true] {
            let (said, ended) = boot(&Case { name, more: more.clone(), el2, ..CASE });
            let wanted = format!("purgatory: digest matches (caches {how})\nK");
            assert!(ended && said == wanted, "{name}, EL2 {el2}: {said:?}, ended {ended}");
        }
    }
}

#[test]
fn halts_on_a_changed_byte_with_caches_off() {
    let (said, ended) = boot(&Case { name: "halt-off", damage: true, caches: false, ..CASE });
    assert!(said.ends_with("; halted\n") && !ended, "{said}");
}

#[test]
fn says_nothing_without_a_serial_port() {
    assert_eq!(boot(&Case { name: "quiet", serial: false, ..CASE }), (String::from("K"), true));
}

#[test]
fn halts_on_a_changed_byte() {
    let (said, ended) = boot(&Case { name: "halt", damage: true, ..CASE });
    let digests: Vec<_> =
        said.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64).collect();
    assert!(
        said.starts_with("purgatory: digest mismatch, expected ") && said.ends_with("; halted\n"),
        "{said}"
    );
    assert!(digests.len() == 2 && digests[0] != digests[1] && !ended, "{said}");
}

#[test]
fn continues_on_a_changed_byte() {
    let on_mismatch = MismatchAction::Continue;
    let (said, ended) = boot(&Case { name: "continue", damage: true, on_mismatch, ..CASE });
    assert!(ended && said.ends_with("; continuing\nK"), "{said}");
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let entry = Entry::Arm64 { kernel: 0x4020_0000, dtb: 0x4800_0000 };
    let good = Handover::new(&[], entry);
    let refused =
        |handover: &Handover<'_>| builtin().link(0x4000_0000, handover).expect_err("refused").to_string();
    assert!(builtin().link(0x4000_0000, &good).is_ok());
    let serial = |port, baud| good.clone().serial(Some(Serial { port, baud }));
    assert!(refused(&serial(SerialPort::Port(0x3f8), None)).contains("I/O ports"));
    assert!(refused(&serial(SerialPort::Mmio(UART), Some(9600))).contains("the speed"));
    assert!(builtin().link(0x4000_0000, &good.clone().caches(false)).is_ok());
    let reset = good.clone().on_mismatch(MismatchAction::Reset);
    assert!(refused(&reset).contains("resetting the machine"));
    let x86 = good.clone().entry(Entry::X86Bits64 { rip: 0, boot_params: 0 });
    assert!(refused(&x86).contains("arm64"));
}
