//! Word size and byte order as numbers, the values of `e_ident` (`elf(5)`).

use kdump_elf::{Class, Encoding, Endian};

use crate::Failure;

/// 32-bit ELF.
pub const LIBKDUMP_CLASS_ELF32: u32 = 1;
/// 64-bit ELF.
pub const LIBKDUMP_CLASS_ELF64: u32 = 2;
/// Least significant byte first.
pub const LIBKDUMP_ENDIAN_LITTLE: u32 = 1;
/// Most significant byte first.
pub const LIBKDUMP_ENDIAN_BIG: u32 = 2;

/// The class with this number.
///
/// # Errors
/// [`Failure::Argument`].
pub fn class(value: u32) -> Result<Class, Failure> {
    match value {
        LIBKDUMP_CLASS_ELF32 => Ok(Class::Elf32),
        LIBKDUMP_CLASS_ELF64 => Ok(Class::Elf64),
        _ => Err(Failure::Argument {
            name: "elf_class",
            value: u64::from(value),
            expected: "LIBKDUMP_CLASS_ELF32 or LIBKDUMP_CLASS_ELF64",
        }),
    }
}

/// The byte order with this number.
///
/// # Errors
/// [`Failure::Argument`].
pub fn endian(value: u32) -> Result<Endian, Failure> {
    match value {
        LIBKDUMP_ENDIAN_LITTLE => Ok(Endian::Little),
        LIBKDUMP_ENDIAN_BIG => Ok(Endian::Big),
        _ => Err(Failure::Argument {
            name: "endian",
            value: u64::from(value),
            expected: "LIBKDUMP_ENDIAN_LITTLE or LIBKDUMP_ENDIAN_BIG",
        }),
    }
}

/// The numbers of an encoding: class, then byte order.
#[must_use]
pub fn encoding_numbers(encoding: Encoding) -> (u32, u32) {
    let class = match encoding.class {
        Class::Elf32 => LIBKDUMP_CLASS_ELF32,
        Class::Elf64 => LIBKDUMP_CLASS_ELF64,
    };
    (class, endian_number(encoding.endian))
}

/// The number of a byte order.
#[must_use]
pub fn endian_number(endian: Endian) -> u32 {
    match endian {
        Endian::Little => LIBKDUMP_ENDIAN_LITTLE,
        Endian::Big => LIBKDUMP_ENDIAN_BIG,
    }
}
