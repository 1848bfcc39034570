//! The tree the running kernel was booted with.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::DeviceTree;
use super::flatten::flatten;
use crate::machine::paths::{DEVICE_TREE, FDT};
use crate::machine::{MachineFiles, Remark};
use crate::room::{self, REMARKS};
use crate::{Error, Machine};

/// The flattened tree's bytes, as they are; without, a tree of the directories that show it.
pub(in crate::target) fn describe(machine: &mut Machine, files: &MachineFiles) {
    if let Some(bytes) = files.get(FDT) {
        let mut tree = Vec::new();
        machine.device_tree = tree.try_reserve_exact(bytes.len()).is_ok().then(|| {
            tree.extend_from_slice(bytes);
            tree
        });
        return;
    }
    let Some(made) = files.flattened_tree() else { return };
    let text = match made {
        Ok(tree) => {
            machine.device_tree = Some(tree);
            format!("serves for {FDT}, which cannot be read: which memory that tree reserves is not known")
        }
        Err(why) => format!("is no device tree: {why}"),
    };
    let remark = Remark { path: String::from(DEVICE_TREE), text };
    // A remark less is no other machine.
    let _ = room::push(&mut machine.remarks, REMARKS, remark);
}

impl MachineFiles {
    /// The tree that the directories below /proc/device-tree show, or why there is none; `None` without them.
    pub(crate) fn flattened_tree(&self) -> Option<Result<Vec<u8>, String>> {
        let dir = format!("{DEVICE_TREE}/");
        self.below(&dir).next()?;
        // On a machine of which a part could not be read, a capture kernel would miss devices.
        let lost = self.unreadable().find(|(path, _)| path.starts_with(&*dir));
        Some(match lost {
            Some((path, why)) => Err(format!("{path} could not be read: {why}")),
            None => flatten(self.below(&dir), &[], 0).map_err(|error| error.to_string()),
        })
    }
}

/// The tree the running kernel was booted with.
pub(crate) fn running_tree(machine: &Machine) -> Result<DeviceTree<'_>, Error> {
    let Some(bytes) = machine.device_tree.as_deref() else {
        let told = |path| machine.remarks.iter().find(|remark| remark.path == path);
        let why = told(DEVICE_TREE).or_else(|| told(FDT));
        let why = why.map_or_else(|| format!("{FDT} is not there"), ToString::to_string);
        let reason = format!(
            "{why}: the capture kernel is given the running one's tree, which only root may read; \
             record the machine again as root"
        );
        return Err(Error::Conflict { what: "device tree", reason });
    };
    DeviceTree::parse(bytes)
}
