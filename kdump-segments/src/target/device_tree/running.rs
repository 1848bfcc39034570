//! The tree the running kernel was booted with.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::DeviceTree;
use crate::{Error, Machine, MachineFiles};

/// The flattened tree (Documentation/ABI/testing/sysfs-firmware-ofw).
const FDT: &str = "sys/firmware/fdt";

/// The tree's bytes, as they are.
pub(in crate::target) fn describe(machine: &mut Machine, files: &MachineFiles) {
    machine.device_tree = files.get(FDT).and_then(|bytes| {
        let mut tree = Vec::new();
        tree.try_reserve_exact(bytes.len()).ok()?;
        tree.extend_from_slice(bytes);
        Some(tree)
    });
}

/// The tree the running kernel was booted with.
pub(crate) fn running_tree(machine: &Machine) -> Result<DeviceTree<'_>, Error> {
    let Some(bytes) = machine.device_tree.as_deref() else {
        let told = machine.remarks.iter().find(|remark| remark.path == FDT);
        let why = told.map_or_else(|| String::from("is not there"), |remark| remark.text.clone());
        let reason = format!(
            "{FDT} {why}: the capture kernel is given the running one's tree, which only root may read; \
             record the machine again as root"
        );
        return Err(Error::Conflict { what: "device tree", reason });
    };
    DeviceTree::parse(bytes)
}
