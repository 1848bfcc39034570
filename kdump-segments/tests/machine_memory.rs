//! From /proc/iomem to the RAM of a dump: what must hold for any map, and the maps that are
//! known to break other tools.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail anywhere"
)]

use core::fmt::Write as _;

use kdump_elf::PhysRange;
use kdump_segments::{Error, Iomem, Machine, MachineFiles, MemoryKind};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

fn files(iomem: &str) -> MachineFiles {
    let mut files = MachineFiles::new();
    files.insert("proc/iomem", iomem);
    files.insert("proc/sys/kernel/arch", "x86_64\n");
    files
}

fn machine(iomem: &str) -> Machine {
    Machine::from_files(&files(iomem)).unwrap()
}

fn dump(iomem: &str) -> Vec<String> {
    machine(iomem).dump_ranges().unwrap().iter().map(ToString::to_string).collect()
}

/// What a line of the generated map is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    Ram,
    Kmem,
    Crash,
    Gart,
    Reserved,
    Device,
}

impl Line {
    fn name(self) -> &'static str {
        match self {
            Self::Ram => "System RAM",
            Self::Kmem => "System RAM (kmem)",
            Self::Crash => "Crash kernel",
            Self::Gart => "GART",
            Self::Reserved => "Reserved",
            Self::Device => "PCI Bus 0000:00",
        }
    }
}

/// Addresses the oracle looks at, one by one.
const SPACE: u64 = 300;

/// Lines in any order and depth; some have length zero (the end just before the start).
fn lines() -> impl Strategy<Value = Vec<(usize, u64, u64, Line)>> {
    let line = prop_oneof![
        4 => Just(Line::Ram),
        1 => Just(Line::Kmem),
        2 => Just(Line::Crash),
        1 => Just(Line::Gart),
        1 => Just(Line::Reserved),
        1 => Just(Line::Device),
    ];
    vec((0..3_usize, 1..SPACE, 0..60_u64, line), 1..25)
}

proptest! {
    /// Sorted, disjoint, and exactly RAM minus crash regions minus GART minus CMA.
    #[test]
    fn dump_is_ram_without_holes(lines in lines(), cma in vec((1..SPACE, 1..20_u64), 0..3)) {
        let mut text = format!("{:08x}-{:08x} : System RAM\n", SPACE, SPACE + 9);
        for (depth, start, len, line) in &lines {
            let last = start + len - 1;
            writeln!(text, "{:width$}{start:08x}-{last:08x} : {}", "", line.name(), width = depth * 2).unwrap();
        }
        let mut files = files(&text);
        let cma_text: String = cma.iter().map(|(start, len)| format!("{start:x}-{:x}\n", start + len - 1)).collect();
        files.insert("sys/kernel/kexec/crash_cma_ranges", cma_text);
        let machine = Machine::from_files(&files).unwrap();

        let dump = machine.dump_ranges().unwrap();
        prop_assert!(dump.windows(2).all(|pair| pair[0].end() <= pair[1].start()), "{dump:?}");
        let set = machine.dump_ram().unwrap();
        for paddr in 0..SPACE {
            let within = |wanted: &[Line]| {
                lines.iter().any(|&(_, start, len, line)| {
                    wanted.contains(&line) && (start..start + len).contains(&paddr)
                })
            };
            let in_cma = cma.iter().any(|&(start, len)| (start..start + len).contains(&paddr));
            let wanted = within(&[Line::Ram, Line::Kmem]) && !within(&[Line::Crash, Line::Gart]) && !in_cma;
            prop_assert_eq!(set.contains(paddr), wanted, "at {:#x} of\n{}", paddr, text);
            prop_assert_eq!(dump.iter().any(|range| range.contains(paddr)), wanted);
        }
        prop_assert!(machine.crash_regions.windows(2).all(|pair| pair[0].end() <= pair[1].start()));
        // Nothing is left out without a word.
        let dropped = lines.iter().filter(|(_, _, len, _)| *len == 0).count();
        let told = machine.remarks.iter().filter(|note| note.text.contains("was left out")).count();
        prop_assert_eq!(told, dropped);
    }

    #[test]
    fn any_bytes_are_taken(text in vec(proptest::prelude::any::<u8>(), 0..400)) {
        let mut files = files("");
        files.insert("proc/iomem", text);
        let _ = Machine::from_files(&files);
    }
}

#[test]
fn crash_region_that_is_a_whole_ram_range() {
    let iomem = "00001000-00001fff : System RAM\n00100000-001fffff : System RAM\n  00100000-001fffff : Crash kernel\n";
    assert_eq!(dump(iomem), ["0x1000-0x1fff"]);
}

#[test]
fn gart_that_only_partly_overlaps_ram() {
    let iomem = "00100000-001fffff : System RAM\n00180000-0027ffff : GART\n00280000-002fffff : System RAM\n";
    assert_eq!(dump(iomem), ["0x100000-0x17ffff", "0x280000-0x2fffff"]);
}

#[test]
fn every_gart_counts() {
    let iomem = "00100000-001fffff : System RAM\n  00110000-0011ffff : GART\n  00150000-0015ffff : GART\n";
    assert_eq!(dump(iomem), ["0x100000-0x10ffff", "0x120000-0x14ffff", "0x160000-0x1fffff"]);
}

#[test]
fn reserved_inside_the_crash_region_is_not_usable_and_not_dumped() {
    let iomem = "00100000-009fffff : System RAM\n  00400000-007fffff : Crash kernel\n    00500000-00500fff : Reserved\n";
    let machine = machine(iomem);
    assert_eq!(dump(iomem), ["0x100000-0x3fffff", "0x800000-0x9fffff"]);
    assert_eq!(
        machine.crash_claimed.iter().map(|range| range.to_string()).collect::<Vec<_>>(),
        ["0x500000-0x500fff"]
    );
    assert!(machine.remarks.iter().any(|note| note.text.contains("0x500000-0x500fff in use")));
}

#[test]
fn shrunk_crash_region_is_not_dumped_twice() {
    let iomem = "00100000-009fffff : System RAM\n  00400000-005fffff : Crash kernel\n  00600000-007fffff : System RAM\n";
    assert_eq!(dump(iomem), ["0x100000-0x3fffff", "0x600000-0x9fffff"]);
}

#[test]
fn more_than_eight_crash_regions() {
    let mut iomem = String::from("00100000-0fffffff : System RAM\n");
    for index in 1..=10 {
        writeln!(iomem, "  {:08x}-{:08x} : Crash kernel", index << 24, (index << 24) + 0xf_ffff).unwrap();
    }
    let machine = machine(&iomem);
    assert_eq!(machine.crash_regions.len(), 10);
    assert_eq!(machine.load_region().unwrap().start(), 10 << 24);
    assert_eq!(machine.dump_ranges().unwrap().len(), 11);
    assert_eq!(machine.dump_ram().unwrap().total(), 0xff0_0000 - 10 * 0x10_0000);
}

#[test]
fn hot_plugged_memory_counts_at_any_depth() {
    let iomem = "00001000-00001fff : System RAM\n\
        100000000-1ffffffff : Persistent Memory\n  100000000-1ffffffff : dax0.0\n    140000000-17fffffff : System RAM (kmem)\n\
        200000000-2ffffffff : virtio0\n  200000000-207ffffff : System RAM (virtio_mem)\n";
    assert_eq!(dump(iomem), ["0x1000-0x1fff", "0x140000000-0x17fffffff", "0x200000000-0x207ffffff"]);
    let left: Vec<_> =
        machine(iomem).memory.of_kind(MemoryKind::Pmem).map(|range| range.to_string()).collect();
    assert_eq!(left, ["0x100000000-0x13fffffff", "0x180000000-0x1ffffffff"]);
}

#[test]
fn other_kinds_are_kept_apart() {
    let iomem = "00001000-00001fff : System RAM\n00002000-00002fff : ACPI Tables\n00003000-00003fff : ACPI Non-volatile Storage\n\
        00004000-00004fff : Persistent Memory\n00005000-00005fff : Persistent Memory (legacy)\n00006000-00006fff : reserved\n\
        00007000-00007fff : Unusable memory\n00008000-00008fff : Soft Reserved\n00009000-00009fff : RAM buffer\n";
    let kinds: Vec<_> = machine(iomem).memory.iter().map(|entry| entry.kind.name()).collect();
    assert_eq!(kinds, ["ram", "acpi", "nvs", "pmem", "pram", "reserved", "unusable"]);
}

#[test]
fn hidden_addresses_are_told_apart_from_no_memory() {
    let hidden =
        "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n  00000000-00000000 : Crash kernel\n";
    let error = Machine::from_files(&files(hidden)).unwrap_err();
    assert!(matches!(&error, Error::AddressesHidden { path } if path == "proc/iomem"), "{error}");
    assert!(error.to_string().contains("CAP_SYS_ADMIN"));
    let error = Machine::from_files(&files("00000000-00000fff : Reserved\n")).unwrap_err();
    assert!(matches!(&error, Error::NoRam { path, lines: 1 } if path == "proc/iomem"), "{error}");
    let error = Machine::from_files(&MachineFiles::new()).unwrap_err();
    assert!(matches!(&error, Error::Missing { path } if path == "proc/iomem"), "{error}");
}

#[test]
fn lines_that_make_no_sense_are_reported() {
    let iomem = "00001000-00001fff : System RAM\nfish\n0x2000-0x2fff : System RAM\n00004000-00003fff : System RAM\n3000-3fff\n\n\
        ffffffffffffffff-ffffffffffffffff : System RAM\n00005000-00005fff : a : b\n";
    let parsed = Iomem::parse(iomem.as_bytes(), "proc/iomem").unwrap();
    assert_eq!(parsed.entries().len(), 2);
    assert_eq!(parsed.entries()[1].name, "a : b");
    let numbers: Vec<_> =
        parsed.remarks().iter().map(|note| note.split('`').next().unwrap().trim()).collect();
    assert_eq!(numbers, ["line 2", "line 3", "line 4", "line 5", "line 7"]);
}

#[test]
fn a_range_up_to_the_last_address_is_cut_with_a_word() {
    let iomem = "00001000-00001fff : System RAM\n00000000-ffffffffffffffff : PCI mem\n";
    let parsed = Iomem::parse(iomem.as_bytes(), "proc/iomem").unwrap();
    assert_eq!(parsed.entries()[1].range.last(), u64::MAX - 1);
    assert_eq!(parsed.remarks(), ["line 2 `PCI mem` ends at the last address; that byte was cut off"]);
}

#[test]
fn a_very_long_line_is_a_line() {
    let name = "x".repeat(100_000);
    let iomem = format!(
        "00001000-00001fff : System RAM\n  00001000-00001fff : {name}\n00002000-00002fff : System RAM\n"
    );
    let parsed = Iomem::parse(iomem.as_bytes(), "proc/iomem").unwrap();
    assert_eq!(parsed.entries()[1].name.len(), 100_000);
    assert_eq!(parsed.entries()[1].depth, 1);
    assert_eq!(dump(&iomem), ["0x1000-0x1fff", "0x2000-0x2fff"]);
}

#[test]
fn no_number_of_ranges_is_too_large() {
    for count in [9_u64, 129, 1025, 40_000] {
        let mut iomem = String::new();
        for index in 0..count {
            let start = (index + 1) << 16;
            writeln!(iomem, "{start:08x}-{:08x} : System RAM", start + 0xefff).unwrap();
            writeln!(iomem, "  {:08x}-{:08x} : Crash kernel", start + 0x1000, start + 0x1fff).unwrap();
            writeln!(iomem, "{:08x}-{:08x} : Reserved", start + 0xf000, start + 0xffff).unwrap();
        }
        let machine = machine(&iomem);
        assert_eq!(machine.memory.len() as u64, 2 * count);
        assert_eq!(machine.crash_regions.len() as u64, count);
        let dump = machine.dump_ranges().unwrap();
        assert_eq!(dump.len() as u64, 2 * count);
        assert_eq!(dump.iter().map(|range| range.size()).sum::<u64>(), count * 0xe000);
        assert_eq!(
            dump.last(),
            PhysRange::from_half_open((count << 16) + 0x2000, (count << 16) + 0xf000).ok().as_ref()
        );
        assert_eq!(machine.cma_ranges.len(), 0);
    }
}

#[test]
fn cpus_with_gaps_and_eight_thousand_of_them() {
    let mut files = files("00001000-00ffffff : System RAM\n");
    for cpu in (0..8192_u32).filter(|cpu| cpu % 5 != 3) {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}");
        files.insert(format!("{dir}/crash_notes"), format!("{:x}\n", 0x10_0000 + u64::from(cpu) * 512));
        if cpu % 2 == 0 {
            files.insert(format!("{dir}/crash_notes_size"), "368\n");
        }
    }
    files.insert("sys/devices/system/cpu/cpufreq/crash_notes", "bad");
    let machine = Machine::from_files(&files).unwrap();
    let wanted: Vec<_> = (0..8192_u32).filter(|cpu| cpu % 5 != 3).collect();
    assert_eq!(machine.cpu_notes.iter().map(|note| note.cpu).collect::<Vec<_>>(), wanted);
    for note in &machine.cpu_notes {
        assert_eq!(note.paddr, 0x10_0000 + u64::from(note.cpu) * 512);
        assert_eq!(note.size, if note.cpu % 2 == 0 { 368 } else { 1024 });
    }
}

/// Notes of another machine are told in a few lines, however many CPUs it had.
#[test]
fn eight_thousand_impossible_notes_are_told_in_a_few_lines() {
    let mut files = files("00001000-00001fff : System RAM\n");
    for cpu in 0..8192 {
        files.insert(format!("sys/devices/system/cpu/cpu{cpu}/crash_notes"), "fff00000\n");
    }
    let machine = Machine::from_files(&files).unwrap();
    assert!(machine.cpu_notes.is_empty() && machine.remarks.len() < 40, "{}", machine.remarks.len());
    let said: Vec<String> = machine.remarks.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|note| note.contains("8176 more CPUs")), "{said:#?}");
}

#[test]
fn a_note_address_that_is_no_number_is_reported() {
    let mut files = files("00001000-00001fff : System RAM\n");
    files.insert("sys/devices/system/cpu/cpu0/crash_notes", "1000\n");
    files.insert("sys/devices/system/cpu/cpu1/crash_notes", "what\n");
    let machine = Machine::from_files(&files).unwrap();
    assert_eq!(machine.cpu_notes.len(), 1);
    assert!(machine.remarks.iter().any(|note| note.path.ends_with("cpu1/crash_notes")));
}

#[test]
fn firmware_that_contradicts_itself_is_not_believed_about_ram() {
    let mut files = files("00001000-00001fff : System RAM\n");
    for (index, (start, end, kind)) in [
        ("0x0", "0x9ffff", "Reserved"),
        ("0x80000", "0xfffff", "System RAM"),
        ("0x100000", "0x1fffff", "Novel Memory"),
        ("0x200000", "0x1fffff", "System RAM"),
    ]
    .into_iter()
    .enumerate()
    {
        files.insert(format!("sys/firmware/memmap/{index}/start"), start);
        files.insert(format!("sys/firmware/memmap/{index}/end"), end);
        files.insert(format!("sys/firmware/memmap/{index}/type"), kind);
    }
    let machine = Machine::from_files(&files).unwrap();
    let map: Vec<_> =
        machine.firmware_map.unwrap().iter().map(|entry| format!("{} {}", entry.range, entry.kind)).collect();
    assert_eq!(map, ["0x0-0x9ffff reserved", "0xa0000-0xfffff ram", "0x100000-0x1fffff reserved"]);
    let notes: Vec<_> = machine.remarks.iter().filter(|note| note.path.contains("memmap")).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
}
