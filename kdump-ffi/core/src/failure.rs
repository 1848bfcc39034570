//! Why a call failed, before it is put into the caller's `struct libkdump_error`.

use core::ffi::c_int;
use core::fmt;

use crate::code::{
    LIBKDUMP_ERR_ABI, LIBKDUMP_ERR_BUFFER, LIBKDUMP_ERR_CALLBACK, LIBKDUMP_ERR_CORRUPT, LIBKDUMP_ERR_INVALID,
    LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_TOO_LARGE, LIBKDUMP_ERR_TRUNCATED,
};

/// A cause that has a code and a place.
pub trait Fail: fmt::Display {
    /// One of the `LIBKDUMP_ERR_` constants.
    fn code(&self) -> c_int;

    /// Where it happened.
    fn place(&self) -> ErrorPlace {
        ErrorPlace::default()
    }
}

/// The numbers that belong to a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorPlace {
    /// `errno`, or the value a callback returned; 0 when there is none.
    pub os_errno: i32,
    /// Physical or virtual address.
    pub address: Option<u64>,
    /// Offset in a file or buffer.
    pub offset: Option<u64>,
    /// Page frame number.
    pub pfn: Option<u64>,
    /// Bytes or elements the caller must provide.
    pub need: Option<u64>,
}

/// A failure of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A pointer that must not be NULL is.
    Null {
        /// The parameter.
        name: &'static str,
    },
    /// A pointer is not aligned for its type.
    Unaligned {
        /// The parameter.
        name: &'static str,
    },
    /// A number makes no sense.
    Argument {
        /// The parameter or field.
        name: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A descriptor below 0.
    Negative {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: i64,
    },
    /// A flag is set that this version does not know.
    Flags {
        /// The parameter or field.
        name: &'static str,
        /// The unknown ones.
        unknown: u32,
        /// All that are known.
        known: u32,
    },
    /// A text is not UTF-8.
    Text {
        /// The parameter.
        name: &'static str,
        /// Offset of the first byte that is not.
        at: usize,
    },
    /// The `size` of a structure cannot be right.
    Size {
        /// The structure.
        structure: &'static str,
        /// The size found.
        size: u64,
        /// The size of this version.
        known: u64,
    },
    /// A field that this version does not know is not zero.
    Tail {
        /// The structure.
        structure: &'static str,
        /// Offset of the first byte that is not zero.
        offset: u64,
        /// The size of this version.
        known: u64,
    },
    /// The caller's buffer is too small.
    Buffer {
        /// Bytes needed.
        need: u64,
        /// Bytes given.
        have: u64,
    },
    /// There is no such thing.
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// What only plans for another architecture have.
    OtherArch {
        /// The architecture of the plan.
        plan: &'static str,
        /// The one that was asked for.
        wanted: &'static str,
    },
    /// There is no element with this index.
    Index {
        /// What is counted.
        what: &'static str,
        /// The index asked for.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// A callback of the caller said no.
    Callback {
        /// What it was asked to do.
        what: &'static str,
        /// What it returned.
        value: i32,
        /// The address it was asked for.
        address: u64,
    },
    /// The bytes or values are no ELF core.
    Elf(kdump_elf::Error),
}

impl From<kdump_elf::Error> for Failure {
    fn from(error: kdump_elf::Error) -> Self {
        Self::Elf(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null { name } => write!(f, "{name} is NULL"),
            Self::Unaligned { name } => write!(f, "{name} is not aligned for its type"),
            Self::Argument { name, value, expected } => {
                write!(f, "{name} is {value:#x}, expected {expected}")
            }
            Self::Negative { name, value } => write!(f, "{name} is {value}, which is no descriptor"),
            Self::Flags { name, unknown, known } => {
                write!(f, "{name} has {unknown:#x} set, this version knows only {known:#x}")
            }
            Self::Text { name, at } => write!(f, "{name} is not UTF-8 from byte {at} on"),
            Self::Size { structure, size, known } => write!(
                f,
                "the size field of struct {structure} is {size}; set it to sizeof, which is {known} here"
            ),
            Self::Tail { structure, offset, known } => write!(
                f,
                "struct {structure} has a value at offset {offset}, this version knows {known} bytes of it"
            ),
            Self::Buffer { need, have } => write!(f, "the buffer has {have} bytes, {need} are needed"),
            Self::NotFound { what } => write!(f, "there is no such {what}"),
            Self::OtherArch { plan, wanted } => write!(f, "the plan is for {plan}, not for {wanted}"),
            Self::Index { what, index, count } => write!(f, "{what} {index} of {count} does not exist"),
            Self::Callback { what, value, address } => {
                write!(f, "the callback returned {value} when asked to {what} at {address:#x}")
            }
            Self::Elf(error) => error.fmt(f),
        }
    }
}

impl Fail for Failure {
    fn code(&self) -> c_int {
        match self {
            Self::Null { .. }
            | Self::Unaligned { .. }
            | Self::Argument { .. }
            | Self::Negative { .. }
            | Self::Flags { .. }
            | Self::Text { .. } => LIBKDUMP_ERR_INVALID,
            Self::Size { .. } | Self::Tail { .. } => LIBKDUMP_ERR_ABI,
            Self::Buffer { .. } => LIBKDUMP_ERR_BUFFER,
            Self::NotFound { .. } | Self::OtherArch { .. } | Self::Index { .. } => LIBKDUMP_ERR_NOT_FOUND,
            Self::Callback { .. } => LIBKDUMP_ERR_CALLBACK,
            Self::Elf(error) => elf_code(error),
        }
    }

    fn place(&self) -> ErrorPlace {
        let none = ErrorPlace::default();
        match *self {
            Self::Text { at, .. } => ErrorPlace { offset: Some(at as u64), ..none },
            Self::Tail { offset, known, .. } => {
                ErrorPlace { offset: Some(offset), need: Some(known), ..none }
            }
            Self::Size { known, .. } => ErrorPlace { need: Some(known), ..none },
            Self::Buffer { need, .. } => ErrorPlace { need: Some(need), ..none },
            Self::Callback { value, address, .. } => {
                ErrorPlace { os_errno: value, address: Some(address), ..none }
            }
            Self::Elf(error) => elf_place(&error),
            _ => none,
        }
    }
}

/// The code of a defect of ELF bytes or values.
#[must_use]
pub fn elf_code(error: &kdump_elf::Error) -> c_int {
    use kdump_elf::Error;
    match error {
        Error::Truncated { .. } => LIBKDUMP_ERR_TRUNCATED,
        Error::TooLarge { .. } => LIBKDUMP_ERR_TOO_LARGE,
        Error::Buffer { .. } => LIBKDUMP_ERR_BUFFER,
        Error::PhdrCount { .. } | Error::PhdrMissing { .. } | Error::Range { .. } => LIBKDUMP_ERR_INVALID,
        _ => LIBKDUMP_ERR_CORRUPT,
    }
}

/// The place of a defect of ELF bytes or values.
#[must_use]
pub fn elf_place(error: &kdump_elf::Error) -> ErrorPlace {
    use kdump_elf::Error;
    match *error {
        Error::Truncated { offset, need, .. } => {
            ErrorPlace { offset: Some(offset), need: Some(need), ..ErrorPlace::default() }
        }
        Error::Buffer { need, .. } => ErrorPlace { need: Some(need), ..ErrorPlace::default() },
        Error::Range { start, .. } => ErrorPlace { address: Some(start), ..ErrorPlace::default() },
        _ => ErrorPlace::default(),
    }
}
