//! What an architecture supplies: one folder each, and one row in `Target::of`.

mod arm64;
pub mod device_tree;
pub(crate) mod flat_image;
pub mod loongarch64;
pub mod ppc64;
mod riscv64;
pub mod x86;

use alloc::vec::Vec;

use kdump_elf::{Arch, PhysRange, VmcoreInfo};

use crate::plan::builder::Images;
use crate::plan::{Layout, PlanInputs};
use crate::preflight::{Allocation, Environment, PlanRule};
use crate::{Error, Machine, MachineFiles, RangeSet};

/// Everything that planning asks of an architecture. What is not asked here is the same for all,
/// and stands elsewhere.
pub(crate) struct Target {
    /// Adds to the description of a machine what only this architecture's files tell.
    pub(crate) describe: fn(&mut Machine, &MachineFiles, Option<&VmcoreInfo<'_>>),
    /// Places and encodes the parts of a load in a region, whatever the machine has. Called again
    /// with larger regions where the parts do not fit.
    pub(crate) lay_out: LayOut,
    /// Which addresses a segment may have.
    pub(crate) segment_limit: fn(&Environment) -> SegmentLimit,
    /// What the kernel takes from the crash region for itself: one list for each thing it may be.
    pub(crate) control_pages: fn(&Environment) -> Result<Vec<Vec<Allocation>>, Error>,
    /// What its plans must keep, in the order in which it is said.
    pub(crate) plan_rules: &'static [PlanRule],
}

type LayOut = for<'a> fn(&PlanInputs<'a>, &Images<'a>, PhysRange) -> Result<Layout<'a>, Error>;

impl Target {
    /// The row of an architecture; `None` for one that is not planned for.
    pub(crate) fn of(arch: Arch) -> Option<&'static Self> {
        match arch {
            Arch::X86_64 => Some(&x86::X86_64),
            Arch::I386 => Some(&x86::I386),
            Arch::Arm64 => Some(&arm64::ARM64),
            Arch::Riscv64 => Some(&riscv64::RISCV64),
            Arch::LoongArch64 => Some(&loongarch64::LOONGARCH64),
            Arch::Ppc64 => Some(&ppc64::PPC64),
            _ => None,
        }
    }
}

/// Which end (exclusive) a segment may have on the running kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLimit {
    /// An end at or above this is refused.
    pub(crate) refused: u64,
    /// An end below this is taken; the same but where it is not known what the kernel can address.
    pub(crate) taken: u64,
    /// What an end between the two needs.
    pub(crate) between: &'static str,
}

/// What is to become of low memory, before a backup has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowMemoryDecision {
    /// It is the capture kernel's and is not dumped.
    Use,
    /// It is dumped where it lies.
    Keep,
    /// This range is saved; the capture kernel may then use it.
    Save(PhysRange),
}

/// What only plans for one architecture, or one family of them, have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetPlan {
    /// x86.
    X86(x86::X86Plan),
    /// Where a device tree tells the capture kernel everything: arm64, riscv64.
    DeviceTree(device_tree::DeviceTreePlan),
    /// loongarch64.
    LoongArch64(loongarch64::LoongArch64Plan),
    /// ppc64.
    Ppc64(ppc64::Ppc64Plan),
}

impl TargetPlan {
    /// The memory the capture kernel is told to use.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn capture_ram(&self) -> Result<RangeSet, Error> {
        match self {
            Self::X86(plan) => plan.capture_ram(),
            Self::DeviceTree(plan) => plan.capture_ram(),
            Self::LoongArch64(plan) => plan.capture_ram(),
            Self::Ppc64(plan) => plan.capture_ram(),
        }
    }

    /// The keys that only plans for this architecture have, in a JSON object.
    #[cfg(feature = "json")]
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::X86(plan) => plan.to_json(),
            Self::DeviceTree(plan) => plan.to_json(),
            Self::LoongArch64(plan) => plan.to_json(),
            Self::Ppc64(plan) => plan.to_json(),
        }
    }
}
