//! ppc64 on machines with device trees of firmware (LoPAPR, OPAL): little-endian kernels, the tree
//! its capture kernel is given, and what its kernels ask of a load.

mod handover;
mod kernel;
mod layout;
mod lmb;
mod rules;

use alloc::format;
use alloc::string::{String, ToString};

use kdump_elf::{Endian, PhysRange, VmcoreInfo, align_down, align_up};

use super::device_tree::DeviceTree;
use super::{Target, TargetPlan};
use crate::machine::Remark;
use crate::plan::Plan;
use crate::{Error, Machine, MachineFiles, RangeSet, room};

/// The tree of /proc/device-tree, flattened when the machine was read: unlike
/// /sys/firmware/fdt it is the present one.
pub(crate) const TREE: &str = "sys/firmware/devicetree.dtb";

/// ppc64.
pub(super) const PPC64: Target = Target {
    describe,
    lay_out: layout::lay_out,
    segment_limit: rules::segment_limit,
    control_pages: rules::control_pages,
    plan_rules: &rules::PLAN_RULES,
};

fn describe(machine: &mut Machine, files: &MachineFiles, _: Option<&VmcoreInfo<'_>>) {
    let read = files.get(TREE).map(|bytes| {
        machine.device_tree = room::copy("device tree", bytes).ok();
        read_tree(machine, bytes)
    });
    let text = match read {
        Some(Err(why)) => format!("cannot be used: {why}"),
        None => String::from("is not there"),
        Some(Ok(())) if machine.crash_regions.is_empty() => String::from(
            "names no crash region (linux,crashkernel-base and linux,crashkernel-size in /chosen)",
        ),
        Some(Ok(())) => return,
    };
    // Why it could not be read is told already.
    if machine.remarks.iter().all(|remark| remark.path != TREE) {
        machine.remarks.push(Remark { path: TREE.to_string(), text });
    }
}

/// The crash region, where /proc/iomem does not show it (powerpc kernels before 6.9), and firmware.
fn read_tree(machine: &mut Machine, bytes: &[u8]) -> Result<(), Error> {
    let tree = DeviceTree::parse(bytes)?;
    if machine.crash_regions.is_empty() {
        let told = |name| number(tree.property(b"chosen", name)?);
        let region = told("linux,crashkernel-base").zip(told("linux,crashkernel-size"));
        let region = region.and_then(|(start, size)| PhysRange::from_len(start, size).ok());
        machine.crash_regions.extend(region);
    }
    let page = machine.page_size;
    let whole = |range: PhysRange| {
        let end = align_up(range.end(), page)?;
        PhysRange::from_half_open(align_down(range.start(), page), end).ok()
    };
    let firmware = RangeSet::from_ranges(firmware(&tree).into_iter().flatten().filter_map(whole))?;
    machine.firmware = machine.crash_set()?.intersect(&firmware)?;
    machine.crash_claimed = machine.crash_claimed.union(&machine.firmware)?;
    Ok(())
}

/// Where RTAS (LoPAPR, "RTAS") and OPAL keep their program and data.
fn firmware(tree: &DeviceTree<'_>) -> [Option<PhysRange>; 2] {
    let of = |node: &[u8], base, size| {
        let told = |name| number(tree.property(node, name)?);
        PhysRange::from_len(told(base)?, told(size)?).ok()
    };
    let rtas = of(b"rtas", "linux,rtas-base", "rtas-size");
    [rtas, of(b"ibm,opal", "opal-base-address", "opal-runtime-size")]
}

/// A number of one or two cells.
fn number(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => Endian::Big.read::<u32>(value, 0).map(u64::from),
        8 => Endian::Big.read(value, 0),
        _ => None,
    }
}

/// What only plans for ppc64 have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ppc64Plan {
    /// The memory the capture kernel is told of (`linux,usable-memory`).
    pub usable: PhysRange,
    /// What of it the capture kernel must not use (/memreserve/), ascending.
    pub reserved: RangeSet,
    /// The memory that is reached with the MMU off (LoPAPR, "Real Mode Area").
    pub real_mode_area: PhysRange,
}

impl Plan<'_> {
    /// What only plans for ppc64 have; `None` for other architectures.
    #[must_use]
    pub fn ppc64(&self) -> Option<&Ppc64Plan> {
        match &self.target {
            TargetPlan::Ppc64(plan) => Some(plan),
            _ => None,
        }
    }
}

impl Ppc64Plan {
    /// The dead kernel's memory is reserved, as the core header and the copy of low memory are.
    pub(super) fn capture_ram(&self) -> Result<RangeSet, Error> {
        RangeSet::from_ranges([self.usable])?.subtract(&self.reserved)
    }

    #[cfg(feature = "json")]
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        let range = |range: PhysRange| json!({ "start": crate::plan::json::hex(range.start()), "size": range.size() });
        let reserved: serde_json::Value = self.reserved.iter().map(range).collect();
        json!({ "usable": [range(self.usable)], "reserved": reserved, "real_mode_area": range(self.real_mode_area) })
    }
}
