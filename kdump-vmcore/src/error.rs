//! Why a dump or a piece of old memory could not be read, opened or written.

use alloc::format;
use alloc::string::String;

use thiserror::Error;

use crate::codec::CodecError;
use crate::io_error::IoError;

/// A defect of a dump, of old memory or of the way to it; says where and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The page was filtered out by the tool that wrote the dump.
    #[error("physical address {paddr:#x} was excluded when the dump was written")]
    Excluded {
        /// First address that is missing.
        paddr: u64,
    },
    /// The address is not RAM of the machine the dump is from.
    #[error("physical address {paddr:#x} is a hole: no RAM is described there")]
    Hole {
        /// First address in the hole.
        paddr: u64,
        /// Where RAM begins again; `None` when none follows.
        next: Option<u64>,
    },
    /// The dead kernel's page tables map nothing at the address.
    #[error("virtual address {vaddr:#x} is not mapped: entry {entry:#x} at level {level} is not present")]
    NotMapped {
        /// The address to be translated.
        vaddr: u64,
        /// Level of the table with the entry: 1 is the table of pages, 5 (or 4) the root.
        level: u8,
        /// The entry found.
        entry: u64,
    },
    /// The way to the page of a virtual address ends at a page table, not at an entry that
    /// says "not mapped": whether the address is mapped is not known.
    #[error(
        "virtual address {vaddr:#x} cannot be translated: the page table of level {level} at \
         physical address {table:#x} {cause}"
    )]
    PageTable {
        /// The address to be translated.
        vaddr: u64,
        /// Level of the table: 1 is the table of pages, the root has the highest.
        level: u8,
        /// Physical address of the entry that was to be read.
        table: u64,
        /// What is wrong with it.
        cause: TableFault,
    },
    /// Memory that could not be read when the dump was saved, which the dump tells.
    #[error("physical address {paddr:#x} could not be read when the dump was saved")]
    Unreadable {
        /// First address that is missing.
        paddr: u64,
    },
    /// Memory that was lost before this copy was made or while it was made: it lay behind the
    /// end of the file that was saved, saving ended before it was written, or no record of the flattened
    /// stream gives it.
    #[error(
        "physical address {paddr:#x} is missing: the file it was saved from ended before it, saving did, or a \
         record of the flattened stream was lost"
    )]
    Missing {
        /// First address that is missing.
        paddr: u64,
    },
    /// Saving the dump was not finished.
    #[error("saving this dump was not finished{}", up_to(*good))]
    Unfinished {
        /// The file offset, exclusive, up to which it is written; `None` when that is not known.
        good: Option<u64>,
    },
    /// The dump is a copy, and what it was copied from had defects besides lost memory.
    #[error("the dump this is a copy of had {count} defects besides lost memory")]
    SourceDefects {
        /// How many.
        count: u32,
    },
    /// No known way leads from the virtual address to a physical one.
    #[error("virtual address {vaddr:#x} cannot be translated: {reason}")]
    NoTranslation {
        /// The address to be translated.
        vaddr: u64,
        /// What is missing.
        reason: &'static str,
    },
    /// The file ends before the bytes it says it holds.
    #[error("the file is truncated: {what} at offset {offset:#x} needs {need:#x} bytes, {have:#x} are there")]
    Truncated {
        /// What was to be read.
        what: &'static str,
        /// Offset in the file.
        offset: u64,
        /// Bytes needed from there.
        need: u64,
        /// Bytes the file has from there.
        have: u64,
    },
    /// A value in the dump cannot be right.
    #[error("{what} is corrupt: {value:#x}, expected {expected}")]
    Corrupt {
        /// The structure or field.
        what: &'static str,
        /// The value found.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A page of the dump is damaged, or compressed with a codec that this build lacks.
    #[error("page frame {pfn:#x}, stored at offset {offset:#x}: {cause}")]
    Page {
        /// Page frame number: the physical address over the size of a page.
        pfn: u64,
        /// Offset of its data in the file, as its descriptor has it.
        offset: u64,
        /// What is wrong with it.
        cause: PageFault,
    },
    /// The tool that wrote the dump marked it as incomplete.
    #[error(
        "the dump is marked as incomplete: writing it ended early, the pages it lacks are named when read"
    )]
    Incomplete,
    /// A file is no part of the set it was given with.
    #[error("file {part} of the split dump, page frames {start:#x} to {end:#x}, {reason}")]
    Part {
        /// Which of the files given, from 1.
        part: u32,
        /// First page frame number it has.
        start: u64,
        /// First page frame number behind those it has.
        end: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The parts of a split dump, which all have the same bitmaps, disagree in them.
    #[error(
        "file {part} of the split dump has other bitmaps than the part with the first page frames: they differ \
         at page frame {pfn:#x}, one of the two files is damaged or was not finished; copy both again from where they \
         were written"
    )]
    PartBitmap {
        /// Which of the files given, from 1.
        part: u32,
        /// The first page frame of which they say another thing.
        pfn: u64,
    },
    /// The memory is in a part of a split dump that was not given.
    #[error(
        "page frames {start:#x} to {end:#x} are in a part of the split dump that was not given: \
         name all its files"
    )]
    PartNotGiven {
        /// First page frame number of that part.
        start: u64,
        /// First page frame number behind it.
        end: u64,
    },
    /// An ELF structure is damaged.
    #[error("{what}: {error}")]
    Elf {
        /// What was being read.
        what: &'static str,
        /// The defect.
        error: kdump_elf::Error,
    },
    /// VMCOREINFO lacks something that is needed.
    #[error("VMCOREINFO has no usable {key}")]
    MissingKey {
        /// The key, as it stands in front of the `=`.
        key: &'static str,
    },
    /// The file is none of the dump formats known.
    #[error("not a dump: it begins with {found:02x?}, which is no known signature")]
    UnknownFormat {
        /// The first bytes, zero where the file is shorter.
        found: [u8; 8],
    },
    /// This is understood but cannot be done.
    #[error("unsupported: {what}")]
    Unsupported {
        /// What is asked for.
        what: &'static str,
    },
    /// A value is over a limit that keeps hostile input from exhausting memory or time.
    #[error("{what} is {value:#x}, more than the limit of {limit:#x}")]
    TooLarge {
        /// The field or structure.
        what: &'static str,
        /// Its value.
        value: u64,
        /// The largest value accepted.
        limit: u64,
    },
    /// There is not enough memory to hold something whose size the input decides.
    #[error("no memory for {what}, which takes {need:#x} bytes")]
    OutOfMemory {
        /// What was to be held.
        what: &'static str,
        /// Bytes it takes.
        need: u64,
    },
    /// The operating system could not read or write.
    #[error("offset {offset:#x}: {cause}")]
    Io {
        /// Offset in the file, or physical address.
        offset: u64,
        /// What the system said.
        cause: IoError,
    },
    /// A file is not written, because that would destroy something or cannot be meant.
    #[error("{reason}")]
    Refused {
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// What is there of an unfinished file is not what the source gives: it is left as it is.
    #[error(
        "the .incomplete file differs at offset {offset:#x} from what the source gives: name the same source, \
         compression, level and order as when it was begun, or move it away"
    )]
    Differs {
        /// Offset in the file of the first byte that differs.
        offset: u64,
    },
    /// There is nothing to save.
    #[error("there is no memory to save: the source lists none, or has lost all it lists")]
    NoMemory,
    /// A device holds something that is no dump, and writing over it was not asked for.
    #[error("the device holds {found}: it is only written over when that is asked for")]
    Occupied {
        /// What was found.
        found: &'static str,
    },
    /// A file is not begun, or not gone on with, because too little would be left free on its file system.
    #[error("{}", no_space(*need, *free, *min_free))]
    NoSpace {
        /// Bytes that were to be written, at most.
        need: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes of them that are to stay free.
        min_free: u64,
    },
    /// A file could not be made or put in its place.
    #[error("cannot {action}: {cause}")]
    File {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        cause: IoError,
    },
    /// The caller ended the work.
    #[error("cancelled")]
    Cancelled,
}

/// What is wrong with a page in a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PageFault {
    /// It cannot be decompressed.
    #[error("{0}")]
    Codec(#[from] CodecError),
    /// Its data lies where headers and descriptors are.
    #[error("its offset is in front of the first page at {data:#x}")]
    Offset {
        /// Offset of the first page.
        data: u64,
    },
    /// It is stored as it is, but has another size than a page.
    #[error("it is stored as it is in {size} bytes, but a page has {page}")]
    RawSize {
        /// Bytes, as its descriptor has it.
        size: u32,
        /// Bytes of a page.
        page: u32,
    },
    /// Its compressed size is none.
    #[error("its size is {size} bytes, expected 1 to {page}")]
    Size {
        /// Bytes, as its descriptor has it.
        size: u32,
        /// Bytes of a page.
        page: u32,
    },
}

/// Why a page table cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TableFault {
    /// It was left out when the dump was written.
    #[error("was excluded when the dump was written")]
    Excluded,
    /// No RAM is described where it should be.
    #[error("is in a hole: no RAM is described there")]
    Hole,
    /// It is behind the end of a truncated file.
    #[error("is behind the end of the truncated file")]
    Truncated,
    /// It could not be read when the dump was saved.
    #[error("could not be read when the dump was saved")]
    Unreadable,
    /// Its bytes in the dump are damaged.
    #[error("is damaged in the dump")]
    Corrupt,
    /// The entry has bits that no entry of its level can have.
    #[error("has the impossible entry {0:#x}")]
    Entry(u64),
    /// Something else stands in the way, which reading its physical address tells.
    #[error("cannot be read")]
    Other,
}

impl TableFault {
    /// What reading a table stopped with.
    pub(crate) fn from_error(error: &Error) -> Self {
        match error {
            Error::Excluded { .. } => Self::Excluded,
            Error::Hole { .. } => Self::Hole,
            Error::Truncated { .. } | Error::Missing { .. } => Self::Truncated,
            Error::Unreadable { .. } => Self::Unreadable,
            Error::Page { cause: PageFault::Codec(CodecError::NotBuilt { .. }), .. } => Self::Other,
            Error::Corrupt { .. } | Error::PartBitmap { .. } | Error::Page { .. } => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

/// A read that could not be completed: what it got and where it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("stopped at {at:#x} after {read} bytes: {error}")]
pub struct Stopped {
    /// Bytes at the start of the buffer that are good; the rest of it is unspecified.
    pub read: usize,
    /// The address or offset, in the terms of the call, of the first byte that is missing.
    pub at: u64,
    /// Why it is missing.
    pub error: Error,
}

impl From<Stopped> for Error {
    /// The cause alone; what was read is forgotten.
    fn from(stopped: Stopped) -> Self {
        stopped.error
    }
}

impl Stopped {
    /// A read that began at `start` and got `read` bytes before `error` stopped it; for those
    /// who implement [`crate::source::OldMemory`] or [`crate::source::ReadAt`].
    #[must_use]
    pub fn new(start: u64, read: usize, error: Error) -> Self {
        Self { read, at: start.saturating_add(read as u64), error }
    }
}

fn up_to(good: Option<u64>) -> String {
    good.map(|good| format!(": it is written up to offset {good:#x}")).unwrap_or_default()
}

fn no_space(need: u64, free: u64, min_free: u64) -> String {
    let kept = if min_free == 0 { String::new() } else { format!(", of which {min_free} are to stay free") };
    format!(
        "there is no room for {need} bytes: the file system or device has {free} bytes free{kept}; give it more, or leave out more pages"
    )
}

pub(crate) const fn elf(what: &'static str) -> impl Fn(kdump_elf::Error) -> Error {
    move |error| Error::Elf { what, error }
}
