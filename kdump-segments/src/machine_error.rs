//! Why a machine could not be described.

use alloc::string::String;

use thiserror::Error;

/// A machine that cannot be planned for, or a `crashkernel=` the kernel would refuse.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MachineError {
    /// A file without which nothing is known about the memory.
    #[error("{path} is missing")]
    Missing {
        /// The file, relative to the root.
        path: String,
    },
    /// A file or directory that exists but cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file, as it was opened.
        path: String,
        /// What the operating system said.
        cause: String,
    },
    /// A file far larger than what the kernel writes there.
    #[error("{path} is larger than {limit:#x} bytes")]
    TooLarge {
        /// The file, as it was opened.
        path: String,
        /// The largest size accepted, in bytes.
        limit: u64,
    },
    /// Every address is zero: the kernel hides them from this reader.
    #[error(
        "all addresses in {path} are zero: the kernel shows them only to a reader with CAP_SYS_ADMIN (root)"
    )]
    AddressesHidden {
        /// The file, relative to the root.
        path: String,
    },
    /// Nothing in the map of physical addresses is memory.
    #[error("{path} has {lines} lines, none of them is System RAM")]
    NoRam {
        /// The file, relative to the root.
        path: String,
        /// Lines read.
        lines: usize,
    },
    /// Neither the files nor the caller say which architecture the machine has.
    #[error(
        "the architecture is unknown: neither proc/kcore nor proc/sys/kernel/arch tells it; write its name \
         (x86_64, for example) to proc/sys/kernel/arch of the recording"
    )]
    UnknownArch,
    /// The architecture of a recorded machine is one this crate does not know.
    #[error("{path} says {value}, which is no architecture known here")]
    UnsupportedArch {
        /// The file, relative to the root.
        path: String,
        /// The name or number found.
        value: String,
    },
    /// A `crashkernel=` word the kernel would not understand.
    #[error("crashkernel={value}: {reason}, at character {offset}")]
    Crashkernel {
        /// What stands behind `crashkernel=`, up to the next blank.
        value: String,
        /// Where in `value`, counted from 0.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A size that asks for no memory, or for all of it.
    #[error("crashkernel={value}: size {size:#x} is not between 1 and the RAM size {ram:#x}")]
    CrashkernelSize {
        /// What stands behind `crashkernel=`, up to the next blank.
        value: String,
        /// Bytes asked for.
        size: u64,
        /// Bytes of RAM the request was measured against.
        ram: u64,
    },
    /// Nowhere is enough free memory in one piece.
    #[error("no free memory for {what}: {size:#x} bytes aligned to {align:#x} in {from:#x}-{to:#x}")]
    NoRoom {
        /// Which of the reservations.
        what: &'static str,
        /// Bytes asked for.
        size: u64,
        /// Alignment of its first address.
        align: u64,
        /// Lowest address it may have.
        from: u64,
        /// First address behind the window.
        to: u64,
    },
}
