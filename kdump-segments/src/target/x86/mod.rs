//! x86: the boot protocol, its memory map, and what its kernels ask of a load.

pub mod boot_params;
mod builder;
mod bzimage;
mod capture_map;
mod control_pages;
mod cpu_features;
pub mod e820;
mod handover;
mod kernel;
mod layout;
mod low_memory;
mod paging;
mod rules;
pub mod setup_data;
mod setup_header;

use alloc::vec::Vec;

pub use bzimage::BzImage;
pub use capture_map::capture_map;
pub use control_pages::ControlPages;
pub use low_memory::decide as decide_low_memory;
pub use setup_header::SetupHeader;

#[cfg(feature = "std")]
pub(crate) use paging::five_level_paging;

use super::{Target, TargetPlan};
use crate::plan::Plan;
use crate::{Error, MemoryKind, RangeSet};
use e820::E820Entry;

/// x86_64.
pub(super) const X86_64: Target = Target {
    describe: paging::describe,
    lay_out: layout::lay_out,
    segment_limit: rules::segment_limit,
    control_pages: control_pages::control_pages,
    plan_rules: &rules::PLAN_RULES,
};

/// i386, whose kernels are all entered in 32-bit mode. Of its CPUs nothing needs to be known: page
/// tables are not switched on between the kernels, and its purgatory has no SHA instructions.
pub(super) const I386: Target = Target {
    describe: |_, _, _| (),
    lay_out: layout::lay_out,
    segment_limit: rules::segment_limit_32bit,
    control_pages: control_pages::control_pages_32bit,
    plan_rules: &rules::PLAN_RULES,
};

/// What only plans for x86 have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct X86Plan {
    /// The memory map the capture kernel is given.
    pub e820: Vec<E820Entry>,
    /// Highest address the initial ramdisk may end at, inclusive.
    pub initrd_limit: u64,
}

impl X86Plan {
    /// What the memory map calls usable.
    pub(super) fn capture_ram(&self) -> Result<RangeSet, Error> {
        let usable = self.e820.iter().filter(|entry| entry.kind == MemoryKind::Ram);
        RangeSet::from_ranges(usable.map(|entry| entry.range))
    }

    #[cfg(feature = "json")]
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let entry = |entry: &E820Entry| {
            json!({
                "start": crate::plan::json::hex(entry.range.start()),
                "size": entry.range.size(),
                "type": entry.kind.name(),
            })
        };
        json!({ "e820": self.e820.iter().map(entry).collect::<Vec<_>>() })
    }
}

impl Plan<'_> {
    /// What only plans for x86 have; `None` for others.
    #[must_use]
    pub fn x86(&self) -> Option<&X86Plan> {
        match &self.target {
            TargetPlan::X86(plan) => Some(plan),
            _ => None,
        }
    }
}
