//! loongarch64: an ELF kernel that moves itself, and a command line that tells it everything. No guest of
//! it was tried; what is not known of its kernels is said as unknown.

mod image;
mod layout;
mod rules;

use alloc::vec::Vec;

use kdump_elf::PhysRange;

pub(crate) use image::moves_itself;

use super::{SegmentLimit, Target, TargetPlan};
use crate::plan::Plan;
use crate::{Error, RangeSet};

/// loongarch64. What its kernels take of the crash region for themselves is not known.
pub(super) const LOONGARCH64: Target = Target {
    describe: |_, _, _| (),
    lay_out: layout::lay_out,
    segment_limit: |_| SegmentLimit {
        refused: u64::MAX,
        taken: 0,
        between: "an address that the kernel reaches, of which no limit is known for loongarch64",
    },
    control_pages: |_| Ok(Vec::new()),
    plan_rules: &rules::PLAN_RULES,
};

/// What only plans for loongarch64 have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoongArch64Plan {
    /// The memory the capture kernel is told to use (`mem=` on its command line).
    pub usable: Vec<PhysRange>,
}

impl Plan<'_> {
    /// What only plans for loongarch64 have; `None` for others.
    #[must_use]
    pub fn loongarch64(&self) -> Option<&LoongArch64Plan> {
        match &self.target {
            TargetPlan::LoongArch64(plan) => Some(plan),
            _ => None,
        }
    }
}

impl LoongArch64Plan {
    /// All of it; the kernel itself keeps the core header out.
    pub(super) fn capture_ram(&self) -> Result<RangeSet, Error> {
        RangeSet::from_ranges(self.usable.iter().copied())
    }

    #[cfg(feature = "json")]
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let range = |range: &PhysRange| json!({ "start": crate::plan::json::hex(range.start()), "size": range.size() });
        json!({ "usable": self.usable.iter().map(range).collect::<Vec<_>>() })
    }
}
