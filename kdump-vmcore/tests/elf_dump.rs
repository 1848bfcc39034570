//! ELF cores of every encoding, whole and damaged, read by physical address.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, Segment, Wire, note, prstatus_x86_64};
use kdump_elf::{Arch, Class, Endian, Paddr, PhysRange};
use kdump_vmcore::{
    Dump, Error, Facts, Format, PageClass, PhysMemory, ReadAt, Scratch, Span, SpanKind, Stopped, verify,
};
use proptest::prelude::*;

fn read(dump: &Dump<'_>, paddr: u64, len: usize) -> Result<Vec<u8>, Stopped> {
    let mut bytes = vec![0xee; len];
    dump.reader().read_phys(Paddr(paddr), &mut bytes).map(|()| bytes)
}

fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(7) ^ seed).collect()
}

#[test]
fn every_encoding() {
    for (wire, e_machine, arch) in [
        (Wire::LE64, 62, Arch::X86_64),
        (Wire { wide: true, big: true }, 22, Arch::S390x),
        (Wire { wide: false, big: false }, 3, Arch::I386),
        (Wire { wide: false, big: true }, 20, Arch::Ppc32),
    ] {
        let (low, high) = (pattern(0x2000, 1), pattern(0x1234, 2));
        let file = CoreFile::new(wire, e_machine)
            .with(Segment::notes(&note(wire, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
            .with(Segment::load(0x10_0000, &high))
            .with(Segment::load(0x1000, &low));
        let dump = Dump::open(file.build()).unwrap();
        assert_eq!((dump.arch(), dump.format()), (Some(arch), "elf"));
        assert_eq!(dump.vmcoreinfo().unwrap().release(), Some("6.1"));
        assert_eq!(read(&dump, 0x1000, 0x2000).unwrap(), low);
        assert_eq!(read(&dump, 0x10_1000, 0x234).unwrap(), high[0x1000..]);
        assert!(dump.completeness().is_complete());
        assert_eq!(dump.memory_size(), 0x3234);
    }
}

#[test]
fn holes_begin_at_the_very_byte() {
    let dump = Dump::open(
        CoreFile::x86_64()
            .with(Segment::load(0x1000, &pattern(0x1ec00, 3)))
            .with(Segment::load(0x10_0018, &pattern(0x1000, 4)))
            .build(),
    )
    .unwrap();
    let before = read(&dump, 0xff8, 8).unwrap_err();
    assert_eq!((before.read, before.error), (0, Error::Hole { paddr: 0xff8, next: Some(0x1000) }));
    let end = read(&dump, 0x1fbf0, 32).unwrap_err();
    assert_eq!((end.read, end.at), (16, 0x1fc00));
    assert_eq!(end.error, Error::Hole { paddr: 0x1fc00, next: Some(0x10_0018) });
    assert_eq!(read(&dump, 0x10_1018, 1).unwrap_err().error, Error::Hole { paddr: 0x10_1018, next: None });
    assert_eq!(read(&dump, u64::MAX, 1).unwrap_err().read, 0);
    let kinds: Vec<_> = dump.spans().map(|range| (range.range.start(), range.kind)).collect();
    let expected = [(0x1000, SpanKind::Stored), (0x1fc00, SpanKind::Hole), (0x10_0018, SpanKind::Stored)];
    assert_eq!(kinds, expected);
}

#[test]
fn what_is_beyond_p_filesz_was_excluded() {
    let segment = Segment { p_memsz: Some(0x3000), ..Segment::load(0x4000, &pattern(0x1000, 5)) };
    let dump = Dump::open(CoreFile::x86_64().with(segment).build()).unwrap();
    let stopped = read(&dump, 0x4ff0, 0x20).unwrap_err();
    assert_eq!((stopped.read, stopped.error), (16, Error::Excluded { paddr: 0x5000 }));
    assert_eq!(dump.memory_size(), 0x3000);
}

#[test]
fn zeros_stand_for_excluded_memory_and_for_nothing_else() {
    let mut file = CoreFile::x86_64()
        .with(Segment { p_memsz: Some(0x2000), ..Segment::load(0x1000, &pattern(0x1000, 5)) })
        .with(Segment::load(0x3000, &pattern(0x1000, 6)))
        .with(Segment::load(0x8000, &pattern(0x1000, 7)));
    file.cut = Some(file.build().len() - 0x800);
    let dump = Dump::open(file.build()).unwrap();
    let mut reader = dump.reader().zero_excluded(true);
    let mut bytes = vec![0xee; 0x3000];
    reader.read_phys(Paddr(0x1000), &mut bytes).unwrap();
    assert_eq!(bytes, [pattern(0x1000, 5), vec![0; 0x1000], pattern(0x1000, 6)].concat());
    let hole = reader.read_phys(Paddr(0x2800), &mut bytes).unwrap_err();
    assert_eq!((hole.read, hole.error), (0x1800, Error::Hole { paddr: 0x4000, next: Some(0x8000) }));
    let end = reader.read_phys(Paddr(0x8000), &mut bytes).unwrap_err();
    assert!(matches!((end.read, end.error), (0x800, Error::Truncated { .. })), "{end}");
    let excluded = reader.read_stored(Paddr(0x1000), &mut bytes).unwrap_err();
    assert_eq!((excluded.read, excluded.error), (0x1000, Error::Excluded { paddr: 0x2000 }));
}

#[test]
fn a_dump_of_several_files_is_refused_where_there_is_none() {
    let part = || -> Box<dyn ReadAt> { Box::new(CoreFile::x86_64().with(Segment::load(0, &[1])).build()) };
    assert!(Dump::open_parts(vec![part()]).is_ok());
    let error = Dump::open_parts(vec![part(), part()]).unwrap_err();
    assert!(matches!(error, Error::Unsupported { what } if what.contains("ELF")), "{error}");
    assert!(matches!(Dump::open_parts(vec![]), Err(Error::Unsupported { .. })));
}

/// A format this crate does not know: pages that are zero, lost in three ways, or a hole.
struct Foreign(Facts);

impl Format for Foreign {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let kinds = [
            SpanKind::Hole,
            SpanKind::Zero,
            SpanKind::Unreadable,
            SpanKind::Missing,
            SpanKind::Corrupt,
            SpanKind::Excluded(Some(PageClass::Free)),
        ];
        let page = at.0 / 0x1000;
        let range = PhysRange::from_len(page * 0x1000, 0x1000).unwrap();
        kinds.get(page as usize).map(|&kind| Span { range, kind })
    }

    fn read(&self, at: Paddr, buf: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        match at.0 / 0x1000 {
            1 if buf.len() <= 0x1000 => {
                buf.fill(0);
                Ok(())
            }
            _ => Err(Stopped::new(at.0, 0, Error::Excluded { paddr: at.0 })),
        }
    }
}

#[test]
fn what_is_lost_is_never_sound_and_never_zeros() {
    let facts = Facts::new("foreign", kdump_elf::Encoding { class: Class::Elf64, endian: Endian::Little });
    let dump = Dump::from_format(Foreign(facts));
    assert_eq!((dump.format(), dump.memory_size()), ("foreign", 0x5000));
    assert_eq!(dump.spans().next().unwrap().kind, SpanKind::Zero);
    let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!((found.memory, found.unreadable.bytes, found.is_sound()), (0x4000, 0x3000, false));
    let causes: Vec<&Error> = found.unreadable.ranges.iter().map(|lost| &lost.error).collect();
    let expected = matches!(
        causes[..],
        [Error::Unreadable { paddr: 0x2000 }, Error::Truncated { .. }, Error::Corrupt { .. }]
    );
    assert!(expected, "{causes:?}");
    // A reason that the span denies gives no zeros.
    let mut reader = dump.reader().zero_excluded(true);
    assert!(reader.read_phys(Paddr(0x2000), &mut [1; 8]).is_err());
    assert!(reader.read_phys(Paddr(0x5000), &mut [1; 8]).is_ok());
}

/// Says that memory was left out, and when it is read that it was lost.
struct Contradicting(Facts);

impl Format for Contradicting {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn span(&self, _: Paddr) -> Option<Span> {
        let range = PhysRange::from_len(0, 0x1000).unwrap();
        Some(Span { range, kind: SpanKind::Excluded(None) })
    }

    fn read(&self, at: Paddr, _: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        Err(Stopped::new(at.0, 0, Error::Unreadable { paddr: at.0 }))
    }
}

#[test]
fn a_span_alone_makes_no_zeros() {
    let facts = Facts::new("foreign", kdump_elf::Encoding { class: Class::Elf64, endian: Endian::Little });
    let dump = Dump::from_format(Contradicting(facts));
    let mut bytes = [7; 8];
    let stopped = dump.reader().zero_excluded(true).read_phys(Paddr(0x10), &mut bytes).unwrap_err();
    assert_eq!((stopped.error, bytes), (Error::Unreadable { paddr: 0x10 }, [7; 8]));
}

#[test]
fn a_page_size_no_machine_has_is_not_believed() {
    for (size, believed) in
        [("0", None), ("511", None), ("4096", Some(4096)), ("1048576", Some(1 << 20)), ("2097152", None)]
    {
        let text = format!("OSRELEASE=6.1\nPAGESIZE={size}\n");
        let file = CoreFile::x86_64()
            .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, text.as_bytes())))
            .with(Segment::load(0x1000, &[1; 16]));
        assert_eq!(Dump::open(file.build()).unwrap().page_size(), believed, "{size}");
    }
}

#[test]
fn overlapping_segments_are_one_memory() {
    let memory = pattern(0x4000, 6);
    let dump = Dump::open(
        CoreFile::x86_64()
            .with(Segment::load(0x3000, &memory[0x1000..0x2000]))
            .with(Segment::load(0x2000, &memory))
            .build(),
    )
    .unwrap();
    assert_eq!(read(&dump, 0x2000, 0x4000).unwrap(), memory);
    assert_eq!(dump.memory_size(), 0x4000);
}

#[test]
fn a_cut_file_gives_errors_and_never_zeros() {
    let file = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [1; 27]))))
        .with(Segment::load(0, &pattern(0x4000, 7)));
    let whole = file.build();
    for cut in 0..whole.len() {
        let Ok(dump) = Dump::open(whole[..cut].to_vec()) else { continue };
        assert!(!dump.completeness().is_complete(), "cut at {cut}");
        let have = cut.saturating_sub(whole.len() - 0x4000);
        match read(&dump, 0, 0x4000) {
            Err(Stopped { read, at, error: Error::Truncated { .. }, .. }) => {
                assert_eq!((read, at), (have, have as u64), "cut at {cut}");
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
        assert_eq!(dump.completeness().missing, (0x4000 - have) as u64);
    }
}

#[test]
fn verify_names_what_is_missing() {
    let mut file = CoreFile::x86_64().with(Segment::load(0x1000, &pattern(0x8000, 8)));
    let whole = file.build().len();
    file.cut = Some(whole - 0x2800);
    let dump = Dump::open(file.build()).unwrap();
    let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(!found.is_sound());
    assert_eq!(found.unreadable.bytes, 0x2800);
    assert_eq!(found.unreadable.ranges[0].range.start(), 0x6800);
    assert_eq!(found.unreadable.ranges.len(), 1);
}

#[test]
fn qemu_writes_a_wrong_e_ehsize() {
    let file = CoreFile { e_ehsize: Some(8), ..CoreFile::x86_64().with(Segment::load(0, &[1, 2, 3])) };
    assert_eq!(read(&Dump::open(file.build()).unwrap(), 0, 3).unwrap(), [1, 2, 3]);
}

#[test]
fn more_program_headers_than_e_phnum_can_count() {
    for wire in Wire::ALL {
        let mut file = CoreFile { align: 1, ..CoreFile::new(wire, 62) };
        for index in 0..66_000_u64 {
            file.segments.push(Segment::load(index * 0x10, &[index as u8, (index >> 8) as u8]));
        }
        let dump = Dump::open(file.build()).unwrap();
        assert_eq!(dump.phdrs().len(), 66_000);
        assert_eq!(read(&dump, 65_999 * 0x10, 2).unwrap(), [0xcf, 0x01]);
    }
}

#[test]
fn damage_has_a_name() {
    let open = |bytes: Vec<u8>| Dump::open(bytes).unwrap_err();
    assert!(
        matches!(open(b"hello, world".to_vec()), Error::UnknownFormat { found } if &found == b"hello, w")
    );
    assert!(matches!(open(vec![]), Error::Truncated { what: "signature", have: 0, .. }));
    for signature in ["KDUMP   ....", "DISKDUMP....", "makedumpfile\0\0\0\0...."] {
        assert!(matches!(open(signature.into()), Error::Truncated { .. }), "{signature}");
    }
    let plain = CoreFile::x86_64().with(Segment::load(0, &[0; 64]));
    let file = CoreFile { e_type: 2, ..plain.clone() };
    assert!(matches!(open(file.build()), Error::Corrupt { what: "e_type", value: 2, .. }));
    let file = CoreFile { e_phnum: Some(1000), ..plain.clone() };
    assert!(matches!(open(file.build()), Error::Truncated { what: "program header table", .. }));
    assert!(matches!(open(plain.build()[..60].to_vec()), Error::Elf { what: "ELF header", .. }));
    // PN_XNUM without a section header is a plain number.
    let file = CoreFile { e_phnum: Some(0xffff), ..plain.clone() };
    assert!(matches!(open(file.build()), Error::Truncated { .. }));
    // A count no file has, promised by section header 0.
    let mut bytes = CoreFile { e_phnum: Some(0xffff), ..plain }.build();
    bytes[40..48].copy_from_slice(&200_u64.to_le_bytes());
    bytes.resize(300, 0xff);
    assert!(matches!(open(bytes), Error::TooLarge { what: "number of program headers", .. }));
}

#[test]
fn damaged_segments_cost_only_themselves() {
    let wraps = Segment { p_filesz: Some(u64::MAX), ..Segment::load(0x9000, &[0; 16]) };
    let notes = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    let mut damaged = notes.clone();
    damaged[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let huge_notes = Segment { p_filesz: Some(1 << 40), ..Segment::notes(&notes) };
    let dump = Dump::open(
        CoreFile::x86_64()
            .with(Segment::notes(&damaged))
            .with(wraps)
            .with(Segment::load(0x1000, &[9; 16]))
            .with(huge_notes)
            .build(),
    )
    .unwrap();
    assert_eq!(read(&dump, 0x1000, 16).unwrap(), [9; 16]);
    assert_eq!(dump.cpus().count(), 1);
    let defects: Vec<String> = dump.completeness().defects.iter().map(ToString::to_string).collect();
    assert_eq!(defects.len(), 4, "{defects:?}");
    assert!(defects[0].contains("note"), "{defects:?}");
    assert!(defects[3].contains("phdr 1: p_filesz"), "{defects:?}");
}

/// As kexec-tools writes the header for kernels whose kallsyms has no _text: the text has no place, the
/// rest is as good as ever, and nobody calls it complete.
#[test]
fn a_segment_as_long_as_the_address_space_is_left_out_by_name() {
    let rows = [
        (0x3e49_e080_0000, 0xffff_c1b6_61a1_0000, "phdr 0: p_filesz is 0xffffc1b661a10000"),
        (0x4021_0000, 0xffff_fd80_0000_0000, "phdr 0: p_memsz is 0xfffffd8000000000"),
    ];
    for (paddr, size, said) in rows {
        let text = Segment { p_filesz: Some(size), p_memsz: Some(size), ..Segment::load(paddr, &[7; 16]) };
        let file = CoreFile::new(Wire::LE64, 183).with(text).with(Segment::load(0x4000_0000, &[9; 16]));
        let dump = Dump::open(file.build()).unwrap();
        assert_eq!(read(&dump, 0x4000_0000, 16).unwrap(), [9; 16]);
        assert!(matches!(read(&dump, 0x4021_0000, 16).unwrap_err().error, Error::Hole { .. }));
        let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
        assert!(!found.is_sound() && !dump.completeness().is_complete());
        assert!(found.defects[0].to_string().contains(said), "{}", found.defects[0]);
    }
}

#[test]
fn a_header_that_contradicts_itself_is_not_sound() {
    let unsound = |file: CoreFile| {
        let dump = Dump::open(file.build()).unwrap();
        let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
        assert!(!found.is_sound() && !dump.completeness().is_complete());
        found.defects[0].to_string()
    };
    assert!(unsound(CoreFile::x86_64()).contains("number of PT_LOADs"));
    let longer = Segment { p_memsz: Some(0x800), ..Segment::load(0x1000, &[1; 0x1000]) };
    assert!(
        unsound(CoreFile::x86_64().with(longer)).contains("p_filesz is 0x1000, expected at most p_memsz")
    );
}

#[test]
fn a_dump_without_memory_is_not_sound() {
    let found = |lens: [usize; 2]| {
        let mut file = CoreFile::x86_64();
        for (at, len) in [0x1000, 0x10_0000].into_iter().zip(lens) {
            file = file.with(Segment { p_memsz: Some(0x2000), ..Segment::load(at, &pattern(len, 5)) });
        }
        let dump = Dump::open(file.build()).unwrap();
        let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
        assert_eq!(found.is_sound(), dump.completeness().is_complete());
        found.defects
    };
    assert!(matches!(found([0, 0])[..], [error] if error.to_string().ends_with("no memory is stored")));
    assert_eq!(found([0, 1]), []);
}

#[test]
fn an_unknown_architecture_is_no_damage() {
    let cpu = note(Wire::LE64, "CORE", 1, &[0; 400]);
    let file =
        CoreFile::new(Wire::LE64, 9999).with(Segment::notes(&cpu)).with(Segment::load(0x1000, &[1; 16]));
    let dump = Dump::open(file.build()).unwrap();
    let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert!(matches!(dump.cpus().next().unwrap().prstatus(), Err(Error::Unsupported { .. })));
}

#[test]
fn bytes_behind_the_end_do_not_hide_others() {
    let mut file = CoreFile::x86_64()
        .with(Segment { p_offset: Some(0x10_0000), ..Segment::load(0x1000, &[1; 0x3000]) })
        .with(Segment::load(0x2000, &[2; 0x1000]));
    file.segments[0].p_filesz = Some(0x3000);
    let dump = Dump::open(file.build()).unwrap();
    let kinds: Vec<_> = dump.spans().map(|part| (part.range.start(), part.kind)).collect();
    let expected = [(0x1000, SpanKind::Missing), (0x2000, SpanKind::Stored), (0x3000, SpanKind::Missing)];
    assert_eq!(kinds, expected);
    assert_eq!(read(&dump, 0x2000, 0x1000).unwrap(), [2; 0x1000]);
    assert!(matches!(read(&dump, 0x3000, 1).unwrap_err().error, Error::Truncated { .. }));
}

#[test]
fn a_note_without_a_name_hides_no_later_one() {
    let registers = note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    let info = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\n");
    for nameless in [&[0; 12][..], &[0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9]] {
        let notes = Segment::notes(&[nameless, &registers, &info].concat());
        let dump = Dump::open(CoreFile::x86_64().with(notes).build()).unwrap();
        assert_eq!(dump.vmcoreinfo().unwrap().release(), Some("6.1"));
        assert_eq!(dump.cpus().count(), 1);
        assert_eq!(dump.notes().iter().filter(|note| note.name.is_empty()).count(), nameless.len() / 16);
    }
}

#[test]
fn registers_belong_to_notes() {
    let mut registers = [0; 27];
    registers[16] = 0xffff_ffff_8100_0042;
    let notes = [
        note(Wire::LE64, "CORE", 1, &prstatus_x86_64(42, registers)),
        note(Wire::LE64, "LINUX", 1, &[0; 336]),
        note(Wire::LE64, "CORE", 1, &[0; 100]),
    ];
    let dump = Dump::open(
        CoreFile::x86_64().with(Segment::notes(&notes.concat())).with(Segment::load(0, &[0; 16])).build(),
    )
    .unwrap();
    let cpus: Vec<_> = dump.cpus().collect();
    assert_eq!(cpus.len(), 2);
    let prstatus = cpus[0].prstatus().unwrap();
    assert_eq!((prstatus.pid(), prstatus.register("rip")), (42, Some(0xffff_ffff_8100_0042)));
    assert!(matches!(cpus[1].prstatus(), Err(Error::Elf { what: "NT_PRSTATUS", .. })));
    assert_eq!(dump.notes().iter().count(), 3);
    let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert_eq!(found.defects.len(), 1);
}

/// Wherever a file is cut, in its memory, its notes or a segment that is neither, completeness and
/// verifying say the same.
#[test]
fn a_cut_file_is_neither_complete_nor_sound() {
    let other = Segment { p_type: 0x6000_0000, ..Segment::load(0, &[7; 30]) };
    let notes = note(Wire::LE64, "OTHER", 1, &[3; 8]);
    let segments = [Segment::notes(&notes), Segment::load(0x1000, &[5; 30]), other];
    for first in 0..3 {
        let mut file = CoreFile::x86_64();
        file.segments = segments.iter().cycle().skip(first).take(3).cloned().collect();
        let whole = file.build().len();
        for cut in 64 + 3 * 56..=whole {
            file.cut = Some(cut);
            let dump = Dump::open(file.build()).unwrap();
            let found = verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
            let expected = cut == whole;
            assert_eq!((dump.completeness().is_complete(), found.is_sound()), (expected, expected), "{cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_segments_read_as_a_map_of_bytes(
        segments in prop::collection::vec((0_u64..500, 0_usize..120, 0_u64..60, any::<u8>()), 0..8),
        reads in prop::collection::vec((0_u64..600, 1_usize..150), 16),
        wide: bool,
        big: bool,
    ) {
        let mut file = CoreFile::new(Wire { wide, big }, 62);
        for &(paddr, len, tail, seed) in &segments {
            let segment = Segment::load(paddr, &pattern(len, seed));
            file.segments.push(Segment { p_memsz: Some(len as u64 + tail), ..segment });
        }
        let dump = Dump::open(file.build()).unwrap();
        // Of each byte: its value, or whether it was excluded.
        let byte = |at: u64| {
            let inside = |&&(paddr, len, _, _): &&(u64, usize, u64, u8)| at >= paddr && at - paddr < len as u64;
            let excluded = segments.iter().any(|&(paddr, len, tail, _)| {
                at >= paddr && at - paddr < len as u64 + tail
            });
            let stored = segments.iter().find(inside);
            stored.map(|&(paddr, len, _, seed)| pattern(len, seed)[(at - paddr) as usize]).ok_or(excluded)
        };
        for (paddr, len) in reads {
            let model: Vec<u8> = (paddr..paddr + len as u64).map_while(|at| byte(at).ok()).collect();
            let mut bytes = vec![0; len];
            match dump.reader().read_phys(Paddr(paddr), &mut bytes) {
                Ok(()) => prop_assert_eq!(bytes, model),
                Err(stopped) => {
                    prop_assert_eq!(&bytes[..stopped.read], &model[..]);
                    prop_assert_eq!(stopped.at, paddr + model.len() as u64);
                    let excluded = matches!(stopped.error, Error::Excluded { .. });
                    prop_assert_eq!(byte(stopped.at), Err(excluded));
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        cut in 0_usize..900,
        changes in prop::collection::vec((0_usize..900, any::<u8>()), 0..12),
    ) {
        let file = CoreFile::x86_64()
            .with(Segment::notes(&note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [1; 27]))))
            .with(Segment::load(0x1000, &pattern(0x100, 9)));
        let mut bytes = file.build();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(bytes.len().min(cut.max(1)));
        if let Ok(dump) = Dump::open(bytes) {
            let _ = read(&dump, 0x1000, 0x100);
            let _ = dump.spans().count() + dump.notes().iter().count() + dump.cpus().count();
            let _ = verify(&dump, &mut |state| {
                if state.done < 1 << 24 {
                    core::ops::ControlFlow::Continue(())
                } else {
                    core::ops::ControlFlow::Break(())
                }
            });
        }
    }
}
