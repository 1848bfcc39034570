//! Why an object cannot be used, linked or patched.

use alloc::string::String;
use core::fmt;

use kdump_elf::Arch;
use thiserror::Error;

/// Why a purgatory object cannot be used, linked or patched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// No object for this architecture comes with the crate.
    #[error("no purgatory for {} is built in", .arch.name())]
    NoBuiltin {
        /// The architecture asked for.
        arch: Arch,
    },
    /// The bytes do not begin with an ELF header.
    #[error("not an ELF file ({len} bytes)")]
    NotElf {
        /// Size of the input in bytes.
        len: usize,
    },
    /// An ELF file of another kind than this crate links.
    #[error("ELF header: {field} is {value:#x}, expected {expected:#x}")]
    Header {
        /// Name of the header field.
        field: &'static str,
        /// What it says.
        value: u64,
        /// What it must say.
        expected: u64,
    },
    /// A table or the content of a section lies outside the file.
    #[error("{what} at {offset:#x}, {size:#x} bytes, is outside the file of {len:#x} bytes")]
    OutsideFile {
        /// What was looked for.
        what: String,
        /// File offset of its first byte.
        offset: u64,
        /// Its size in bytes.
        size: u64,
        /// Size of the file in bytes.
        len: u64,
    },
    /// The contents of all sections together are larger than the file, so some overlap.
    #[error("sections hold {size:#x} bytes, more than the file of {len:#x} bytes: they overlap")]
    SectionsOverlap {
        /// Sum of the sizes of contents and relocation tables.
        size: u64,
        /// Size of the file in bytes.
        len: u64,
    },
    /// A section names another section that is not there or is of the wrong kind.
    #[error("section {section}: {field} is {value}, which is no such section")]
    SectionLink {
        /// Name of the section.
        section: String,
        /// The field, `sh_link` or `sh_info`.
        field: &'static str,
        /// The section index in it.
        value: u64,
    },
    /// Not exactly one symbol table.
    #[error("{count} symbol tables, expected 1")]
    SymbolTables {
        /// How many there are.
        count: usize,
    },
    /// An alignment which is no power of two, or above what a purgatory can need.
    #[error("section {section}: alignment {align:#x} is no power of two up to {limit:#x}")]
    Alignment {
        /// Name of the section.
        section: String,
        /// Its `sh_addralign`.
        align: u64,
        /// The largest alignment accepted.
        limit: u64,
    },
    /// The object needs more memory than a purgatory can.
    #[error("section {section} ends at {end:#x}, beyond the limit of {limit:#x} bytes")]
    TooLarge {
        /// The section that went over the limit.
        section: String,
        /// Where it would end, relative to the load address; exclusive.
        end: u64,
        /// The most a purgatory may occupy, in bytes.
        limit: u64,
    },
    /// The load address does not have the alignment the object needs.
    #[error("load address {base:#x} is not aligned to {align:#x}")]
    Misaligned {
        /// The load address.
        base: u64,
        /// The alignment needed.
        align: u64,
    },
    /// The object would reach beyond an end of the address space.
    #[error("{memsz:#x} bytes at load address {base:#x} reach beyond {limit:#x}")]
    BeyondAddressSpace {
        /// The load address.
        base: u64,
        /// Bytes of memory needed.
        memsz: u64,
        /// The last address usable.
        limit: u64,
    },
    /// A relocation type this linker does not apply.
    #[error("relocation R_{kind} ({number}) is not supported, at {place}")]
    RelocationType {
        /// Name of the type in the psABI, without `R_`.
        kind: &'static str,
        /// Its number.
        number: u32,
        /// Where it applies.
        place: Place,
    },
    /// A relocated value does not fit its field.
    #[error("relocation R_{kind}: value {value:#x} does not fit, at {place}")]
    RelocationOverflow {
        /// Name of the type in the psABI, without `R_`.
        kind: &'static str,
        /// The value, as the sum of symbol and addend (less the place, if relative).
        value: i128,
        /// Where it applies.
        place: Place,
    },
    /// A relocation lies outside the section it applies to, or in one without content.
    #[error("relocation R_{kind} lies outside the content of {size:#x} bytes, at {place}")]
    RelocationPlace {
        /// Name of the type in the psABI, without `R_`.
        kind: &'static str,
        /// Size of the section's content in bytes.
        size: u64,
        /// Where it applies.
        place: Place,
    },
    /// Relocations with addends where the architecture's have none (`SHT_REL`), or without
    /// (`SHT_RELA`).
    #[error("section {section}: not the type of relocation section that objects for {} have", .arch.name())]
    RelocationForm {
        /// Name of the relocation section.
        section: String,
        /// The architecture of the object.
        arch: Arch,
    },
    /// A relocation refers to a symbol that has no address.
    #[error("symbol is {why}, at {place}")]
    RelocationSymbol {
        /// Why it has no address.
        why: &'static str,
        /// Where it is used.
        place: Place,
    },
    /// A symbol that the hand-over needs is missing.
    #[error("symbol {symbol} is missing")]
    SymbolMissing {
        /// Its name.
        symbol: String,
    },
    /// A symbol cannot be read or written.
    #[error("symbol {symbol} is {why}")]
    SymbolUnusable {
        /// Its name.
        symbol: String,
        /// Why not.
        why: &'static str,
    },
    /// A symbol has another size than the value to be written.
    #[error("symbol {symbol} has {size} bytes, the value has {value}")]
    SymbolSize {
        /// Its name.
        symbol: String,
        /// Its size in bytes (`st_size`).
        size: u64,
        /// Size of the value in bytes.
        value: u64,
    },
    /// More digest regions than the purgatory's table has rows.
    #[error("{count} separate digest regions, at most {limit} fit")]
    TooManyRegions {
        /// Regions left after neighbours were merged.
        count: usize,
        /// Rows of the table.
        limit: usize,
    },
    /// A digest region which no memory can hold, or the purgatory itself, which changes.
    #[error("digest region at {start:#x}, {size:#x} bytes, {why}")]
    Region {
        /// Its first address.
        start: u64,
        /// Its size in bytes.
        size: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A line speed that a 16550 at its usual clock cannot make.
    #[error("serial line speed {baud} is no divisor of {limit}")]
    Baud {
        /// The line speed asked for.
        baud: u32,
        /// The highest line speed.
        limit: u32,
    },
    /// A serial port with registers in memory, where the purgatory writes to I/O ports.
    #[error(
        "serial port at address {address:#x}: a purgatory for {} only writes to I/O ports; name one or none",
        .arch.name()
    )]
    SerialPort {
        /// Physical address of its registers.
        address: u64,
        /// The architecture of the purgatory.
        arch: Arch,
    },
    /// What the purgatory of an architecture cannot do.
    #[error("a purgatory for {} cannot do that: {what}", .arch.name())]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// The architecture of the purgatory.
        arch: Arch,
    },
    /// A way to enter the kernel that this purgatory's architecture does not have.
    #[error("a purgatory for {} cannot enter a kernel this way", .arch.name())]
    Entry {
        /// The architecture of the purgatory.
        arch: Arch,
    },
}

/// Where a relocation applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the section.
    pub section: String,
    /// Offset in the section.
    pub offset: u64,
    /// Name of the symbol, or of the section a section symbol stands for.
    pub symbol: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, offset, symbol } = self;
        write!(f, "{section}+{offset:#x} (symbol {symbol})")
    }
}
