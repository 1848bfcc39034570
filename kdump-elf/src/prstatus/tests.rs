// SPDX-License-Identifier: MIT OR Apache-2.0
//! Layouts of all architectures against the sizes the kernel's own builds have.

use super::*;

/// Architecture, `sizeof(struct elf_prstatus)`, offset of `pr_fpvalid`, number of named
/// registers.
const SIZES: [(Arch, usize, usize, usize); 9] = [
    (Arch::X86_64, 336, 328, 27),
    (Arch::I386, 144, 140, 17),
    (Arch::Arm64, 392, 384, 34),
    (Arch::Arm, 148, 144, 18),
    (Arch::Ppc64, 504, 496, 44),
    (Arch::Ppc32, 268, 264, 44),
    (Arch::Riscv64, 376, 368, 32),
    (Arch::S390x, 336, 328, 35),
    (Arch::LoongArch64, 480, 472, 35),
];

#[test]
fn sizes_are_those_of_the_kernel() {
    for (arch, size, fpvalid, count) in SIZES {
        assert_eq!(prstatus_size(arch), size, "{}", arch.name());
        assert_eq!(frame(arch.class()).pr_reg + registers::table(arch).size, fpvalid, "{}", arch.name());
        assert_eq!(registers::fields(arch).count(), count, "{}", arch.name());
        let end = registers::fields(arch).map(|field| field.offset + field.size).last().unwrap();
        assert!(end <= registers::table(arch).size, "{}", arch.name());
    }
}

#[test]
fn names_are_unique_and_pointers_exist() {
    for arch in Arch::all() {
        for (index, field) in registers::fields(arch).enumerate() {
            let twin = registers::fields(arch).skip(index + 1).find(|other| other.name == field.name);
            assert!(twin.is_none(), "{}: {}", arch.name(), field.name);
        }
        let table = registers::table(arch);
        for name in [table.instruction_pointer, table.stack_pointer] {
            assert!(registers::fields(arch).any(|field| field.name == name), "{}: {name}", arch.name());
        }
    }
}

#[test]
fn what_is_set_is_read_in_both_byte_orders() {
    for arch in Arch::all() {
        for endian in [Endian::Little, Endian::Big] {
            let mut buffer = [0xff; 600];
            let mut values = [0; 64];
            for (value, seed) in values.iter_mut().zip(1..) {
                *value = (0x0102_0304_0000_0000_u64 * seed) | (0xa000_0000 + seed);
            }
            let mut status = PrStatusMut::new(&mut buffer, arch, endian).unwrap();
            status.set_pid(-4242);
            let count = status.set_registers(&values);
            assert_eq!(count, registers::fields(arch).count());
            let desc = &buffer[..prstatus_size(arch)];
            let status = PrStatus::parse(desc, arch, endian).unwrap();
            assert_eq!(status.pid(), -4242);
            for ((field, value), expected) in registers::fields(arch).zip(status.registers()).zip(values) {
                let mask = if field.size == 8 { u64::MAX } else { u64::from(u32::MAX) };
                assert_eq!((field.name, value.1), (value.0, expected & mask), "{}", arch.name());
            }
        }
    }
}

#[test]
fn x86_64_bytes_are_where_gdb_looks() {
    let mut buffer = [0; 336];
    let mut status = PrStatusMut::new(&mut buffer, Arch::X86_64, Endian::Little).unwrap();
    status.set_pid(7);
    assert!(status.set_register("rip", 0xffff_ffff_8100_0000));
    assert!(status.set_register("rsp", 0x1122_3344_5566_7788));
    assert!(!status.set_register("eip", 1));
    assert_eq!(buffer[32..36], 7_i32.to_le_bytes());
    assert_eq!(buffer[112 + 16 * 8..][..8], 0xffff_ffff_8100_0000_u64.to_le_bytes());
    assert_eq!(buffer[112 + 19 * 8..][..8], 0x1122_3344_5566_7788_u64.to_le_bytes());
    let status = PrStatus::parse(&buffer, Arch::X86_64, Endian::Little).unwrap();
    assert_eq!(status.instruction_pointer(), Some(0xffff_ffff_8100_0000));
    assert_eq!(status.stack_pointer(), status.register("rsp"));
    assert_eq!(status.pr_reg().len(), 216);
}

#[test]
fn short_buffers_are_refused() {
    let error = PrStatus::parse(&[0; 327], Arch::X86_64, Endian::Little).unwrap_err();
    assert_eq!(error, Error::Truncated { what: "elf_prstatus", offset: 0, need: 328, have: 327 });
    let error = PrStatusMut::new(&mut [0; 335], Arch::X86_64, Endian::Little).unwrap_err();
    assert_eq!(error, Error::Buffer { need: 336, have: 335 });
}
