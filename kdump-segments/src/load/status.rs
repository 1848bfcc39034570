//! Whether the machine is ready to take a dump, and what to do when it is not.

use std::path::Path;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::machine::{Root, read_text};
use crate::{Error, KexecState, Machine, MachineError};

/// The state of kdump on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the kernel shows.
    pub kexec: KexecState,
    /// The crash regions, ascending.
    pub regions: Vec<PhysRange>,
    /// What stands in the way of a dump, in sentences; empty when nothing does.
    pub advice: Vec<String>,
}

const NOT_SHOWN: &str = "the running kernel does not show whether a capture kernel is loaded: without /sys \
                         that is unknown (mount -t sysfs sysfs /sys)";

/// Where the state is shown, by newer and by older kernels.
pub(super) const CRASH_LOADED: [&str; 2] = ["sys/kernel/kexec/crash_loaded", "sys/kernel/kexec_crash_loaded"];
pub(super) const LOADED: [&str; 2] = ["sys/kernel/kexec/loaded", "sys/kernel/kexec_loaded"];
const CRASH_SIZE: [&str; 2] = ["sys/kernel/kexec/crash_size", "sys/kernel/kexec_crash_size"];

impl Status {
    /// Reads the state of the machine whose `proc` and `sys` are under `root`. Readers from
    /// whom the kernel hides addresses get everything but the regions.
    ///
    /// # Errors
    /// Those of [`Machine::collect`], but for hidden addresses.
    pub fn collect(root: &Path) -> Result<Self, Error> {
        match Machine::collect(root) {
            Ok(machine) => Ok(Self::new(&machine)),
            Err(why @ MachineError::AddressesHidden { .. }) => Ok(Self::without_regions(root, &why)),
            Err(why) => Err(why.into()),
        }
    }

    fn without_regions(root: &Path, why: &MachineError) -> Self {
        let root = Root::new(root);
        let number = |paths: [&str; 2]| {
            let text = paths.iter().find_map(|path| read_text(&root, path).ok())?;
            text.trim().parse::<u64>().ok()
        };
        let flag = |paths| number(paths).map(|value| value != 0);
        let kexec = KexecState {
            crash_loaded: flag(CRASH_LOADED),
            loaded: flag(LOADED),
            crash_size: number(CRASH_SIZE),
            ..KexecState::default()
        };
        let mut advice = alloc::vec![why.to_string()];
        match kexec.crash_loaded {
            Some(true) => {}
            Some(false) => advice.push(String::from("no capture kernel is loaded")),
            None => advice.push(String::from(NOT_SHOWN)),
        }
        Self { kexec, regions: Vec::new(), advice }
    }

    /// Reads the state from a machine's description.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        let mut advice = Vec::new();
        let mut say = |text: &str| advice.push(String::from(text));
        match (machine.crash_regions.is_empty(), machine.kexec.crash_loaded) {
            (true, None) => {
                say("the running kernel shows no kexec state: it may be built without CONFIG_CRASH_DUMP")
            }
            (true, _) if machine.cmdline.contains("crashkernel=") => say(
                "crashkernel= was given but no memory is reserved: the size or address could not be satisfied; \
                 look for crashkernel in the kernel log",
            ),
            (true, _) => {
                say("no memory is reserved: add crashkernel=256M to the kernel command line and reboot");
            }
            (false, Some(true)) => {}
            (false, Some(false)) => say("no capture kernel is loaded: run kdump load"),
            (false, None) => say(NOT_SHOWN),
        }
        let loaded = machine.kexec.crash_loaded == Some(true);
        if loaded && machine.kexec.cpu_hotplug == Some(false) {
            say(
                "after CPU or memory hot-plug load again: what is loaded does not follow it (kdump load --hotplug)",
            );
        }
        Self { kexec: machine.kexec, regions: machine.crash_regions.clone(), advice }
    }
}
