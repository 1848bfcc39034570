//! The two recorded machines, against what a peer made of the same files.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail anywhere")]

use std::path::PathBuf;

use kdump_segments::{Machine, MemoryKind, Source};

fn root(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(name)
}

fn collect(name: &str) -> Machine {
    Machine::collect(&root(name)).unwrap()
}

/// One program header of the peer's elfcorehdr, as `default.decode.txt` prints it.
struct Entry {
    kind: String,
    vaddr: u64,
    paddr: u64,
    size: u64,
}

fn expected(name: &str) -> Vec<Entry> {
    let text = std::fs::read_to_string(root(name).join("expected/default.decode.txt")).unwrap();
    let (_, table) = text.split_once("-- elfcorehdr").unwrap();
    let field = |line: &str, key: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap();
        u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap()
    };
    table
        .lines()
        .skip(1)
        .filter(|line| line.contains(" off="))
        .map(|line| Entry {
            kind: line.split_whitespace().nth(1).unwrap().to_owned(),
            vaddr: field(line, "vaddr="),
            paddr: field(line, "paddr="),
            size: field(line, "memsz="),
        })
        .collect()
}

/// Notes, text mapping, RAM and direct map are what the peer put into its elfcorehdr.
fn agrees_with_the_peer(name: &str) {
    let machine = collect(name);
    let entries = expected(name);
    let notes: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "NOTE").collect();
    let loads: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "LOAD").collect();

    let vmcoreinfo = machine.vmcoreinfo.as_ref().unwrap();
    let found = machine.cpu_notes.iter().map(|note| (note.paddr, note.size));
    let found: Vec<_> = found.chain([(vmcoreinfo.paddr, vmcoreinfo.size)]).collect();
    assert_eq!(found, notes.iter().map(|entry| (entry.paddr, entry.size)).collect::<Vec<_>>());

    let text = machine.kernel.text.as_ref().unwrap();
    assert_eq!(
        (text.value.vaddr, text.value.paddr, text.value.size),
        (loads[0].vaddr, loads[0].paddr, loads[0].size)
    );
    assert_eq!(text.source, Source::KcorePhdrs);
    assert_eq!(text.others, [Source::Kallsyms, Source::Vmcoreinfo, Source::Iomem]);

    let base = machine.kernel.direct_map_base.as_ref().unwrap();
    assert_eq!(base.source, Source::KcorePhdrs);
    let found: Vec<_> = machine
        .dump_ranges()
        .unwrap()
        .iter()
        .map(|range| (range.start().wrapping_add(base.value), range.start(), range.size()))
        .collect();
    let wanted: Vec<_> = loads[1..].iter().map(|entry| (entry.vaddr, entry.paddr, entry.size)).collect();
    assert_eq!(found, wanted);
    assert_eq!(machine.remarks, []);
}

#[test]
fn bios_machine_agrees_with_the_peer() {
    agrees_with_the_peer("bios-512m");
}

#[test]
fn efi_machine_agrees_with_the_peer() {
    agrees_with_the_peer("efi-1g-612");
}

#[test]
fn bios_machine_is_described() {
    let machine = collect("bios-512m");
    assert_eq!(machine.arch.name(), "x86_64");
    assert_eq!(machine.page_size, 4096);
    assert_eq!(machine.release.as_deref(), Some("6.1.0-56-amd64"));
    assert_eq!(machine.load_region().unwrap().to_string(), "0x9000000-0x12ffffff");
    assert_eq!(machine.kexec.crash_loaded, Some(false));
    assert_eq!(machine.kexec.crash_size, Some(160 << 20));
    assert_eq!(machine.kexec.elfcorehdr_size, None);
    assert_eq!(machine.boot_protocol, Some(0x20f));
    assert_eq!(machine.boot_params.as_ref().unwrap().len(), 4096);
    let rsdp = machine.rsdp.unwrap();
    assert_eq!((rsdp.value, rsdp.source), (0xf59d0, Source::BootParams));
    assert_eq!(machine.efi, None);
    assert!(machine.cmdline.starts_with("console=ttyS0 crashkernel=160M"));
}

#[test]
fn efi_machine_is_described() {
    let machine = collect("efi-1g-612");
    assert_eq!(machine.release.as_deref(), Some("6.12.117+deb12-cloud-amd64"));
    assert_eq!(machine.kexec.elfcorehdr_size, Some(917_616));
    let rsdp = machine.rsdp.unwrap();
    assert_eq!(rsdp.value, 0x3f77_d014);
    let efi = machine.efi.unwrap();
    assert_eq!(efi.fw_platform_size, Some(64));
    assert_eq!(efi.smbios, Some(0x3f52_0000));
    assert_eq!(efi.runtime_map.len(), 7);
    assert!(efi.runtime_map.is_sorted_by_key(|region| region.phys_addr));
    let firmware = machine.firmware_map.unwrap();
    assert_eq!(firmware.len(), 16);
    assert!(
        firmware.set_of(MemoryKind::Ram).unwrap().total()
            > machine.memory.set_of(MemoryKind::Ram).unwrap().total()
    );
}
