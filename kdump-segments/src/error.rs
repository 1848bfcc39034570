//! What can go wrong between a machine's description and a loaded capture kernel.

use alloc::boxed::Box;
use alloc::string::String;

use kdump_elf::PhysRange;
use thiserror::Error;

use crate::purgatory::PurgatoryError;

/// Refuses an alignment, of `what`, that is no power of two.
pub(crate) fn check_alignment(what: &'static str, align: u64) -> Result<(), Error> {
    if align.is_power_of_two() {
        return Ok(());
    }
    Err(Error::Conflict { what, reason: alloc::format!("its alignment {align:#x} is no power of two") })
}

/// Why a machine could not be described, a plan not be made or a plan not be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes or ranges that are not valid ELF or not a range.
    #[error(transparent)]
    Elf(#[from] kdump_elf::Error),

    /// A file without which nothing is known about the memory.
    #[error("{path} is missing")]
    Missing {
        /// The file, relative to the root.
        path: String,
    },
    /// A file or directory that exists but cannot be read or written.
    #[error("{path}: {cause}")]
    File {
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
    NoFreeMemory {
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

    /// A file is none of the kernel image formats a capture kernel can have.
    #[error("not a bzImage ({bzimage}) and not a vmlinux ({vmlinux})")]
    NotAnImage {
        /// Why it is not a bzImage.
        bzimage: String,
        /// Why it is not an ELF kernel.
        vmlinux: String,
    },

    /// A field of the kernel image cannot be worked with.
    #[error("kernel image: {field} at offset {offset:#x} is {value:#x}, expected {expected}")]
    ImageField {
        /// The field, as the boot protocol or `elf(5)` calls it.
        field: &'static str,
        /// Where it stands in the file.
        offset: u64,
        /// Its value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },

    /// The kernel image ends before something it refers to.
    #[error("kernel image: {what} at offset {offset:#x} needs {need:#x} bytes, the file has {have:#x}")]
    ImageTruncated {
        /// The part that is cut.
        what: &'static str,
        /// Where it begins in the file.
        offset: u64,
        /// Bytes it needs.
        need: u64,
        /// Bytes the file has from there.
        have: u64,
    },

    /// A device tree cannot be worked with.
    #[error("device tree: {what} at offset {offset:#x} is {value:#x}, expected {expected}")]
    DeviceTree {
        /// The field or token, as the Devicetree Specification calls it.
        what: &'static str,
        /// Where it stands: in the header, or from the start of the structure block.
        offset: u64,
        /// Its value.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },

    /// The command line is longer than the capture kernel or the boot protocol takes.
    #[error("the command line needs {need} bytes without its NUL, the capture kernel takes {limit}")]
    CommandLineTooLong {
        /// Bytes the complete command line has.
        need: u64,
        /// Bytes the kernel image says it takes.
        limit: u64,
    },

    /// The command line has a byte that would end it early.
    #[error("the command line has a NUL byte at offset {offset}")]
    CommandLineNul {
        /// Offset of the byte.
        offset: u64,
    },

    /// Memory could not be allocated.
    #[error("{need:#x} bytes for the {what} could not be allocated")]
    OutOfMemory {
        /// What they were for.
        what: &'static str,
        /// Bytes that were asked for.
        need: u64,
    },

    /// No crash region is reserved.
    #[error("no memory is reserved for a capture kernel: add crashkernel= to the command line and reboot")]
    NoCrashRegion,

    /// `crashkernel=` was given, but the running kernel reserved nothing.
    #[error(
        "{parameter} is on the command line but no memory is reserved: it asks for more than is free in one \
         piece, or for an address in use; see what the kernel log says of crashkernel (dmesg), and try \
         another size, without @ADDRESS"
    )]
    ReservationFailed {
        /// The words of the running kernel's command line that ask for it.
        parameter: String,
    },

    /// The parts of the plan do not fit in the crash region.
    #[error(
        "no room for {part} ({need:#x} bytes, align {align:#x}, between {min:#x} and {max:#x}) in the crash \
         region {region} of {} MiB: {}",
        region.size() >> 20,
        no_room(all.as_deref())
    )]
    NoRoom {
        /// The first part that did not fit.
        part: &'static str,
        /// Its size in bytes.
        need: u64,
        /// Its alignment in bytes.
        align: u64,
        /// Lowest address it may take.
        min: u64,
        /// Last address it may take, inclusive.
        max: u64,
        /// The crash region.
        region: PhysRange,
        /// What all parts need together, once the planner has found that out.
        all: Option<Box<AllParts>>,
    },

    /// A segment with a fixed address does not lie in the crash region.
    #[error(
        "{part} must lie at {start:#x}-{last:#x}, outside the crash region {region_start:#x}-{region_last:#x}"
    )]
    OutsideRegion {
        /// The part that is fixed.
        part: &'static str,
        /// Its first address.
        start: u64,
        /// Its last address, inclusive.
        last: u64,
        /// First address of the region.
        region_start: u64,
        /// Last address of the region, inclusive.
        region_last: u64,
    },

    /// A table of a fixed size would lose entries.
    #[error("{what}: {value} do not fit, the limit is {limit}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        value: u64,
        /// How many are allowed.
        limit: u64,
    },

    /// Options or inputs that do not go together.
    #[error("{what}: {reason}")]
    Conflict {
        /// The option or input.
        what: &'static str,
        /// Why it cannot be honoured.
        reason: String,
    },

    /// The purgatory could not be linked.
    #[error("purgatory: {0}")]
    Purgatory(PurgatoryError),

    /// The kernel would refuse or be harmed by this load, so it was not given to it.
    #[error("the load would not be accepted: {rule}: {detail}")]
    Preflight {
        /// The first rule that fails.
        rule: &'static str,
        /// What the plan has and what the rule allows.
        detail: String,
    },

    /// A kexec system call failed.
    #[error("{call} failed with {name} ({errno}): {cause}; {advice}")]
    Syscall {
        /// The system call.
        call: &'static str,
        /// The errno value.
        errno: i32,
        /// Its name.
        name: &'static str,
        /// What it means for this call.
        cause: &'static str,
        /// What to do about it.
        advice: String,
    },

    /// The name of an image is not that of a regular file, so its size is not known before it
    /// is read.
    #[cfg(feature = "std")]
    #[error("{path} is {kind}: name the regular file that holds the image")]
    NotAFile {
        /// The name given.
        path: String,
        /// What it is.
        kind: &'static str,
    },

    /// An image file holds more than the memory it is to be loaded into.
    #[cfg(feature = "std")]
    #[error(
        "{path} has {size:#x} bytes to load, the crash region {limit:#x}: take a smaller image, or reserve \
         more with crashkernel="
    )]
    ImageTooLarge {
        /// The file.
        path: String,
        /// Bytes it has.
        size: u64,
        /// Bytes of the crash region.
        limit: u64,
    },

    /// An image file does not have the bytes its size promised.
    #[cfg(feature = "std")]
    #[error(
        "{path} had {size:#x} bytes when it was opened, and {read} when it was read: try again when it is complete"
    )]
    ImageChanged {
        /// The file.
        path: String,
        /// Its size when it was opened.
        size: u64,
        /// How many there were to be read.
        read: &'static str,
    },

    /// A file could not be read or written.
    #[cfg(feature = "std")]
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What all parts of a plan need together, in a crash region too small for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllParts {
    /// Bytes of all parts; 0 when no larger region would hold them.
    pub total: u64,
    /// MiB the region must have for the parts to fit, if it keeps its start; `None` when no size
    /// helps.
    pub fits_mib: Option<u64>,
    /// MiB the capture kernel is estimated to need.
    pub runs_mib: Option<u64>,
    /// Every part and what it takes.
    pub parts: String,
}

/// What all parts take together and how large a region must be.
fn no_room(all: Option<&AllParts>) -> String {
    let Some(all) = all else { return String::from("no free range of it holds that") };
    let Some(fits) = all.fits_mib else {
        return String::from("a larger region does not help, the addresses it may take are not in it");
    };
    let (total, parts) = (all.total.div_ceil(1 << 20), &all.parts);
    let mut text = alloc::format!(
        "all parts together take {total} MiB ({parts}), and to place them the region must have {fits} MiB"
    );
    if let Some(runs) = all.runs_mib {
        text.push_str(&alloc::format!("; the capture kernel needs about {} MiB to run", runs.max(fits)));
    }
    text
}
