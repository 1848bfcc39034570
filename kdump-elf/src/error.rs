// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with the bytes or values given to this crate.

use core::fmt;

/// A defect of ELF bytes, notes or values to be encoded; says where and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than a structure needs.
    Truncated {
        /// The structure that was cut.
        what: &'static str,
        /// Where it begins, in bytes from the start of the given buffer or file.
        offset: u64,
        /// Bytes it needs.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// The first four bytes are not `7f 45 4c 46`.
    Magic {
        /// The bytes found.
        found: [u8; 4],
    },
    /// A field has a value that cannot be worked with.
    Field {
        /// The field, as `elf(5)` calls it.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A field of one program header has a value that cannot be worked with.
    Phdr {
        /// Index of the program header in its table, from 0.
        index: u32,
        /// The field, as `elf(5)` calls it.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A value needs more bits than the ELF class has.
    TooLarge {
        /// The field, as `elf(5)` calls it.
        field: &'static str,
        /// The value to be stored.
        value: u64,
        /// The largest value that fits.
        limit: u64,
    },
    /// The caller's buffer cannot take the result.
    Buffer {
        /// Bytes needed.
        need: u64,
        /// Bytes given.
        have: u64,
    },
    /// More program headers were written than were reserved.
    PhdrCount {
        /// The number reserved.
        reserved: u32,
    },
    /// Fewer program headers were written than were reserved.
    PhdrMissing {
        /// The number reserved.
        reserved: u32,
        /// The number written.
        written: u32,
    },
    /// A range is empty, inverted or ends beyond the last address.
    Range {
        /// First address.
        start: u64,
        /// Last address, inclusive.
        last: u64,
    },
}

/// By hand: what a kernel links to write its notes needs no crate but zerocopy.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { what, offset, need, have } => {
                write!(f, "{what} at offset {offset:#x} needs {need:#x} bytes, only {have:#x} are there")
            }
            Self::Magic { found } => {
                write!(f, "not an ELF file: it begins with {found:02x?} instead of [7f, 45, 4c, 46]")
            }
            Self::Field { field, value, expected } => write!(f, "{field} is {value:#x}, expected {expected}"),
            Self::Phdr { index, field, value, expected } => {
                write!(f, "phdr {index}: {field} is {value:#x}, expected {expected}")
            }
            Self::TooLarge { field, value, limit } => {
                write!(f, "{field} {value:#x} does not fit {limit:#x}, the largest this file can hold")
            }
            Self::Buffer { have, need } => write!(f, "the buffer has {have} bytes, {need} are needed"),
            Self::PhdrCount { reserved } => {
                write!(f, "{reserved} program headers were reserved, one more was written")
            }
            Self::PhdrMissing { reserved, written } => {
                write!(f, "{reserved} program headers were reserved, only {written} were written")
            }
            Self::Range { start, last } => write!(f, "{start:#x} to {last:#x} is not a range of addresses"),
        }
    }
}

impl core::error::Error for Error {}
