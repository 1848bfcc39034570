//! The plan: every segment of a crash load, from a machine's description and a kernel image.
//!
//! Planning has two phases. A [`Layout`] decides what goes where and encodes everything but
//! the purgatory; it hashes nothing and takes time proportional to the number of memory
//! ranges and CPUs. Sealing it links the purgatory with the digest of all other segments and
//! gives the [`Plan`].

pub(crate) mod builder;
pub(crate) mod command_line;
mod flags;
#[cfg(feature = "json")]
pub(crate) mod json;
mod lay_out;
mod layout;
mod need;
mod options;
mod seal;
mod too_small;

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, PhysRange};

pub use flags::KexecFlags;
#[cfg(feature = "json")]
pub use json::json_to_ascii;
pub use layout::Layout;
pub use options::{BackupPolicy, PlanOptions};

use crate::capture_need::CaptureNeed;
use crate::cmdline::CommandLine;
use crate::elfcorehdr::{ElfCoreHeader, LowMemory};
use crate::segment::{Segment, SegmentKind};
use crate::target::TargetPlan;
use crate::vmcore_prediction::VmcorePrediction;

/// What a plan is made from.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PlanInputs<'a> {
    /// The machine that may crash.
    pub machine: &'a crate::Machine,
    /// The capture kernel's image file.
    pub kernel: &'a [u8],
    /// The capture kernel's initial ramdisk.
    pub initrd: Option<&'a [u8]>,
    /// What the user asked for.
    pub options: &'a PlanOptions,
    /// The program that verifies the plan's segments and enters the kernel.
    pub purgatory: &'a dyn crate::purgatory::Purgatory,
}

impl<'a> PlanInputs<'a> {
    /// No initial ramdisk, and the options of [`PlanOptions::default`].
    #[must_use]
    pub fn new(
        machine: &'a crate::Machine,
        kernel: &'a [u8],
        purgatory: &'a dyn crate::purgatory::Purgatory,
    ) -> Self {
        static DEFAULT: PlanOptions = PlanOptions::DEFAULT;
        Self { machine, kernel, initrd: None, options: &DEFAULT, purgatory }
    }

    /// Sets the initial ramdisk.
    #[must_use]
    pub fn initrd(self, initrd: Option<&'a [u8]>) -> Self {
        Self { initrd, ..self }
    }

    /// Sets what the user asked for.
    #[must_use]
    pub fn options(self, options: &'a PlanOptions) -> Self {
        Self { options, ..self }
    }

    /// Sets the program that verifies the segments and enters the kernel.
    #[must_use]
    pub fn purgatory(self, purgatory: &'a dyn crate::purgatory::Purgatory) -> Self {
        Self { purgatory, ..self }
    }
}

impl core::fmt::Debug for PlanInputs<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PlanInputs")
            .field("kernel", &self.kernel.len())
            .field("initrd", &self.initrd.map(<[u8]>::len))
            .field("options", self.options)
            .finish_non_exhaustive()
    }
}

/// A complete crash load.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Plan<'a> {
    /// The architecture of the running kernel.
    pub arch: Arch,
    /// Physical address of the purgatory's first instruction.
    pub entry: u64,
    /// The flags of the system call.
    pub flags: KexecFlags,
    /// The segments, by address; this is the order given to the system call.
    pub segments: Vec<Segment<'a>>,
    /// The ELF core header.
    pub elfcorehdr: ElfCoreHeader,
    /// What the capture kernel will export.
    pub vmcore: VmcorePrediction,
    /// The capture kernel's command line.
    pub cmdline: CommandLine,
    /// What becomes of the low memory that the capture kernel boots through.
    pub low_memory: LowMemory,
    /// The crash region everything lies in.
    pub region: PhysRange,
    /// Memory of the region left to the kernel for its control pages, in bytes.
    pub leftover: u64,
    /// Longest command line the capture kernel takes.
    pub cmdline_limit: u64,
    /// What only plans for this architecture have.
    pub target: TargetPlan,
    /// What the capture kernel needs to live in the region; `None` where no estimate can be made.
    pub need: Option<CaptureNeed>,
    /// What was dropped, rounded or guessed, and where values come from.
    pub remarks: Vec<String>,
    /// Those of the notes that a user should read even of a load that succeeds: of what was asked for,
    /// something was left out or will not do.
    pub warnings: Vec<String>,
}

impl<'a> Plan<'a> {
    /// Lays out and seals in one go.
    ///
    /// # Errors
    /// Those of [`Layout::new`] and [`Layout::seal`].
    pub fn new(inputs: &PlanInputs<'a>) -> Result<Self, crate::Error> {
        Layout::new(inputs)?.seal(inputs.purgatory)
    }

    /// The plan with all its content, without what it was made from.
    ///
    /// # Errors
    /// [`crate::Error::OutOfMemory`].
    pub fn into_owned(self) -> Result<Plan<'static>, crate::Error> {
        let Self { arch, entry, flags, segments, elfcorehdr, vmcore, cmdline, .. } = self;
        let mut owned = Vec::new();
        for segment in segments {
            crate::room::push(&mut owned, "segments", segment.into_owned()?)?;
        }
        Ok(Plan {
            arch,
            entry,
            flags,
            segments: owned,
            elfcorehdr,
            vmcore,
            cmdline,
            low_memory: self.low_memory,
            region: self.region,
            leftover: self.leftover,
            cmdline_limit: self.cmdline_limit,
            target: self.target,
            need: self.need,
            remarks: self.remarks,
            warnings: self.warnings,
        })
    }

    /// The first segment of this kind.
    #[must_use]
    pub fn segment(&self, kind: SegmentKind) -> Option<&Segment<'a>> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }
}
