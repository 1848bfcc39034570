//! What only plans with a device tree have.

use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::plan::Plan;
use crate::target::TargetPlan;
use crate::{Error, RangeSet};

/// What only plans have whose kernel is told everything by a device tree: those for arm64 and riscv64.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceTreePlan {
    /// The memory the capture kernel is told to use, the region it is loaded into first
    /// (`linux,usable-memory-range`).
    pub usable: Vec<PhysRange>,
    /// Bytes from a multiple of 2 MiB to the kernel.
    pub text_offset: u64,
}

impl Plan<'_> {
    /// What only plans with a device tree have; `None` for others.
    #[must_use]
    pub fn device_tree(&self) -> Option<&DeviceTreePlan> {
        match &self.target {
            TargetPlan::DeviceTree(plan) => Some(plan),
            _ => None,
        }
    }
}

impl DeviceTreePlan {
    /// All of it; the kernel itself keeps the core header out.
    pub(in crate::target) fn capture_ram(&self) -> Result<RangeSet, Error> {
        RangeSet::from_ranges(self.usable.iter().copied())
    }

    #[cfg(feature = "json")]
    pub(in crate::target) fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let range = |range: &PhysRange| json!({ "start": crate::plan::json::hex(range.start()), "size": range.size() });
        json!({
            "usable": self.usable.iter().map(range).collect::<Vec<_>>(),
            "text_offset": crate::plan::json::hex(self.text_offset),
        })
    }
}
