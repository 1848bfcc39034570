//! The vmcore view against a model that knows nothing of offsets tables.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, ElfCoreHdr, Segment, Wire, crash_notes_buffer, note, prstatus_x86_64};
use kdump_elf::{Arch, Paddr};
use kdump_vmcore::{
    Dump, Error, MemoryImage, OldMemory, OldmemView, PhysMemory, ReadAt, ViewOptions, VmcoreView,
};
use proptest::prelude::*;

type View = VmcoreView<MemoryImage<Vec<u8>>>;

fn view_of(source: &ElfCoreHdr, options: ViewOptions) -> Result<View, Error> {
    let memory = MemoryImage::new(Paddr(0), source.memory.clone());
    VmcoreView::from_header(&source.header.build(), memory, options)
}

fn view(source: &ElfCoreHdr) -> Result<View, Error> {
    view_of(source, ViewOptions::default())
}

fn all<S: ReadAt>(source: &S) -> Vec<u8> {
    let mut bytes = vec![0; source.size().unwrap() as usize];
    source.read_full_at(0, &mut bytes).unwrap();
    bytes
}

/// Two CPUs of which the second saved nothing, VMCOREINFO, a backup and odd ends.
fn machine() -> ElfCoreHdr {
    let cpu = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, [3; 27]));
    let info = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\n");
    ElfCoreHdr::new(Wire::LE64, 62, 0x4_0000)
        .with_notes(0x3_0000, &crash_notes_buffer(&cpu, 368))
        .with_notes(0x3_0200, &crash_notes_buffer(&[], 368))
        .with_notes(0x3_1000, &crash_notes_buffer(&info, 1024))
        .with_load(0x2_8000, 0x1000, 0x4c00)
        .with_load(0x1_0018, 0x1_0018, 0x5000)
}

#[test]
fn it_is_an_elf_core() {
    let source = machine();
    let view = view(&source).unwrap();
    assert_eq!(view.defects(), []);
    let dump = Dump::open(all(&view)).unwrap();
    assert!(dump.completeness().is_complete());
    assert_eq!(dump.phdrs(), view.phdrs());
    assert_eq!((dump.cpus().count(), dump.cpus().next().unwrap().prstatus().unwrap().pid()), (1, 42));
    assert_eq!(dump.vmcoreinfo().unwrap().release(), Some("6.1"));
    // Header page, one page of notes, 5 and 6 pages of memory.
    assert_eq!(view.file_size(), 0xd000);
    for (paddr, at, len) in [(0x1000, 0x2_8000, 0x4c00), (0x1_0018, 0x1_0018, 0x5000)] {
        let mut bytes = vec![0; len];
        dump.reader().read_phys(Paddr(paddr), &mut bytes).unwrap();
        assert_eq!(bytes, source.memory[at..at + len]);
        view.read_phys(Paddr(paddr), &mut bytes).unwrap();
        assert_eq!(bytes, source.memory[at..at + len]);
    }
    let stopped = view.read_phys(Paddr(0x5bf8), &mut [0; 16]).unwrap_err();
    assert_eq!((stopped.read, stopped.error), (8, Error::Hole { paddr: 0x5c00, next: Some(0x1_0018) }));
    // Pages of the file are whole: the odd ends are readable, as in /proc/vmcore.
    assert_eq!(all(&view)[0x2000 + 0x4c00..0x7000], source.memory[0x2_8000 + 0x4c00..0x2_d000]);
}

#[test]
fn the_header_may_lie_in_old_memory() {
    let mut source = machine();
    let header = source.header.build();
    source.memory[0x3_8000..0x3_8000 + header.len()].copy_from_slice(&header);
    let memory = MemoryImage::new(Paddr(0), source.memory.clone());
    let found = VmcoreView::from_memory(Paddr(0x3_8000), memory.clone(), ViewOptions::default()).unwrap();
    assert_eq!(all(&found), all(&view(&source).unwrap()));
    let error = VmcoreView::from_memory(Paddr(0x3_9000), memory.clone(), ViewOptions::default());
    assert!(matches!(error, Err(Error::Elf { .. })));
    let error = VmcoreView::from_memory(Paddr(0x4_0000), memory, ViewOptions::default());
    assert!(matches!(error, Err(Error::Hole { paddr: 0x4_0000, .. })));
}

#[test]
fn what_is_not_ram_reads_as_zeros_and_is_never_touched() {
    let options = ViewOptions::default().is_ram(Some(Box::new(|pfn| pfn != 0x12)));
    let source = machine();
    let view = view_of(&source, options).unwrap();
    let mut bytes = vec![1; 0x5000];
    view.read_phys(Paddr(0x1_0018), &mut bytes).unwrap();
    let mut expected = source.memory[0x1_0018..0x1_5018].to_vec();
    expected[0x1fe8..0x2fe8].fill(0);
    assert!(bytes == expected);
}

#[test]
fn a_wrong_header_gives_no_view() {
    let with = |change: &dyn Fn(&mut CoreFile)| {
        let mut source = machine();
        change(&mut source.header);
        view(&source).unwrap_err()
    };
    let load = |p_offset, size| Segment {
        p_offset: Some(p_offset),
        p_filesz: Some(size),
        p_memsz: Some(size),
        ..Segment::load(0, &[])
    };
    let field = |error: Error| match error {
        Error::Elf { error: kdump_elf::Error::Field { field, value, .. }, .. } => (field, value),
        other => panic!("{other}"),
    };
    assert_eq!(field(with(&|h| h.e_type = 2)), ("e_type", 2));
    assert_eq!(field(with(&|h| h.e_phnum = Some(0))), ("e_phnum", 0));
    assert!(matches!(with(&|h| h.e_phnum = Some(600)), Error::Elf { .. }));
    assert_eq!(field(with(&|h| h.e_ehsize = Some(8))), ("e_ehsize", 8));
    assert!(
        matches!(with(&|h| h.segments.push(Segment::notes(&[]))), Error::Elf { .. }),
        "PT_NOTE behind PT_LOAD"
    );
    assert!(matches!(with(&|h| h.segments.retain(|s| s.p_type == 1)), Error::Elf { .. }), "no PT_NOTE");
    assert!(matches!(with(&|h| h.segments.push(load(u64::MAX - 8, 16))), Error::Elf { .. }), "wraps");
    assert!(matches!(with(&|h| h.segments.push(load(0, u64::MAX >> 1))), Error::Elf { .. }), "too large");
    assert!(matches!(with(&|h| h.segments[4].p_filesz = Some(1)), Error::Elf { .. }), "p_filesz");
    // As kexec-tools writes it for kernels whose kallsyms has no _text.
    let kexec_tools = load(0x3e49_e080_0000, 0xffff_c1b6_61a1_0000);
    let text = with(&|h| h.segments.push(kexec_tools.clone())).to_string();
    assert!(text.contains("phdr 5: p_offset is 0x3e49e0800000"), "{text}");
    let text = with(&|h| h.segments.push(load(0x1000, 0xffff_fd80_0000_0000))).to_string();
    assert!(text.contains("phdr 5: p_memsz is 0xfffffd8000000000"), "{text}");
    let conflict = Segment { p_paddr: 0x1_1000, ..load(0x2_0000, 0x1000) };
    let text = with(&|h| h.segments.push(conflict.clone())).to_string();
    assert!(text.contains("phdr 5: p_offset is 0x20000"), "{text}");
    let text = with(&|h| h.wire = Wire { wide: true, big: true }).to_string();
    assert!(text.contains("EI_DATA"), "{text}");
    let text = with(&|h| h.e_phnum = Some(0xffff)).to_string();
    assert!(text.contains("e_phnum") && text.contains("0xffff"), "{text}");
    let arch = ViewOptions::default().arch(Some(Arch::Arm64));
    assert_eq!(field(view_of(&machine(), arch).unwrap_err()), ("e_machine", 62));
    let odd = ViewOptions::default().page_size(0x1001);
    assert!(matches!(view_of(&machine(), odd), Err(Error::Elf { .. })));
    let mut narrow = ElfCoreHdr::new(Wire { wide: false, big: false }, 3, 0x1000);
    narrow = narrow.with_notes(0, &[0; 16]);
    for _ in 0..3 {
        narrow = narrow.with_load(0, 0, 0x8000_0000);
    }
    let text = view(&narrow).unwrap_err().to_string();
    assert!(text.contains("size of the vmcore 0x180001000"), "{text}");
}

#[test]
fn damaged_notes_cost_only_themselves() {
    let cpu = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, [3; 27]));
    let mut endless = cpu.clone();
    endless[4..8].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    let mut source = ElfCoreHdr::new(Wire::LE64, 62, 0x1_0000)
        .with_notes(0x1000, &crash_notes_buffer(&endless, 368))
        // Filled to the last byte: there is no terminator.
        .with_notes(0x2000, &cpu)
        .with_notes(0x3000, &[])
        .with_load(0x8000, 0x8000, 0x1000);
    let unmapped = Segment { p_offset: Some(0x2_0000), ..source.header.segments[0].clone() };
    source.header.segments.insert(0, unmapped);
    let view = view(&source).unwrap();
    assert_eq!(view.defects().len(), 2, "{:?}", view.defects());
    let dump = Dump::open(all(&view)).unwrap();
    assert_eq!(dump.cpus().count(), 1);
}

#[test]
fn notes_in_frames_that_are_no_ram_are_not_touched() {
    let source = machine();
    let options = ViewOptions::default().is_ram(Some(Box::new(|pfn| pfn != 0x30)));
    let view = view_of(&source, options).unwrap();
    let gone = |paddr| Error::Hole { paddr, next: None };
    assert_eq!(view.defects(), [gone(0x3_0000), gone(0x3_0200)]);
    let dump = Dump::open(all(&view)).unwrap();
    assert_eq!((dump.cpus().count(), dump.vmcoreinfo().unwrap().release()), (0, Some("6.1")));
}

#[test]
fn reads_keep_what_they_got() {
    let mut source = machine();
    source.memory.truncate(0x3_2000);
    let source = source.with_load(0x3_1000, 0x10_0000, 0x4000);
    let view = view(&source).unwrap();
    let start = view.phdrs().last().unwrap().p_offset;
    let mut bytes = [0; 0x3000];
    let stopped = view.read_full_at(start, &mut bytes).unwrap_err();
    assert_eq!((stopped.read, stopped.at), (0x1000, start + 0x1000));
    assert_eq!(stopped.error, Error::Hole { paddr: 0x3_2000, next: None });
    assert_eq!(bytes[..0x1000], source.memory[0x3_1000..]);
}

#[test]
fn the_linear_view() {
    let view = OldmemView::new(MemoryImage::new(Paddr(0x1000), vec![5; 0x2000]), Paddr(0x2800));
    assert_eq!(view.size(), Ok(0x2800));
    assert!(matches!(view.read_at(0, &mut [0; 4]), Err(Error::Hole { paddr: 0, .. })));
    assert_eq!(view.read_at(0x27fc, &mut [0; 16]), Ok(4));
    assert_eq!(view.read_at(0x2800, &mut [0; 16]), Ok(0));
}

/// What the file holds, written down range by range.
fn model(source: &ElfCoreHdr, notes: &[u8], loads: &[(usize, usize)]) -> Vec<u8> {
    let (ehdr, phdr) = if source.header.wire.wide { (64, 56) } else { (52, 32) };
    let page = |len: usize| len.div_ceil(0x1000) * 0x1000;
    let mut out = vec![0; page(ehdr + (loads.len() + 1) * phdr)];
    out.extend(notes);
    out.resize(page(out.len()), 0);
    for &(start, size) in loads {
        out.extend(&source.memory[start / 0x1000 * 0x1000..page(start + size)]);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_header_shows_the_memory_it_describes(
        loads in prop::collection::vec((0x4000_usize..0x1_8000, 0_usize..0x3000), 0..90),
        cpus in prop::collection::vec(any::<bool>(), 1..5),
        reads in prop::collection::vec((0_usize..0x4_0000, 1_usize..0x2800), 12),
        wide: bool,
        big: bool,
    ) {
        let wire = Wire { wide, big };
        // PowerPC, which has both word sizes and both byte orders.
        let mut source = ElfCoreHdr::new(wire, if wide { 21 } else { 20 }, 0x2_0000);
        let mut notes = Vec::new();
        for (cpu, &alive) in cpus.iter().enumerate() {
            let bytes = if alive { note(wire, "CORE", 1, &[cpu as u8; 99]) } else { vec![] };
            source = source.with_notes(cpu * 0x400, &crash_notes_buffer(&bytes, 0x300));
            notes.extend(bytes);
        }
        for &(start, size) in &loads {
            source = source.with_load(start as u64, start as u64 + 0x100_0000, size as u64);
        }
        let view = view(&source).unwrap();
        let expected = model(&source, &notes, &loads);
        prop_assert_eq!(view.file_size(), expected.len() as u64);
        let head = if wide { 64 + 56 * (loads.len() + 1) } else { 52 + 32 * (loads.len() + 1) };
        for (start, len) in reads {
            let mut bytes = vec![0; len];
            let read = match view.read_full_at(start as u64, &mut bytes) {
                Ok(()) => len,
                Err(stopped) => stopped.read,
            };
            prop_assert_eq!(read, expected.len().saturating_sub(start).min(len));
            let from = head.saturating_sub(start).min(read);
            prop_assert!(bytes[from..read] == expected[(start + from).min(expected.len())..][..read - from]);
        }
    }
}
