// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an elfcorehdr is refused for, field by field.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use kdump_elf::{Arch, CaptureHeader, Ehdr, Error, MAX_CAPTURE_PHDRS};

const EHDR: usize = 64;
const PHDR: usize = 56;

/// A header of x86_64 (`elf(5)`): a PT_NOTE and PT_LOADs of 0x1000 bytes, each of which is at its offset.
fn header(loads: &[(u64, u64)]) -> Vec<u8> {
    let count = loads.len() + 1;
    let mut bytes = vec![0; EHDR + PHDR * count];
    bytes[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put(&mut bytes, 16, &4_u16.to_le_bytes());
    put(&mut bytes, 18, &62_u16.to_le_bytes());
    put(&mut bytes, 20, &1_u32.to_le_bytes());
    put(&mut bytes, 32, &64_u64.to_le_bytes());
    put(&mut bytes, 52, &64_u16.to_le_bytes());
    put(&mut bytes, 54, &56_u16.to_le_bytes());
    put(&mut bytes, 56, &u16::try_from(count).unwrap().to_le_bytes());
    put(&mut bytes, EHDR, &4_u32.to_le_bytes());
    for (index, &(offset, paddr)) in loads.iter().enumerate() {
        let at = EHDR + PHDR * (index + 1);
        put(&mut bytes, at, &1_u32.to_le_bytes());
        for (field, value) in [(8, offset), (24, paddr), (32, 0x1000), (40, 0x1000)] {
            put(&mut bytes, at + field, &value.to_le_bytes());
        }
    }
    bytes
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// What is said of a sound header in which `value` stands at `at`.
fn with(at: usize, value: &[u8]) -> String {
    let mut bytes = header(&[(0x1000, 0x1000), (0x9000, 0x9000)]);
    put(&mut bytes, at, value);
    CaptureHeader::parse(&bytes, Some(Arch::X86_64)).map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn each_field_is_judged() {
    let load = EHDR + PHDR;
    let far = (u64::MAX - 8).to_le_bytes();
    assert_eq!(with(load + 48, &0x1000_u64.to_le_bytes()), "");
    let rows: [(usize, &[u8], &str); 11] = [
        (16, &[2], "e_type is 0x2"),
        (18, &[183], "e_machine is 0xb7"),
        (5, &[2], "e_"),
        (52, &[8], "e_ehsize is 0x8"),
        (32, &[120], "e_phoff is 0x78"),
        (56, &[0, 0], "e_phnum is 0x0"),
        (load + 8, &far, "phdr 1: p_offset is 0x"),
        (load + 24, &far, "phdr 1: p_paddr is 0x"),
        (load + 48, &[3], "phdr 1: p_align is 0x3"),
        (load + 24, &[0, 0, 0, 0, 0, 0, 0x10], "phdr 1: p_memsz is 0x1000, expected an end among"),
        (load + 32, &[1], "phdr 1: p_filesz is 0x1001"),
    ];
    for (at, value, expected) in rows {
        let said = with(at, value);
        assert!(said.contains(expected), "{at:#x}: {said:?}, not {expected:?}");
    }
}

#[test]
fn a_byte_order_that_its_machine_does_not_have_is_refused() {
    let mut bytes = header(&[]);
    // x86_64 with big-endian numbers.
    bytes[5] = 2;
    for (at, len) in [(16, 2), (18, 2), (20, 4), (32, 8), (52, 2), (54, 2), (56, 2), (64, 4)] {
        bytes[at..at + len].reverse();
    }
    let said = CaptureHeader::parse(&bytes, None).unwrap_err().to_string();
    assert!(said.contains("EI_DATA is 0x2"), "{said}");
    // PowerPC has kernels of either.
    bytes[18..20].copy_from_slice(&[0, 21]);
    assert!(CaptureHeader::parse(&bytes, None).is_ok());
    assert!(CaptureHeader::parse(&bytes, Some(Arch::X86_64)).is_err());
}

#[test]
fn loads_that_put_one_address_at_two_places_are_refused() {
    let judge = |loads: &[(u64, u64)], room: usize| {
        let bytes = header(loads);
        let header = CaptureHeader::parse(&bytes, None).unwrap();
        assert_eq!(header.scratch_size(), 2 * loads.len());
        header.judge_loads(&mut vec![0; room])
    };
    assert_eq!(judge(&[(0x1000, 0x1000), (0x1800, 0x1800)], 4), Ok(()));
    assert!(matches!(judge(&[(0x1000, 0x1000), (0x9000, 0x1800)], 4), Err(Error::Phdr { index: 2, .. })));
    assert_eq!(judge(&[(0x1000, 0x1000), (0x9000, 0x2000)], 4), Ok(()));
    // One without memory is at no place.
    let mut bytes = header(&[(0x1000, 0x1000), (0x9000, 0x1800)]);
    put(&mut bytes, EHDR + 2 * PHDR + 32, &[0; 16]);
    assert_eq!(CaptureHeader::parse(&bytes, None).unwrap().judge_loads(&mut [0; 4]), Ok(()));
    assert_eq!(judge(&[(0x1000, 0x1000)], 1), Err(Error::Buffer { need: 2, have: 1 }));
}

#[test]
fn the_size_is_told_by_the_file_header_alone() {
    let bytes = header(&[(0, 0), (0x1000, 0x1000)]);
    let size_of = |bytes: &[u8]| CaptureHeader::size_of(&Ehdr::parse(bytes)?, None);
    assert_eq!(size_of(&bytes[..EHDR]), Ok((EHDR + 3 * PHDR) as u64));
    assert!(matches!(size_of(&bytes[..EHDR - 1]), Err(Error::Truncated { .. })));
    let mut many = bytes;
    put(&mut many, 56, &0xfffe_u16.to_le_bytes());
    assert_eq!(size_of(&many), Ok(EHDR as u64 + PHDR as u64 * u64::from(MAX_CAPTURE_PHDRS)));
    put(&mut many, 56, &0xffff_u16.to_le_bytes());
    assert!(matches!(size_of(&many), Err(Error::Field { field: "e_phnum", .. })));
}
