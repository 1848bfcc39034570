//! Whether the machine is ready to take a dump, and what to do when it is not.

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::{KexecState, Machine};

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

impl Status {
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
            (false, _) => say("no capture kernel is loaded: run kdump load"),
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
