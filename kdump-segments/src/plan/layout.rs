//! First phase of planning: what goes where, with everything encoded but the purgatory.

use alloc::format;
use alloc::string::String;

use kdump_elf::PhysRange;

use super::builder::Images;
use super::need::NeedFacts;
use super::{Plan, PlanInputs, too_small};
use crate::capture_need::CaptureNeed;
use crate::purgatory::{BackupCopy, Entry, MismatchAction, Serial};
use crate::room::{self, REMARKS};
use crate::segment::Segment;
use crate::target::Target;
use crate::{Error, Machine, RangeSet};

/// A plan whose purgatory is not linked yet.
#[derive(Clone, Debug)]
pub struct Layout<'a> {
    /// The plan so far: its entry is unset and its purgatory segment empty.
    pub(crate) draft: Plan<'a>,
    pub(crate) purgatory: PhysRange,
    pub(crate) entry: Entry,
    pub(crate) backup: Option<BackupCopy>,
    pub(crate) serial: Option<Serial>,
    pub(crate) sha_instructions: bool,
    pub(crate) caches: bool,
    pub(crate) on_mismatch: MismatchAction,
    pub(crate) facts: NeedFacts,
}

impl<'a> Layout<'a> {
    /// Places every part and encodes the ELF core header, the command line and what else the
    /// capture kernel is told. Takes time proportional to the number of memory ranges and CPUs (and their
    /// logarithm), and to the number of files and compressed blocks in the ramdisk, whose sizes are
    /// read; images are borrowed and not read through, but for a ramdisk by gzip, in which the
    /// members are searched.
    ///
    /// # Errors
    /// [`Error::NoCrashRegion`], [`Error::NoRoom`] naming all parts and what is missing,
    /// [`Error::CommandLineTooLong`], [`Error::TooMany`], [`Error::Conflict`] for options that
    /// cannot be honoured, and the errors of the kernel image.
    pub fn new(inputs: &PlanInputs<'a>) -> Result<Self, Error> {
        let arch = inputs.machine.arch;
        let target = Target::of(arch).ok_or_else(|| Error::Conflict {
            what: "architecture",
            reason: format!("planning a load for {} is not supported", arch.name()),
        })?;
        let purgatory = inputs.purgatory.arch();
        if purgatory != arch {
            let reason = format!("it is for {}, the machine is {}", purgatory.name(), arch.name());
            return Err(Error::Conflict { what: "purgatory", reason });
        }
        check_notes(inputs.machine)?;
        let region = inputs.machine.load_region().ok_or_else(|| inputs.machine.why_no_region())?;
        let images = Images::read(inputs)?;
        (target.lay_out)(inputs, &images, region)
            .or_else(|error| Err(too_small::explain(target, inputs, &images, region, error)?))
    }

    /// What the capture kernel would need were it given `ram`; `None` where no estimate can be
    /// made.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn need_in(&self, ram: &RangeSet) -> Result<Option<CaptureNeed>, Error> {
        self.facts.need(ram)
    }

    /// The segments, by address; the purgatory has no content yet.
    #[must_use]
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.draft.segments
    }
}

/// Without a PT_NOTE the capture kernel exports no /proc/vmcore.
fn check_notes(machine: &Machine) -> Result<(), Error> {
    const PATHS: [&str; 2] = ["sys/devices/system/cpu", "sys/kernel/vmcoreinfo"];
    if !machine.cpu_notes.is_empty() || machine.vmcoreinfo.is_some() {
        return Ok(());
    }
    let mut reason = String::from("no PT_NOTE, without which there is no /proc/vmcore: ");
    let said = machine.remarks.iter().filter(|note| PATHS.iter().any(|path| note.path.starts_with(path)));
    let mut between = "";
    for note in said {
        room::print(&mut reason, REMARKS, format_args!("{between}{note}"))?;
        between = "; ";
    }
    if between.is_empty() {
        reason.push_str("the machine has none");
    }
    Err(Error::Conflict { what: "elfcorehdr", reason })
}
