//! Registers are given to the CPU that saved them, also when another one did not answer.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, Kallsyms, Segment, Wire, crash_notes_buffer, note, prstatus_x86_64};
use kdump_vmcore::{Dump, Error, KernelMemory, cpu_numbers};

const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// Where things are in the image.
const CRASH_NOTES: u64 = 0x100;
const OFFSETS: u64 = 0x200;
const NR_CPUS: u64 = 0x300;
const TABLE: u64 = 0x1000;
/// The per-CPU address of the buffer, and what is added for CPU n.
const PERCPU: u64 = 0x40;
fn area(cpu: u64) -> u64 {
    IMAGE + 0x8000 + cpu * 0x1000
}

fn cpu_note(pid: u32) -> Vec<u8> {
    note(Wire::LE64, "CORE", 1, &prstatus_x86_64(pid, [u64::from(pid); 27]))
}

/// A kernel whose CPUs saved these notes, and a dump with the notes in `listed`.
fn file(table: &Kallsyms, saved: &[Option<u32>], listed: &[u32]) -> Vec<u8> {
    let mut image = vec![0; 0x8000 + 0x1000 * saved.len()];
    let mut put =
        |at: u64, bytes: &[u8]| image[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    put(CRASH_NOTES, &PERCPU.to_le_bytes());
    put(NR_CPUS, &(saved.len() as u32).to_le_bytes());
    for (cpu, pid) in (0_u64..).zip(saved) {
        // CPU 1 of these machines cannot exist: nothing is mapped at its place.
        let offset = if cpu == 1 && pid.is_none() { 0x1234_0000_0000 } else { area(cpu) };
        put(OFFSETS + cpu * 8, &offset.to_le_bytes());
        let buffer = crash_notes_buffer(&pid.map(cpu_note).unwrap_or_default(), 368);
        put(area(cpu) - IMAGE + PERCPU, &buffer);
    }
    let (bytes, info) = table.build();
    put(TABLE, &bytes);
    let info = format!("OSRELEASE=6.12\nNUMBER(phys_base)=0\nSYMBOL(_stext)={:x}\n{info}", IMAGE + 0x40);
    let mut notes: Vec<u8> = listed.iter().flat_map(|&pid| cpu_note(pid)).collect();
    notes.extend(note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes()));
    CoreFile::x86_64().with(Segment::notes(&notes)).with(Segment::load(0, &image)).build()
}

fn dump(table: &Kallsyms, saved: &[Option<u32>], listed: &[u32]) -> Dump<'static> {
    Dump::open(file(table, saved, listed)).unwrap()
}

fn table() -> Kallsyms {
    let mut table = Kallsyms::new(IMAGE + TABLE, IMAGE);
    let long = "x".repeat(300);
    table.symbols = [
        ("Tfirst", 0x10),
        ("T_stext", 0x40),
        (long.as_str(), 0x44),
        ("Dcrash_notes_more", 0x50),
        ("Bcrash_notes", CRASH_NOTES),
        ("R__per_cpu_offset", OFFSETS),
        ("Bnr_cpu_ids", NR_CPUS),
    ]
    .map(|(name, at)| (name.to_owned(), IMAGE + at))
    .to_vec();
    table
}

#[test]
fn a_silent_cpu_does_not_shift_the_others() {
    for encoding in [0, 1, 2] {
        let table = Kallsyms { encoding, ..table() };
        let dump = dump(&table, &[Some(7), None, Some(9), Some(8)], &[7, 9, 8]);
        assert_eq!(cpu_numbers(&dump).unwrap(), [Some(0), Some(2), Some(3)], "encoding {encoding}");
    }
}

#[test]
fn notes_of_nobody_and_twins() {
    let dump = dump(&table(), &[Some(7), Some(7), None], &[3, 7, 7, 7]);
    assert_eq!(cpu_numbers(&dump).unwrap(), [None, Some(0), Some(1), None]);
}

#[test]
fn without_a_trustworthy_table_no_number_is_given() {
    let moved = Kallsyms { slide: 0x1000, ..table() };
    let error = cpu_numbers(&dump(&moved, &[Some(7)], &[7])).unwrap_err();
    assert!(matches!(error, Error::Corrupt { what: "kallsyms", .. }), "{error}");
    let mut poor = table();
    poor.symbols.retain(|(name, _)| !name.ends_with("nr_cpu_ids"));
    let error = cpu_numbers(&dump(&poor, &[Some(7)], &[7])).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let plain = Dump::open(CoreFile::x86_64().with(Segment::notes(&cpu_note(1))).build()).unwrap();
    assert!(cpu_numbers(&plain).unwrap_err().to_string().contains("no VMCOREINFO"));
    let old = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=5.10\n");
    let old = Dump::open(CoreFile::x86_64().with(Segment::notes(&old)).build()).unwrap();
    assert!(matches!(cpu_numbers(&old), Err(Error::MissingKey { key: "SYMBOL(kallsyms_num_syms)" })));
}

#[test]
fn hostile_tables_end() {
    let dump = dump(&table(), &[Some(7)], &[7]);
    let mut kernel = KernelMemory::new(&dump);
    let info = dump.vmcoreinfo().unwrap();
    let found = kdump_vmcore::Kallsyms::read(&mut kernel, info).unwrap();
    assert_eq!(found.addresses(&mut kernel, &["first", "no_such"]).unwrap(), [Some(IMAGE + 0x10), None]);
    let whole = file(&table(), &[Some(7)], &[7]);
    let table_at = whole.len() - 0x9000 + TABLE as usize;
    for at in table_at..table_at + 0x800 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        // Any answer will do, as long as there is one, but no CPU that does not exist.
        let numbers = cpu_numbers(&Dump::open(damaged).unwrap()).unwrap_or_default();
        assert!(numbers.iter().flatten().all(|&cpu| cpu == 0), "{at:#x}: {numbers:?}");
    }
}
