//! Whether the machine is ready to take a dump, and what to do when it is not.

use std::path::Path;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::capture_need::Fit;
use crate::machine::{Root, read_text};
use crate::{Error, KexecState, Machine, MachineError};

/// What `kdump load` notes about a load, since the kernel shows only that something is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadRecord {
    /// Bytes the capture kernel is estimated to need.
    pub need: u64,
    /// Bytes it is given.
    pub room: u64,
    /// Bytes of the region it was loaded into.
    pub reserved: u64,
    /// The file of the kernel.
    pub kernel: String,
    /// The file of the initial ramdisk.
    pub initrd: Option<String>,
}

/// The state of kdump on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What the kernel shows.
    pub kexec: KexecState,
    /// The crash regions, ascending.
    pub regions: Vec<PhysRange>,
    /// What was noted when it was loaded; `None` when nothing is loaded, or not by `kdump load`.
    pub record: Option<LoadRecord>,
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
        let state = match Machine::collect(root) {
            Ok(machine) => Self::new(&machine),
            Err(why @ MachineError::AddressesHidden { .. }) => Self::without_regions(root, &why),
            Err(why) => return Err(why.into()),
        };
        Ok(match LoadRecord::read(root) {
            Some(record) => state.with_record(record),
            None => state,
        })
    }

    /// Adds what was noted at the load. A note about a region of another size is about another
    /// load.
    fn with_record(mut self, record: LoadRecord) -> Self {
        let reserved = self.kexec.crash_size.or_else(|| self.regions.last().map(|region| region.size()));
        if self.kexec.crash_loaded != Some(true) || reserved.is_some_and(|size| size != record.reserved) {
            return self;
        }
        if record.fit() == Fit::Unlikely {
            self.advice.push(alloc::format!(
                "the capture kernel is unlikely to boot: {} needs about {} MiB, the region has {} MiB; \
                 kdump plan --suggest prints the crashkernel= to set",
                record.kernel,
                record.need.div_ceil(1 << 20),
                record.room >> 20
            ));
        }
        self.record = Some(record);
        self
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
        Self { kexec, regions: Vec::new(), record: None, advice }
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
                say(
                    "no memory is reserved: add crashkernel=256M, or what kdump plan --suggest prints, to the kernel command line and reboot",
                );
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
        Self { kexec: machine.kexec, regions: machine.crash_regions.clone(), record: None, advice }
    }
}
