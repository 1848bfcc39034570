// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file a capture kernel shows, and what building it costs at most.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::time::Duration;
use std::time::Instant;

use kdump_elf::{
    Arch, CaptureHeader, Class, Encoding, Endian, Error, HeaderLayout, MAX_CAPTURE_NOTES, MAX_CAPTURE_PHDRS,
    NoteAlign, NoteCause, NoteDefect, Notes, PT_LOAD, PT_NOTE, Phdr, VmcoreFile, VmcorePiece, write_note,
};
use proptest::prelude::*;

const ENCODING: Encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
const PAGE: u64 = 4096;

fn phdr(p_type: u32, p_offset: u64, p_paddr: u64, size: u64) -> Phdr {
    Phdr { p_type, p_offset, p_paddr, p_filesz: size, p_memsz: size, ..Phdr::default() }
}

fn header(phdrs: &[Phdr]) -> Vec<u8> {
    let layout = HeaderLayout::elfcorehdr(ENCODING, Arch::X86_64.e_machine(), phdrs.len() as u32).unwrap();
    let mut bytes = vec![0; layout.size() as usize];
    let mut writer = layout.writer(&mut bytes).unwrap();
    phdrs.iter().for_each(|phdr| writer.push(phdr).unwrap());
    writer.finish().unwrap();
    bytes
}

/// A note in every page of memory that has no end.
fn note_everywhere(paddr: u64, buf: &mut [u8]) -> Result<(), ()> {
    let mut page = [0; PAGE as usize];
    write_note(&mut page, Endian::Little, b"CORE", 1, &paddr.to_le_bytes()).unwrap();
    let skip = (paddr % PAGE) as usize;
    buf.copy_from_slice(&page[skip..skip + buf.len()]);
    Ok(())
}

type Built = (usize, Vec<NoteDefect<()>>);

/// Builds the file in `room` bytes; the number of notes and what was told.
fn build(header: &CaptureHeader<'_>, room: usize) -> Result<Built, Error> {
    let (mut work, mut told) = (vec![0xee; room], Vec::new());
    let file = VmcoreFile::build(header, PAGE, &mut work, note_everywhere, |defect| told.push(defect))?;
    let notes = file.header().phdr(0).unwrap();
    let bytes = &file.head()[notes.p_offset as usize..][..notes.p_filesz as usize];
    let count = Notes::in_file(bytes, Endian::Little, NoteAlign::Four).map(Result::unwrap).count();
    Ok((count, told))
}

fn too_long(defect: &NoteDefect<()>) -> bool {
    matches!(defect.cause, NoteCause::Header(Error::Phdr { field: "p_memsz", .. }))
}

#[test]
#[cfg_attr(miri, ignore = "32 MiB and 65534 headers take the interpreter minutes; `cargo test` runs it")]
fn all_notes_together_are_bounded_and_the_modest_ones_are_kept() {
    let cases: [(u64, u64); 4] = [(128, 1 << 20), (1, u64::MAX >> 1), (65_534, 1 << 40), (9, 1 << 25)];
    for (count, size) in cases {
        let phdrs: Vec<Phdr> = (0..count).map(|_| phdr(PT_NOTE, 0x10_0000, 0, size)).collect();
        let bytes = header(&phdrs);
        let header = CaptureHeader::parse(&bytes, None).unwrap();
        let need = VmcoreFile::workspace_size(&header, PAGE).unwrap();
        assert!(need <= MAX_CAPTURE_NOTES + (4 << 20), "{count} of {size:#x}: {need:#x}");
        let (notes, told) = build(&header, need as usize).unwrap();
        assert!(told.iter().all(too_long) && told.len() as u64 == count);
        assert_eq!(notes as u64, count, "the first note of each is kept");
    }
    // Exactly as much as there may be is not cut.
    let share = MAX_CAPTURE_NOTES / 8;
    let bytes = header(&[phdr(PT_NOTE, 0, 0, share); 8]);
    let whole = CaptureHeader::parse(&bytes, None).unwrap();
    let need = VmcoreFile::workspace_size(&whole, PAGE).unwrap() as usize;
    assert_eq!(build(&whole, need).unwrap(), (8, vec![]));
}

#[test]
fn a_smaller_workspace_costs_notes_not_the_file() {
    let mut phdrs = vec![phdr(PT_NOTE, 0, 0, 0x8000)];
    phdrs.extend((1..4).map(|cpu| phdr(PT_NOTE, cpu * PAGE, 0, 368)));
    let bytes = header(&phdrs);
    let header = CaptureHeader::parse(&bytes, None).unwrap();
    assert_eq!(build(&header, 0xb000).unwrap(), (4, vec![]));
    let (notes, told) = build(&header, 0x3000).unwrap();
    assert_eq!((notes, told.len(), told[0].index), (4, 1, 0));
    assert!(too_long(&told[0]));
    assert_eq!(build(&header, 0x1000).unwrap().0, 0, "no room for any note");
    assert_eq!(build(&header, 0xfff).unwrap_err(), Error::Buffer { need: 0x1000, have: 0xfff });
}

#[test]
#[cfg_attr(miri, ignore = "32 MiB and 65534 headers take the interpreter minutes; `cargo test` runs it")]
fn the_most_program_headers_are_judged_in_time() {
    // In descending order and all over each other, which is the worst for a search by pairs.
    let most = u64::from(MAX_CAPTURE_PHDRS) - 1;
    let load = |index: u64| phdr(PT_LOAD, (most - index) << 12, (most - index) << 12, 1 << 30);
    let mut phdrs: Vec<Phdr> =
        core::iter::once(phdr(PT_NOTE, 0, 0, 368)).chain((0..most).map(load)).collect();
    let begin = Instant::now();
    let bytes = header(&phdrs);
    let written = begin.elapsed();
    let good = CaptureHeader::parse(&bytes, None).unwrap();
    assert_eq!(good.core().phnum(), MAX_CAPTURE_PHDRS);
    let need = VmcoreFile::workspace_size(&good, PAGE).unwrap() as usize;
    assert_eq!(build(&good, need).unwrap().0, 1);
    phdrs[1].p_offset += 0x1000;
    let bytes = header(&phdrs);
    let begin = Instant::now();
    let bad = CaptureHeader::parse(&bytes, None).unwrap();
    assert!(matches!(build(&bad, need).unwrap_err(), Error::Phdr { field: "p_offset", .. }));
    // Against the time it takes to write them once, wherever this runs; pairs would take 30 000 times.
    let judged = begin.elapsed();
    assert!(judged < written * 1000 + Duration::from_secs(1), "{judged:?}, written in {written:?}");
    // One more does not fit the field that counts them.
    let (mut more, e_phnum) = (bytes.clone(), 56);
    more[e_phnum..e_phnum + 2].copy_from_slice(&u16::MAX.to_le_bytes());
    let refused = CaptureHeader::parse(&more, None).unwrap_err();
    assert!(matches!(refused, Error::Field { field: "e_phnum", value: 0xffff, .. }), "{refused}");
}

/// Nothing is read or written before it is known that a page fits.
#[test]
fn a_copy_through_less_than_a_page_is_refused() {
    let bytes = header(&[phdr(PT_NOTE, 0, 0, 368), phdr(PT_LOAD, 0x5000, 0x5000, 0x2000)]);
    let capture = CaptureHeader::parse(&bytes, None).unwrap();
    let mut work = vec![0; 0x3000];
    let file = VmcoreFile::build(&capture, PAGE, &mut work, note_everywhere, |_| ()).unwrap();
    let mut written = 0_u64;
    let mut copy = |room: usize| {
        let write = |_: u64, bytes: &[u8]| -> Result<(), Error> {
            written += bytes.len() as u64;
            Ok(())
        };
        file.copy(&mut vec![0; room], note_everywhere, write, |_, _, ()| panic!("nothing is lost"))
    };
    assert_eq!(copy(PAGE as usize - 1).unwrap_err(), Error::Buffer { need: PAGE, have: PAGE - 1 });
    assert_eq!(copy(PAGE as usize).unwrap().written, file.size());
    assert_eq!(written, file.size());
}

/// The kernel reads `p_memsz` bytes whatever `p_filesz` says.
#[test]
fn notes_whose_sizes_differ_are_told_and_read() {
    let odd = Phdr { p_filesz: 8, ..phdr(PT_NOTE, 0x1000, 0, 368) };
    let bytes = header(&[odd, phdr(PT_NOTE, 0x2000, 0, 368)]);
    let capture = CaptureHeader::parse(&bytes, None).unwrap();
    let (notes, told) = build(&capture, 0x3000).unwrap();
    assert_eq!((notes, told.len()), (2, 1));
    let expected = NoteCause::Header(Error::Phdr {
        index: 0,
        field: "p_filesz",
        value: 8,
        expected: "the value of p_memsz, which is used",
    });
    assert_eq!(told[0].cause, expected);
}

#[test]
fn a_head_that_is_not_its_own_is_told() {
    let bytes = header(&[phdr(PT_NOTE, 0, 0, 368), phdr(PT_LOAD, 0x5000, 0x5000, 0x2000)]);
    let capture = CaptureHeader::parse(&bytes, None).unwrap();
    let mut work = vec![0; 0x3000];
    let file = VmcoreFile::build(&capture, PAGE, &mut work, note_everywhere, |_| ()).unwrap();
    let again = VmcoreFile::open(capture.core(), file.head(), PAGE).unwrap();
    assert_eq!(
        (again.size(), again.locate(0x2800)),
        (0x4000, Ok(VmcorePiece::Memory { paddr: 0x5800, len: 0x1800 }))
    );
    assert_eq!(again.locate(0x4000), Ok(VmcorePiece::End));
    // Entry 1 now begins behind where the file has it.
    let mut other = file.head().to_vec();
    other[64 + 56 + 8..][..8].copy_from_slice(&0x3000_u64.to_le_bytes());
    let torn = VmcoreFile::open(capture.core(), &other, PAGE).unwrap();
    assert!(matches!(torn.locate(0x2800), Err(Error::Phdr { index: 1, .. })));
    assert!(VmcoreFile::open(capture.core(), &other[..100], PAGE).is_err());
}

proptest! {
    /// Every byte is found where the layout, which knows nothing of searching, puts it.
    #[test]
    fn every_place_is_where_the_layout_has_it(
        loads in prop::collection::vec((0_u64..0x10_0000, 0_u64..0x3000), 0..40),
        probes in prop::collection::vec(0_u64..0x8_0000, 24),
    ) {
        let mut phdrs = vec![phdr(PT_NOTE, 0, 0, 368), phdr(PT_NOTE, 0x1000, 0, 368)];
        phdrs.extend(loads.iter().map(|&(start, size)| phdr(PT_LOAD, start, start, size)));
        let bytes = header(&phdrs);
        let capture = CaptureHeader::parse(&bytes, None).unwrap();
        let mut work = vec![0; VmcoreFile::workspace_size(&capture, PAGE).unwrap() as usize];
        let file = VmcoreFile::build(&capture, PAGE, &mut work, note_everywhere, |_| ()).unwrap();
        let notes = file.header().phdr(0).unwrap().p_filesz;
        let layout = kdump_elf::VmcoreLayout::new(ENCODING, PAGE, phdrs.iter().copied(), notes).unwrap();
        prop_assert_eq!(file.size(), layout.size());
        let extents: Vec<_> = layout.phdrs(phdrs.iter().copied()).filter_map(|phdr| phdr.extent).collect();
        for probe in probes {
            let place = file.locate(probe).unwrap();
            let extent = extents.iter().find(|e| e.offset <= probe && probe < e.offset + e.size);
            match extent {
                Some(e) => {
                    let inside = probe - e.offset;
                    prop_assert_eq!(place, VmcorePiece::Memory { paddr: e.paddr + inside, len: e.size - inside });
                }
                None if probe < layout.memory_offset() => {
                    prop_assert_eq!(place, VmcorePiece::Head(&file.head()[probe as usize..]));
                }
                None => prop_assert_eq!(place, VmcorePiece::End),
            }
        }
    }
}
