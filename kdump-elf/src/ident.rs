// SPDX-License-Identifier: MIT OR Apache-2.0
//! Class and byte order of an ELF file (`elf(5)`, `e_ident`).

use core::fmt;

/// Word size of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// 32-bit addresses and offsets, `EI_CLASS` 1.
    Elf32,
    /// 64-bit addresses and offsets, `EI_CLASS` 2.
    Elf64,
}

/// Byte order of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first, `EI_DATA` 1.
    Little,
    /// Most significant byte first, `EI_DATA` 2.
    Big,
}

impl Class {
    /// Bytes of one word (`long`, address) in this class.
    #[must_use]
    pub const fn word_size(self) -> usize {
        match self {
            Self::Elf32 => 4,
            Self::Elf64 => 8,
        }
    }
}

impl Endian {
    /// The byte order this code runs with.
    #[must_use]
    pub const fn native() -> Self {
        if cfg!(target_endian = "big") { Self::Big } else { Self::Little }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf32 => "ELF32",
            Self::Elf64 => "ELF64",
        })
    }
}

impl fmt::Display for Endian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Little => "little endian",
            Self::Big => "big endian",
        })
    }
}
