//! Why a call failed, with the code and place of each cause.

use core::ffi::c_int;
use core::fmt;
use std::path::PathBuf;

use kdump_ffi_core::{
    ErrorPlace, Fail, LIBKDUMP_ERR_CANCELLED, LIBKDUMP_ERR_CORRUPT, LIBKDUMP_ERR_EXCLUDED,
    LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_HOLE, LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_IO, LIBKDUMP_ERR_NO_MEMORY,
    LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_NOT_MAPPED, LIBKDUMP_ERR_POISONED, LIBKDUMP_ERR_REFUSED,
    LIBKDUMP_ERR_TOO_LARGE, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_UNSUPPORTED, elf_code, elf_place,
};

/// A failure of a function of this crate.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A parameter or an ELF structure.
    Core(kdump_ffi_core::Failure),
    /// An earlier call panicked.
    Poisoned {
        /// The handle.
        name: &'static str,
    },
    /// A pointer leads to something else than a handle of the type.
    NoHandle {
        /// The parameter.
        name: &'static str,
        /// Whether a handle that was freed was there.
        freed: bool,
    },
    /// Memory could not be allocated.
    NoMemory {
        /// Bytes that were asked for.
        need: u64,
    },
    /// A file could not be opened or read.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Something about a file.
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        failure: Box<Failure>,
    },
    /// Not with this version.
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// A plan whose addresses are not those of the running machine.
    OtherMachine,
    /// Machine, plan or load.
    Segments(Box<kdump_segments::Error>),
    /// Purgatory object.
    Purgatory(Box<kdump_purgatory::Error>),
    /// Dump or old memory.
    Vmcore(kdump_vmcore::Error),
    /// A read that stopped.
    Stopped {
        /// Where and why.
        stopped: kdump_vmcore::Stopped,
        /// The page it stopped at; `None` for virtual addresses.
        pfn: Option<u64>,
    },
    /// Saving.
    Save(Box<kdump_vmcore::SaveFailure>),
}

impl From<kdump_ffi_core::Failure> for Failure {
    fn from(failure: kdump_ffi_core::Failure) -> Self {
        Self::Core(failure)
    }
}

impl From<kdump_elf::Error> for Failure {
    fn from(error: kdump_elf::Error) -> Self {
        Self::Core(error.into())
    }
}

impl From<kdump_segments::Error> for Failure {
    fn from(error: kdump_segments::Error) -> Self {
        Self::Segments(Box::new(error))
    }
}

impl From<kdump_purgatory::Error> for Failure {
    fn from(error: kdump_purgatory::Error) -> Self {
        Self::Purgatory(Box::new(error))
    }
}

impl From<kdump_vmcore::Error> for Failure {
    fn from(error: kdump_vmcore::Error) -> Self {
        Self::Vmcore(error)
    }
}

impl From<kdump_vmcore::Stopped> for Failure {
    fn from(stopped: kdump_vmcore::Stopped) -> Self {
        Self::Stopped { stopped, pfn: None }
    }
}

impl From<kdump_vmcore::SaveFailure> for Failure {
    fn from(failure: kdump_vmcore::SaveFailure) -> Self {
        Self::Save(Box::new(failure))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(failure) => failure.fmt(f),
            Self::Poisoned { name } => {
                write!(f, "{name} is unusable since a defect in an earlier call; free it")
            }
            Self::NoHandle { name, freed: true } => write!(f, "{name} was freed"),
            Self::NoHandle { name, .. } => write!(f, "{name} is no handle of this type"),
            Self::NoMemory { need } => write!(f, "{need} bytes of memory could not be allocated"),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::File { path, failure } => write!(f, "{}: {failure}", path.display()),
            Self::Unsupported { what } => write!(f, "unsupported: {what}"),
            Self::OtherMachine => f.write_str(
                "the plan was made for a machine that was not collected from \"/\": loaded here it could only \
                 disarm this one (LIBKDUMP_PLAN_FOREIGN lets it pass)",
            ),
            Self::Segments(error) => error.fmt(f),
            Self::Purgatory(error) => error.fmt(f),
            Self::Vmcore(error) => error.fmt(f),
            Self::Stopped { stopped, .. } => stopped.error.fmt(f),
            Self::Save(failure) => failure.fmt(f),
        }
    }
}

impl Fail for Failure {
    fn code(&self) -> c_int {
        match self {
            Self::Core(failure) => failure.code(),
            Self::Poisoned { .. } => LIBKDUMP_ERR_POISONED,
            Self::NoHandle { .. } => LIBKDUMP_ERR_INVALID,
            Self::NoMemory { .. } => LIBKDUMP_ERR_NO_MEMORY,
            Self::Io { .. } => LIBKDUMP_ERR_IO,
            Self::File { failure, .. } => failure.code(),
            Self::Unsupported { .. } => LIBKDUMP_ERR_UNSUPPORTED,
            Self::OtherMachine => LIBKDUMP_ERR_INVALID,
            Self::Segments(error) => segments_code(error),
            Self::Purgatory(error) => purgatory_code(error),
            Self::Vmcore(error) => vmcore_code(error),
            Self::Stopped { stopped, .. } => vmcore_code(&stopped.error),
            Self::Save(failure) => vmcore_code(&failure.error),
        }
    }

    fn place(&self) -> ErrorPlace {
        let none = ErrorPlace::default();
        match self {
            Self::Core(failure) => failure.place(),
            Self::Io { error, .. } => ErrorPlace { os_errno: error.raw_os_error().unwrap_or(0), ..none },
            Self::File { failure, .. } => failure.place(),
            Self::NoMemory { need } => ErrorPlace { need: Some(*need), ..none },
            Self::Segments(error) => segments_place(error),
            Self::Vmcore(error) => vmcore_place(error),
            Self::Stopped { stopped, pfn } => {
                ErrorPlace { address: Some(stopped.at), pfn: *pfn, ..vmcore_place(&stopped.error) }
            }
            Self::Save(failure) => vmcore_place(&failure.error),
            Self::Poisoned { .. }
            | Self::NoHandle { .. }
            | Self::OtherMachine
            | Self::Unsupported { .. }
            | Self::Purgatory(_) => none,
        }
    }
}

fn segments_code(error: &kdump_segments::Error) -> c_int {
    use kdump_segments::Error;
    match error {
        Error::Elf(error) => elf_code(error),
        Error::UnsupportedArch { .. } => LIBKDUMP_ERR_UNSUPPORTED,
        Error::NotAnImage { .. } | Error::NotAFile { .. } => LIBKDUMP_ERR_FORMAT,
        Error::ImageTruncated { .. } | Error::ImageChanged { .. } => LIBKDUMP_ERR_TRUNCATED,
        Error::CommandLineNul { .. } | Error::Conflict { .. } => LIBKDUMP_ERR_INVALID,
        Error::CommandLineTooLong { .. }
        | Error::NoRoom { .. }
        | Error::TooMany { .. }
        | Error::ImageTooLarge { .. }
        | Error::TooLarge { .. }
        | Error::NoFreeMemory { .. } => LIBKDUMP_ERR_TOO_LARGE,
        Error::NoCrashRegion
        | Error::ReservationFailed { .. }
        | Error::Missing { .. }
        | Error::UnknownArch => LIBKDUMP_ERR_NOT_FOUND,
        Error::OutsideRegion { .. } | Error::Preflight { .. } | Error::Syscall { .. } => LIBKDUMP_ERR_REFUSED,
        Error::Io { .. } | Error::File { .. } | Error::AddressesHidden { .. } => LIBKDUMP_ERR_IO,
        Error::OutOfMemory { .. } => LIBKDUMP_ERR_NO_MEMORY,
        // An option, and nothing in the object, is wrong then.
        Error::Purgatory(error) if error.downcast_ref().is_some_and(is_unsuitable) => LIBKDUMP_ERR_INVALID,
        _ => LIBKDUMP_ERR_CORRUPT,
    }
}

/// Whether a purgatory was asked for what those of its architecture cannot do.
fn is_unsuitable(error: &kdump_purgatory::Error) -> bool {
    use kdump_purgatory::Error;
    matches!(error, Error::Baud { .. } | Error::SerialPort { .. } | Error::Unsupported { .. })
}

fn segments_place(error: &kdump_segments::Error) -> ErrorPlace {
    use kdump_segments::Error;
    let none = ErrorPlace::default();
    match error {
        Error::Elf(error) => elf_place(error),
        Error::ImageField { offset, .. } | Error::CommandLineNul { offset } => {
            ErrorPlace { offset: Some(*offset), ..none }
        }
        Error::ImageTruncated { offset, need, .. } => {
            ErrorPlace { offset: Some(*offset), need: Some(*need), ..none }
        }
        Error::CommandLineTooLong { need, .. } | Error::NoRoom { need, .. } => {
            ErrorPlace { need: Some(*need), ..none }
        }
        Error::OutOfMemory { need, .. } => ErrorPlace { need: Some(*need), ..none },
        Error::ImageTooLarge { size, .. } => ErrorPlace { need: Some(*size), ..none },
        Error::OutsideRegion { start, .. } => ErrorPlace { address: Some(*start), ..none },
        Error::Syscall { errno, .. } => ErrorPlace { os_errno: *errno, ..none },
        Error::Io { source, .. } => ErrorPlace { os_errno: source.raw_os_error().unwrap_or(0), ..none },
        _ => none,
    }
}

fn purgatory_code(error: &kdump_purgatory::Error) -> c_int {
    use kdump_purgatory::Error;
    match error {
        Error::NoBuiltin { .. } => LIBKDUMP_ERR_UNSUPPORTED,
        Error::NotElf { .. } => LIBKDUMP_ERR_FORMAT,
        Error::SymbolMissing { .. } => LIBKDUMP_ERR_NOT_FOUND,
        Error::SymbolSize { .. } => LIBKDUMP_ERR_INVALID,
        error if is_unsuitable(error) => LIBKDUMP_ERR_INVALID,
        _ => LIBKDUMP_ERR_CORRUPT,
    }
}

fn vmcore_code(error: &kdump_vmcore::Error) -> c_int {
    use kdump_vmcore::codec::CodecError;
    use kdump_vmcore::{Error, PageFault, TableFault};
    match error {
        Error::Excluded { .. } => LIBKDUMP_ERR_EXCLUDED,
        Error::Hole { .. } => LIBKDUMP_ERR_HOLE,
        Error::NotMapped { .. } | Error::NoTranslation { .. } => LIBKDUMP_ERR_NOT_MAPPED,
        Error::PageTable { cause: TableFault::Excluded, .. } => LIBKDUMP_ERR_EXCLUDED,
        Error::PageTable { cause: TableFault::Hole, .. } => LIBKDUMP_ERR_HOLE,
        Error::PageTable { cause: TableFault::Truncated, .. } => LIBKDUMP_ERR_TRUNCATED,
        Error::PageTable { cause: TableFault::Unreadable, .. } | Error::Unreadable { .. } => LIBKDUMP_ERR_IO,
        Error::Truncated { .. }
        | Error::Missing { .. }
        | Error::Unfinished { .. }
        | Error::Incomplete
        | Error::PartNotGiven { .. } => LIBKDUMP_ERR_TRUNCATED,
        Error::Refused { .. } | Error::Occupied { .. } => LIBKDUMP_ERR_REFUSED,
        Error::Page { cause: PageFault::Codec(CodecError::NotBuilt { .. }), .. } => LIBKDUMP_ERR_UNSUPPORTED,
        Error::Part { .. } => LIBKDUMP_ERR_INVALID,
        Error::Elf { error, .. } => elf_code(error),
        Error::MissingKey { .. } => LIBKDUMP_ERR_NOT_FOUND,
        Error::UnknownFormat { .. } => LIBKDUMP_ERR_FORMAT,
        Error::Unsupported { .. } => LIBKDUMP_ERR_UNSUPPORTED,
        Error::TooLarge { .. } => LIBKDUMP_ERR_TOO_LARGE,
        Error::Io { .. } | Error::File { .. } | Error::NoSpace { .. } => LIBKDUMP_ERR_IO,
        Error::OutOfMemory { .. } => LIBKDUMP_ERR_NO_MEMORY,
        Error::Cancelled => LIBKDUMP_ERR_CANCELLED,
        _ => LIBKDUMP_ERR_CORRUPT,
    }
}

fn vmcore_place(error: &kdump_vmcore::Error) -> ErrorPlace {
    use kdump_vmcore::Error;
    let none = ErrorPlace::default();
    match *error {
        Error::Excluded { paddr }
        | Error::Hole { paddr, .. }
        | Error::Missing { paddr }
        | Error::Unreadable { paddr } => ErrorPlace { address: Some(paddr), ..none },
        Error::Unfinished { good } => ErrorPlace { offset: good, ..none },
        Error::Differs { offset } => ErrorPlace { offset: Some(offset), ..none },
        Error::NotMapped { vaddr, .. }
        | Error::NoTranslation { vaddr, .. }
        | Error::PageTable { vaddr, .. } => ErrorPlace { address: Some(vaddr), ..none },
        Error::PartBitmap { pfn, .. } => ErrorPlace { pfn: Some(pfn), ..none },
        Error::Page { pfn, offset, .. } => ErrorPlace { pfn: Some(pfn), offset: Some(offset), ..none },
        Error::Truncated { offset, need, .. } => {
            ErrorPlace { offset: Some(offset), need: Some(need), ..none }
        }
        Error::OutOfMemory { need, .. } | Error::NoSpace { need, .. } => {
            ErrorPlace { need: Some(need), ..none }
        }
        Error::Elf { error, .. } => elf_place(&error),
        Error::Io { offset, cause } => ErrorPlace { os_errno: cause.errno(), offset: Some(offset), ..none },
        Error::File { cause, .. } => ErrorPlace { os_errno: cause.errno(), ..none },
        _ => none,
    }
}
