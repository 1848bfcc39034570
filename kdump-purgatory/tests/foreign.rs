//! Links the purgatory inside an installed kexec-tools, a foreign object made by a C compiler.
//!
//! The program carries its purgatory as an embedded ELF file, which is found by its header.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a test: what goes wrong must stop it"
)]

mod common;

use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::purgatory::{
    BackupCopy, DigestRegion, Entry, Handover, MismatchAction, Purgatory, Serial, SerialPort,
};

const PROGRAM: &str = "/usr/sbin/kexec";

/// The first ELF64 relocatable x86_64 object inside a file.
fn embedded(file: &[u8]) -> Option<Vec<u8>> {
    let starts = file
        .windows(20)
        .enumerate()
        .filter(|(_, window)| window.starts_with(b"\x7fELF\x02\x01\x01") && window[16..20] == [1, 0, 62, 0]);
    starts.map(|(at, _)| file[at..].to_vec()).next()
}

#[test]
fn purgatory_of_kexec_tools_links() {
    let object = std::fs::read(PROGRAM).ok().and_then(|file| embedded(&file));
    let object = object.expect("no purgatory in /usr/sbin/kexec (package kexec-tools for amd64)");
    let purgatory = ObjectPurgatory::from_object(object).expect("parses");
    assert_eq!(purgatory.arch(), Arch::X86_64);
    let bytes = [7; 1000];
    for (base, entry) in [
        (0x12f5_4000, Entry::X86Bits64 { rip: 0xee0_0200, boot_params: 0x12f4_e000 }),
        (0x12_3456_7000, Entry::X86Bits64 { rip: 0x10_0000_0200, boot_params: 0x10_2000_0000 }),
        (0x12f5_4000, Entry::X86Bits32 { eip: 0xee0_0000, boot_params: 0x12f4_e000 }),
    ] {
        let regions = [DigestRegion { start: 0xee0_0000, bytes: &bytes }];
        let handover = Handover::new(&regions, entry)
            .backup(Some(BackupCopy { source: 0x1000, size: 0x9_ec00, destination: 0x12f6_1000 }))
            .serial(Some(Serial { port: SerialPort::Port(0x3f8), baud: Some(115_200) }))
            .sha_instructions(true)
            .on_mismatch(MismatchAction::Continue);
        let linked = purgatory.link(base, &handover).expect("links");
        let image = purgatory.object().link(base).expect("links");
        assert_eq!(linked.entry, image.address("purgatory_start").expect("entry"));
        assert!(image.memory().contains(&linked.entry));

        // Left alone for a 32-bit kernel, the 64-bit registers lead to the code that leaves
        // 64-bit mode.
        let at = usize::try_from(image.address("entry64_regs").expect("table") - base).expect("small");
        let rip = u64::from_le_bytes(linked.bytes[at + 128..at + 136].try_into().expect("8 bytes"));
        match entry {
            Entry::X86Bits64 { rip: wanted, .. } => assert_eq!(rip, wanted),
            _ => assert_eq!(rip, image.address("entry32").expect("code")),
        }
    }
}
