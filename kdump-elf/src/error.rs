//! What can be wrong with the bytes or values given to this crate.

use thiserror::Error;

/// A defect of ELF bytes, notes or values to be encoded; says where and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than a structure needs.
    #[error("{what} at offset {offset:#x} needs {need:#x} bytes, only {have:#x} are there")]
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
    #[error("not an ELF file: it begins with {found:02x?} instead of [7f, 45, 4c, 46]")]
    Magic {
        /// The bytes found.
        found: [u8; 4],
    },
    /// A field has a value that cannot be worked with.
    #[error("{field} is {value:#x}, expected {expected}")]
    Field {
        /// The field, as `elf(5)` calls it.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A field of one program header has a value that cannot be worked with.
    #[error("phdr {index}: {field} is {value:#x}, expected {expected}")]
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
    #[error("{field} {value:#x} does not fit {limit:#x}, the largest this file can hold")]
    TooLarge {
        /// The field, as `elf(5)` calls it.
        field: &'static str,
        /// The value to be stored.
        value: u64,
        /// The largest value that fits.
        limit: u64,
    },
    /// The caller's buffer cannot take the result.
    #[error("the buffer has {have} bytes, {need} are needed")]
    Buffer {
        /// Bytes needed.
        need: u64,
        /// Bytes given.
        have: u64,
    },
    /// More program headers were written than were reserved.
    #[error("{reserved} program headers were reserved, one more was written")]
    PhdrCount {
        /// The number reserved.
        reserved: u32,
    },
    /// Fewer program headers were written than were reserved.
    #[error("{reserved} program headers were reserved, only {written} were written")]
    PhdrMissing {
        /// The number reserved.
        reserved: u32,
        /// The number written.
        written: u32,
    },
    /// A range is empty, inverted or ends beyond the last address.
    #[error("{start:#x} to {last:#x} is not a range of addresses")]
    Range {
        /// First address.
        start: u64,
        /// Last address, inclusive.
        last: u64,
    },
}
