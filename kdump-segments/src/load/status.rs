//! Whether the machine is ready to take a dump, and what to do when it is not.

use core::fmt;
use std::path::Path;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use crate::capture_need::{CaptureNeed, Fit};
use crate::machine::{Root, read_text};
use crate::{Error, KexecState, Machine};

/// What a loader notes about a load, since the kernel shows only that something is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl LoadRecord {
    /// What `need` says of a load into a region of `reserved` bytes, without an initial ramdisk.
    #[must_use]
    pub fn new(need: &CaptureNeed, reserved: u64, kernel: String) -> Self {
        Self { need: need.total(), room: need.room, reserved, kernel, initrd: None }
    }
}

setters! {
    LoadRecord {
        initrd: Option<String>,
    }
}

/// The state of kdump on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What the kernel shows.
    pub kexec: KexecState,
    /// The crash regions, ascending.
    pub regions: Vec<PhysRange>,
    /// What was noted when it was loaded; `None` when nothing is loaded, or not by a loader that notes it.
    pub record: Option<LoadRecord>,
    /// What stands in the way of a dump; empty when nothing does.
    pub advice: Vec<Advice>,
}

/// Something that stands in the way of a dump. Its text says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// The reader is not shown where the crash regions lie.
    RegionsHidden {
        /// Why, and who is shown it.
        why: String,
    },
    /// The kernel shows no kexec state, and no region is reserved.
    NoKexec,
    /// `crashkernel=` is on the command line, and nothing is reserved.
    ReservationFailed,
    /// Nothing is reserved, and nothing asks for it.
    NotReserved,
    /// Memory is reserved, and no capture kernel is loaded.
    NotLoaded,
    /// The kernel does not show whether a capture kernel is loaded.
    NotShown,
    /// What is loaded describes the CPUs and the memory of the time of the load.
    NotFollowed,
    /// What is loaded has less memory than it is estimated to need.
    Unlikely {
        /// The file of the kernel.
        kernel: String,
        /// Bytes it is estimated to need.
        need: u64,
        /// Bytes it is given.
        room: u64,
    },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RegionsHidden { why } => why,
            Self::NoKexec => {
                "the running kernel shows no kexec state: it may be built without CONFIG_CRASH_DUMP"
            }
            Self::ReservationFailed => {
                "crashkernel= was given but no memory is reserved: the size or address could not be satisfied; \
                 look for crashkernel in the kernel log"
            }
            Self::NotReserved => {
                "no memory is reserved: add crashkernel=, for example crashkernel=256M, to the kernel command \
                 line and reboot"
            }
            Self::NotLoaded => "no capture kernel is loaded",
            Self::NotShown => {
                "the running kernel does not show whether a capture kernel is loaded: without /sys that is \
                 unknown (mount -t sysfs sysfs /sys)"
            }
            Self::NotFollowed => {
                "after CPU or memory hot-plug load again: what is loaded does not follow it"
            }
            Self::Unlikely { kernel, need, room } => {
                return write!(
                    f,
                    "the capture kernel is unlikely to boot: {kernel} needs about {} MiB, the region has {} MiB",
                    need.div_ceil(1 << 20),
                    room >> 20
                );
            }
        })
    }
}

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
            Err(why @ Error::AddressesHidden { .. }) => Self::without_regions(root, &why),
            Err(why) => return Err(why),
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
            let (kernel, need, room) = (record.kernel.clone(), record.need, record.room);
            self.advice.push(Advice::Unlikely { kernel, need, room });
        }
        self.record = Some(record);
        self
    }

    fn without_regions(root: &Path, why: &Error) -> Self {
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
        let mut advice = alloc::vec![Advice::RegionsHidden { why: why.to_string() }];
        advice.extend(not_loaded(&kexec));
        Self { kexec, regions: Vec::new(), record: None, advice }
    }

    /// Reads the state from a machine's description.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        let mut advice = Vec::new();
        match (machine.crash_regions.is_empty(), machine.kexec.crash_loaded) {
            (true, None) => advice.push(Advice::NoKexec),
            (true, _) if machine.cmdline.contains("crashkernel=") => advice.push(Advice::ReservationFailed),
            (true, _) => advice.push(Advice::NotReserved),
            (false, _) => advice.extend(not_loaded(&machine.kexec)),
        }
        let loaded = machine.kexec.crash_loaded == Some(true);
        if loaded && machine.kexec.cpu_hotplug == Some(false) {
            advice.push(Advice::NotFollowed);
        }
        Self { kexec: machine.kexec, regions: machine.crash_regions.clone(), record: None, advice }
    }
}

fn not_loaded(kexec: &KexecState) -> Option<Advice> {
    match kexec.crash_loaded {
        Some(true) => None,
        Some(false) => Some(Advice::NotLoaded),
        None => Some(Advice::NotShown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The note of another load would be a lie about this one.
    #[test]
    fn a_note_is_believed_of_what_is_loaded_in_its_region_only() {
        let status = |crash_loaded, crash_size| Status {
            kexec: KexecState { crash_loaded, crash_size, ..KexecState::default() },
            regions: Vec::new(),
            record: None,
            advice: Vec::new(),
        };
        let record =
            LoadRecord { need: 3, room: 2, reserved: 1 << 20, kernel: String::from("k"), initrd: None };
        let with = |status: Status| status.with_record(record.clone());
        let believed = with(status(Some(true), Some(1 << 20)));
        assert_eq!((believed.record.as_ref(), believed.advice.len()), (Some(&record), 1));
        for other in [(Some(true), Some(2 << 20)), (Some(false), Some(1 << 20)), (None, Some(1 << 20))] {
            let other = with(status(other.0, other.1));
            assert_eq!((other.record, other.advice.len()), (None, 0));
        }
    }
}
