//! arm64: its image, the device tree its capture kernel is given, and what its kernels ask of a load.

mod handover;
mod image;
mod layout;
mod rules;

use alloc::vec::Vec;

use kdump_elf::{PhysRange, VmcoreInfo};

pub use image::Arm64Image;
pub(super) use rules::PLAN_RULES;

use super::{Target, TargetPlan};
use crate::machine::paths::CPUINFO;
use crate::plan::Plan;
use crate::{Error, Machine, MachineFiles, RangeSet};

/// The flattened tree the running kernel was booted with (Documentation/ABI/testing/sysfs-firmware-ofw).
pub(crate) const FDT: &str = "sys/firmware/fdt";

/// arm64.
pub(super) const ARM64: Target = Target {
    describe,
    lay_out: layout::lay_out,
    segment_limit: rules::segment_limit,
    control_pages: rules::control_pages,
};

fn describe(machine: &mut Machine, files: &MachineFiles, _: Option<&VmcoreInfo<'_>>) {
    machine.device_tree = files.get(FDT).and_then(|bytes| {
        let mut tree = Vec::new();
        tree.try_reserve_exact(bytes.len()).ok()?;
        tree.extend_from_slice(bytes);
        Some(tree)
    });
    machine.sha_instructions = files.get(CPUINFO).is_some_and(sha_instructions);
}

/// Whether every CPU that is listed has the instructions of SHA-256
/// (Documentation/arch/arm64/elf_hwcaps.rst, HWCAP_SHA2).
fn sha_instructions(cpuinfo: &[u8]) -> bool {
    let (mut cpus, mut able) = (0_u64, 0_u64);
    for line in cpuinfo.split(|&byte| byte == b'\n') {
        let has = |name: &[u8]| line.split(u8::is_ascii_whitespace).any(|word| word == name);
        cpus = cpus.saturating_add(u64::from(line.starts_with(b"processor")));
        able = able.saturating_add(u64::from(line.starts_with(b"Features") && has(b"sha2")));
    }
    cpus != 0 && cpus == able
}

/// What only plans for arm64 have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arm64Plan {
    /// The memory the capture kernel is told to use, the region it is loaded into first
    /// (`linux,usable-memory-range`).
    pub usable: Vec<PhysRange>,
    /// Bytes from a multiple of 2 MiB to the kernel.
    pub text_offset: u64,
}

impl Plan<'_> {
    /// What only plans for arm64 have; `None` for other architectures.
    #[must_use]
    pub fn arm64(&self) -> Option<&Arm64Plan> {
        match &self.target {
            TargetPlan::Arm64(plan) => Some(plan),
            _ => None,
        }
    }
}

impl Arm64Plan {
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
