//! Registers are given to the CPU that saved them, also when another one did not answer.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, Kallsyms, Segment, Wire, crash_notes_buffer, note, prstatus_x86_64};
use kdump_vmcore::{
    Dump, Error, IoError, KernelMemory, ReadAt, RegisterSource, cpu_registers, note_registers,
};

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
    let info = format!(
        "OSRELEASE=6.12\nSIZE(list_head)=16\nNUMBER(phys_base)=0\nSYMBOL(_stext)={:x}\n{info}",
        IMAGE + 0x40
    );
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

/// The CPU of each note.
fn cpu_numbers(dump: &Dump<'_>) -> Vec<Option<u32>> {
    let list = cpu_registers(dump).unwrap().cpus;
    list.iter().filter(|found| found.note.is_some()).map(|found| found.cpu).collect()
}

fn why_not(dump: &Dump<'_>) -> Error {
    cpu_registers(dump).unwrap().not_found.unwrap()
}

#[test]
fn a_silent_cpu_does_not_shift_the_others() {
    for encoding in [0, 1, 2] {
        let table = Kallsyms { encoding, ..table() };
        let dump = dump(&table, &[Some(7), None, Some(9), Some(8)], &[7, 9, 8]);
        assert_eq!(cpu_numbers(&dump), [Some(0), Some(2), Some(3)], "encoding {encoding}");
    }
}

#[test]
fn notes_of_nobody_and_twins() {
    let dump = dump(&table(), &[Some(7), Some(7), None], &[3, 7, 7, 7]);
    assert_eq!(cpu_numbers(&dump), [None, Some(0), Some(1), None]);
}

#[test]
fn without_a_trustworthy_table_no_number_is_given() {
    let moved = Kallsyms { slide: 0x1000, ..table() };
    let error = why_not(&dump(&moved, &[Some(7)], &[7]));
    assert!(matches!(error, Error::Corrupt { what: "kallsyms", .. }), "{error}");
    let mut poor = table();
    poor.symbols.retain(|(name, _)| !name.ends_with("nr_cpu_ids"));
    let error = why_not(&dump(&poor, &[Some(7)], &[7]));
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let plain = Dump::open(CoreFile::x86_64().with(Segment::notes(&cpu_note(1))).build()).unwrap();
    assert!(why_not(&plain).to_string().contains("no VMCOREINFO"));
    let old = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=5.10\n");
    let old = Dump::open(CoreFile::x86_64().with(Segment::notes(&old)).build()).unwrap();
    assert!(matches!(why_not(&old), Error::MissingKey { key: "SYMBOL(kallsyms_num_syms)" }));
}

#[test]
fn what_no_note_has_comes_from_memory() {
    let dump = dump(&table(), &[Some(7), Some(9), None, Some(8)], &[8]);
    let list = cpu_registers(&dump).unwrap();
    assert!(list.not_found.is_none());
    let found: Vec<_> = list.cpus.iter().map(|found| (found.cpu, found.note, found.pid(&dump))).collect();
    assert_eq!(found, [(Some(3), Some(0), Some(8)), (Some(0), None, Some(7)), (Some(1), None, Some(9))]);
    assert!(list.cpus.iter().all(|found| found.source == RegisterSource::CrashNotes));
    assert_eq!(list.cpus[2].prstatus(&dump).unwrap().register("rip"), Some(9));
}

#[test]
fn a_dump_says_where_registers_come_from() {
    let sources = |dump: &Dump<'_>| -> Vec<_> {
        cpu_registers(dump).unwrap().cpus.iter().map(|found| (found.source.name(), found.cpu)).collect()
    };
    // In no buffer, and not numbered as a hypervisor does.
    let foreign = dump(&table(), &[Some(7)], &[2, 7]);
    assert_eq!(sources(&foreign), [("note", None), ("crash_notes", Some(0))]);
    // QEMU's notes of a kernel that lives, and of one that died before.
    let qemu = dump(&table(), &[None, None], &[1, 2]);
    assert_eq!(sources(&qemu), [("hypervisor", Some(0)), ("hypervisor", Some(1))]);
    assert_eq!(cpu_registers(&qemu).unwrap().cpus[0].pid(&qemu), None);
    let late = dump(&table(), &[Some(5), None], &[1, 2]);
    assert_eq!(sources(&late), [("hypervisor", Some(0)), ("hypervisor", Some(1)), ("crash_notes", Some(0))]);
    // The first task brought the machine down: its number is one.
    let info =
        note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.12\nSIZE(list_head)=16\nCRASHTIME=1700000000\n");
    let died = |more: &[u8]| {
        let notes = [&cpu_note(1), &info, more].concat();
        Dump::open(CoreFile::x86_64().with(Segment::notes(&notes)).build()).unwrap()
    };
    assert_eq!(sources(&died(&[])), [("note", None)]);
    // Another kernel, which gives its CPUs numbers.
    let other = Dump::open(CoreFile::x86_64().with(Segment::notes(&cpu_note(1))).build()).unwrap();
    assert_eq!(sources(&other), [("note", None)]);
    let signed = note(Wire::LE64, "QEMU", 0, &[0; 440]);
    assert_eq!(sources(&died(&signed)), [("hypervisor", Some(0))]);
}

/// A CPU that exists and saved its registers does not vanish because they cannot be read.
#[test]
fn a_cpu_that_cannot_be_read_is_told() {
    let whole = file(&table(), &[Some(7), Some(9), Some(8)], &[]);
    let image_at = whole.len() - 0xb000;
    let unread = |file: Vec<u8>| {
        let list = cpu_registers(&Dump::open(file).unwrap()).unwrap();
        assert!(list.not_found.is_none(), "{:?}", list.not_found);
        let found: Vec<_> = list.cpus.iter().map(|found| found.cpu).collect();
        (found, list.unread)
    };
    assert_eq!(unread(whole.clone()), (vec![Some(0), Some(1), Some(2)], vec![]));
    // The file ends in front of the last one's buffer, and in it.
    for end in [0x20, 0x44, 0x80] {
        let (found, unread) = unread(whole[..image_at + 0xa000 + end].to_vec());
        assert_eq!((found, unread.len()), (vec![Some(0), Some(1)], 1), "{end:#x}");
        assert_eq!(unread[0].cpu, 2);
    }
    // The note is damaged, or another one.
    for (at, byte) in [(0, 0xff), (4, 0xff), (8, 2), (12, b'X')] {
        let mut damaged = whole.clone();
        damaged[image_at + (area(1) - IMAGE + PERCPU) as usize + at] = byte;
        let (found, unread) = unread(damaged);
        assert_eq!((found, unread.len()), (vec![Some(0), Some(2)], 1), "{at}");
        assert_eq!(unread[0].cpu, 1);
    }
    // Registers of another size, which no note has.
    let mut short = whole.clone();
    let at = image_at + (area(1) - IMAGE + PERCPU) as usize + 4;
    short[at..at + 4].copy_from_slice(&300_u32.to_le_bytes());
    let (found, unread) = unread(short);
    assert_eq!(found, [Some(0), Some(2)]);
    assert!(matches!(unread[0].error, Error::Corrupt { value: 300, .. }), "{}", unread[0].error);
}

/// A dump of which what is behind an offset cannot be read for now.
struct Broken(Vec<u8>, u64);

impl ReadAt for Broken {
    fn size(&self) -> Result<u64, Error> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if offset.saturating_add(buf.len() as u64) > self.1 {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        self.0.read_at(offset, buf)
    }
}

#[test]
fn an_error_of_the_system_is_the_callers() {
    let whole = file(&table(), &[Some(7), Some(9)], &[7]);
    let image_at = whole.len() - 0xa000;
    for at in [CRASH_NOTES, OFFSETS, TABLE, 0x8000, 0x9000 + PERCPU] {
        let dump = Dump::open(Broken(whole.clone(), image_at as u64 + at)).unwrap();
        let error = cpu_registers(&dump).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{at:#x}: {error}");
        let list = note_registers(&dump).unwrap();
        assert_eq!(list.cpus.len(), 1);
    }
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
        let found = cpu_registers(&Dump::open(damaged).unwrap()).unwrap().cpus;
        assert!(found.iter().all(|found| found.cpu.is_none_or(|cpu| cpu == 0)), "{at:#x}: {found:?}");
    }
}
