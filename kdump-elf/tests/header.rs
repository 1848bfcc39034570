// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headers against bytes laid out by hand, and round trips of arbitrary ones.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]
#![allow(clippy::cast_possible_truncation, reason = "tests")]

use kdump_elf::{
    Arch, CaptureHeader, Class, CoreHeader, ET_CORE, Ehdr, Encoding, Endian, Error, HeaderLayout, PF_RWX,
    PN_XNUM, PT_LOAD, PT_NOTE, Phdr, PhdrTable, PhysRange,
};
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

const LE64: Encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
const BE32: Encoding = Encoding { class: Class::Elf32, endian: Endian::Big };

fn encodings() -> impl Strategy<Value = Encoding> {
    (any::<bool>(), any::<bool>()).prop_map(|(wide, little)| Encoding {
        class: if wide { Class::Elf64 } else { Class::Elf32 },
        endian: if little { Endian::Little } else { Endian::Big },
    })
}

fn write(layout: HeaderLayout, phdrs: &[Phdr]) -> Vec<u8> {
    let mut out = vec![0xaa; usize::try_from(layout.size()).unwrap()];
    let mut writer = layout.writer(&mut out).unwrap();
    for phdr in phdrs {
        writer.push(phdr).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), layout.size());
    out
}

#[test]
fn a_plain_header_is_one_that_captures() {
    let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
    let ram = [(0x1000, 0x9_f000), (0x10_0000, 0x40_0000)]
        .map(|(start, size)| PhysRange::from_len(start, size).unwrap());
    let layout = HeaderLayout::elfcorehdr(encoding, Arch::X86_64.e_machine(), 3).unwrap();
    let mut out = [0xee; 300];
    let size = layout.write_plain(&mut out, ram, 0xffff_8000_0000_0000).unwrap();
    let header = CaptureHeader::parse(&out[..usize::try_from(size).unwrap()], Some(Arch::X86_64)).unwrap();
    let loads: Vec<Phdr> = header.core().phdrs().filter(|phdr| phdr.p_type == PT_LOAD).collect();
    assert_eq!(loads.len(), 2);
    for (phdr, range) in loads.iter().zip(ram) {
        assert_eq!((phdr.p_offset, phdr.p_paddr, phdr.p_memsz), (range.start(), range.start(), range.size()));
        assert_eq!(phdr.p_vaddr, 0xffff_8000_0000_0000 + range.start());
    }
    let error = layout.write_plain(&mut out, ram.into_iter().take(1), 0).unwrap_err();
    assert_eq!(error, Error::PhdrMissing { reserved: 3, written: 2 });
    let error = layout.write_plain(&mut out, ram.into_iter().chain(ram), 0).unwrap_err();
    assert_eq!(error, Error::PhdrCount { reserved: 3 });
}

#[test]
fn elf64_little_endian_bytes() {
    let phdr = Phdr {
        p_type: PT_LOAD,
        p_flags: PF_RWX,
        p_offset: 0x12f6_1000,
        p_vaddr: 0xff40_fd96_4000_1000,
        p_paddr: 0x1000,
        p_filesz: 0x9ec00,
        p_memsz: 0x9ec01,
        p_align: 0,
    };
    let bytes = write(HeaderLayout::elfcorehdr(LE64, Arch::X86_64.e_machine(), 1).unwrap(), &[phdr]);
    let mut expected = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0\x01\0\0\0".to_vec();
    expected.extend_from_slice(&[0; 8]); // e_entry
    expected.extend_from_slice(&64_u64.to_le_bytes()); // e_phoff
    expected.extend_from_slice(&[0; 12]); // e_shoff, e_flags
    expected.extend_from_slice(b"\x40\0\x38\0\x01\0\0\0\0\0\0\0");
    expected.extend_from_slice(b"\x01\0\0\0\x07\0\0\0");
    for word in [0x12f6_1000_u64, 0xff40_fd96_4000_1000, 0x1000, 0x9ec00, 0x9ec01, 0] {
        expected.extend_from_slice(&word.to_le_bytes());
    }
    assert_eq!(bytes, expected);
}

#[test]
fn elf32_big_endian_bytes() {
    let phdr = Phdr {
        p_type: PT_NOTE,
        p_offset: 0x5000,
        p_paddr: 0x5000,
        p_filesz: 176,
        p_memsz: 176,
        ..Phdr::default()
    };
    let bytes = write(HeaderLayout::elfcorehdr(BE32, Arch::Ppc32.e_machine(), 1).unwrap(), &[phdr]);
    assert_eq!(bytes.len(), 52 + 32);
    assert_eq!(&bytes[..24], b"\x7fELF\x01\x02\x01\0\0\0\0\0\0\0\0\0\0\x04\0\x14\0\0\0\x01");
    let words: Vec<u32> =
        bytes[52..].chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
    assert_eq!(words, [4, 0x5000, 0, 0x5000, 176, 176, 0, 0]);
}

#[test]
#[cfg_attr(miri, ignore = "two hundred thousand headers take the interpreter minutes; `cargo test` runs it")]
fn a_file_may_have_more_phdrs_than_e_phnum_can_say() {
    for encoding in [LE64, BE32] {
        for count in [65_534_u32, 65_535, 70_000] {
            let phdrs: Vec<Phdr> = (0..count)
                .map(|n| Phdr { p_type: PT_LOAD, p_paddr: u64::from(n) << 12, ..Phdr::default() })
                .collect();
            let bytes = write(HeaderLayout::file(encoding, 62, count), &phdrs);
            let header = CoreHeader::parse(&bytes).unwrap();
            assert_eq!((header.phnum(), header.phdrs().len()), (count, phdrs.len()));
            assert!(header.phdrs().eq(phdrs));
            assert_eq!(header.ehdr().e_phnum == PN_XNUM, count >= 65_535);
        }
    }
}

#[test]
fn the_capture_kernel_knows_no_extension() {
    let error = HeaderLayout::elfcorehdr(LE64, 62, 65_535).unwrap_err();
    assert_eq!(error, Error::TooLarge { field: "e_phnum", value: 65_535, limit: 65_534 });
}

#[test]
fn the_two_phases_must_agree() {
    let layout = HeaderLayout::elfcorehdr(LE64, 62, 1).unwrap();
    let mut out = [0; 120];
    assert_eq!(layout.writer(&mut [0; 119]).unwrap_err(), Error::Buffer { need: 120, have: 119 });
    let writer = layout.writer(&mut out).unwrap();
    assert_eq!(writer.finish().unwrap_err(), Error::PhdrMissing { reserved: 1, written: 0 });
    let mut writer = layout.writer(&mut out).unwrap();
    writer.push(&Phdr::default()).unwrap();
    assert_eq!(writer.push(&Phdr::default()).unwrap_err(), Error::PhdrCount { reserved: 1 });
}

#[test]
fn what_does_not_fit_elf32_is_refused() {
    let layout = HeaderLayout::elfcorehdr(BE32, 20, 1).unwrap();
    let mut out = [0; 84];
    let phdr = Phdr { p_paddr: 1 << 32, ..Phdr::default() };
    let error = layout.writer(&mut out).unwrap().push(&phdr).unwrap_err();
    assert_eq!(error, Error::TooLarge { field: "p_paddr", value: 1 << 32, limit: u64::from(u32::MAX) });
}

/// A good header with one byte changed, and the field the error must name.
#[test]
fn every_bad_field_is_named() {
    let good = write(HeaderLayout::elfcorehdr(LE64, 62, 1).unwrap(), &[Phdr::default()]);
    for (offset, value, field) in [
        (4, 3, "EI_CLASS"),
        (5, 0, "EI_DATA"),
        (6, 2, "EI_VERSION"),
        (20, 9, "e_version"),
        (54, 32, "e_phentsize"),
    ] {
        let mut bytes = good.clone();
        bytes[offset] = value;
        match CoreHeader::parse(&bytes).unwrap_err() {
            Error::Field { field: named, value: found, .. } => {
                assert_eq!((named, found & 0xff), (field, u64::from(value)));
            }
            other => unreachable!("{other}"),
        }
    }
    let mut bytes = good.clone();
    bytes[0] = 0;
    assert_eq!(CoreHeader::parse(&bytes).unwrap_err(), Error::Magic { found: *b"\0ELF" });
    bytes = good.clone();
    bytes[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(CoreHeader::parse(&bytes).unwrap_err(), Error::Field { field: "e_phoff", .. }));
}

#[test]
fn every_truncation_is_an_error() {
    let good = write(HeaderLayout::elfcorehdr(LE64, 62, 2).unwrap(), &[Phdr::default(); 2]);
    for len in 0..good.len() {
        assert!(matches!(CoreHeader::parse(&good[..len]), Err(Error::Truncated { .. })), "{len}");
    }
    assert!(CoreHeader::parse(&good).is_ok());
}

proptest! {
    #[test]
    fn phdrs_survive(encoding in encodings(), words in proptest::collection::vec(any::<[u64; 8]>(), 0..20)) {
        let fit = |value: u64| value & encoding.word_max();
        let phdrs: Vec<Phdr> = words.iter().map(|w| Phdr {
            p_type: u32::try_from(w[0] >> 32).unwrap(),
            p_flags: u32::try_from(w[1] >> 32).unwrap(),
            p_offset: fit(w[2]), p_vaddr: fit(w[3]), p_paddr: fit(w[4]), p_filesz: fit(w[5]), p_memsz: fit(w[6]), p_align: fit(w[7]),
        }).collect();
        let layout = HeaderLayout::elfcorehdr(encoding, 183, u32::try_from(phdrs.len()).unwrap()).unwrap();
        let bytes = write(layout, &phdrs);
        let header = CoreHeader::parse(&bytes).unwrap();
        prop_assert_eq!(header.phdrs().collect::<Vec<_>>(), phdrs);
        prop_assert_eq!((header.ehdr().e_type, header.encoding()), (ET_CORE, encoding));
    }

    #[test]
    fn ehdrs_survive(encoding in encodings(), machine in any::<u16>(), words in any::<[u32; 5]>(), osabi in any::<u8>()) {
        let ehdr = Ehdr {
            ei_osabi: osabi, e_type: 7, e_entry: u64::from(words[0]), e_phoff: u64::from(words[1]),
            e_shoff: u64::from(words[2]), e_flags: words[3], e_shnum: 3, e_shstrndx: 2,
            ..Ehdr::core(encoding, machine, 9)
        };
        let mut out = [0; 64];
        let size = ehdr.encode(&mut out).unwrap();
        prop_assert_eq!(size, usize::from(encoding.ehdr_size()));
        prop_assert_eq!(Ehdr::parse(&out[..size]).unwrap(), ehdr);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), good_start in any::<bool>()) {
        let mut bytes = bytes;
        if good_start && bytes.len() > 7 {
            bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        }
        if let Ok(header) = CoreHeader::parse(&bytes) {
            prop_assert_eq!(header.phdrs().count(), usize::try_from(header.phnum()).unwrap());
        }
    }
}

/// Finds the table in `bytes` as in a file, and tells which bytes were asked for.
fn find(bytes: &[u8]) -> (Result<PhdrTable, Error>, Vec<(u64, usize)>) {
    let mut asked = Vec::new();
    let found = PhdrTable::find(|offset, out: &mut [u8]| {
        asked.push((offset, out.len()));
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok::<_, core::convert::Infallible>(count)
    });
    let Ok(found) = found;
    (found, asked)
}

#[test]
fn a_table_is_found_by_what_is_needed_and_no_more() {
    for (encoding, ehdr, shdr) in [(LE64, 64, 64), (BE32, 52, 40)] {
        let few = write(HeaderLayout::elfcorehdr(encoding, 62, 2).unwrap(), &[Phdr::default(); 2]);
        let (found, asked) = find(&few);
        let table = found.unwrap();
        assert_eq!((table.phnum, table.offset, table.offset + table.size), (2, ehdr, few.len() as u64));
        assert_eq!(asked, [(0, 16), (16, ehdr as usize - 16)]);
        // Behind the file header nothing is asked for, so that cutting it there is no error.
        for cut in 0..ehdr as usize {
            let (error, whole) =
                (find(&few[..cut]).0.unwrap_err(), CoreHeader::parse(&few[..cut]).unwrap_err());
            assert_eq!(error, whole, "{cut}");
            let have = cut as u64;
            assert!(matches!(error, Error::Truncated { have: found, .. } if found == have), "{error:?}");
        }
        assert_eq!(find(&few[..ehdr as usize]).0, Ok(table));
        let mut many = vec![0; ehdr as usize + shdr];
        let layout = HeaderLayout::file(encoding, 62, 0x1_0002);
        let mut whole = vec![0; layout.size() as usize];
        let _ = layout.writer(&mut whole).unwrap();
        many.copy_from_slice(&whole[..ehdr as usize + shdr]);
        let (found, asked) = find(&many);
        assert_eq!((found.unwrap().phnum, asked.last()), (0x1_0002, Some(&(ehdr, shdr))));
        let have = many.len() as u64 - 1 - ehdr;
        let cut = Error::Truncated { what: "section header 0", offset: ehdr, need: shdr as u64, have };
        assert_eq!(find(&many[..many.len() - 1]).0, Err(cut));
    }
}

#[test]
fn a_file_that_cannot_be_read_gives_the_error_of_the_reader() {
    let mut calls = 0;
    let found = PhdrTable::find(|_, out: &mut [u8]| {
        calls += 1;
        if calls > 1 {
            return Err("lost");
        }
        out.copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        Ok(16)
    });
    assert_eq!((found, calls), (Err("lost"), 2));
}
