//! What of a layout decides how much memory the capture kernel needs.

use alloc::string::String;

use kdump_elf::{Arch, PhysRange};

use super::PlanInputs;
use crate::capture_need::{Basis, CaptureNeed, InitrdSize, NeedInputs, kernel_size};
use crate::cmdline::CommandLine;
use crate::elfcorehdr::low_ram;
use crate::image::Image;
use crate::segment::{Segment, SegmentKind};
use crate::{Error, Machine, MemoryKind, RangeSet};

/// Bytes of what is loaded beside the images when the running kernel lays it out.
const OTHER_PARTS: u64 = 1 << 20;

/// The facts, which do not depend on the region.
#[derive(Clone, Debug)]
pub(crate) struct NeedFacts {
    arch: Arch,
    kernel: (u64, Basis, String),
    initrd: Option<InitrdSize>,
    cpus: u64,
    parts: (u64, Basis),
    cmdline: CommandLine,
    page_size: u64,
    machine_last: u64,
}

impl NeedFacts {
    pub(crate) fn new(
        inputs: &PlanInputs<'_>,
        image: &Image<'_>,
        initrd: Option<InitrdSize>,
        segments: &[Segment<'_>],
        cmdline: &CommandLine,
    ) -> Result<Self, Error> {
        let other = |kind| !matches!(kind, SegmentKind::Kernel | SegmentKind::Initrd);
        let parts = segments.iter().filter(|segment| other(segment.kind)).map(Segment::memsz);
        Ok(Self {
            arch: inputs.machine.arch,
            kernel: kernel_size(inputs.machine, image, inputs.kernel),
            initrd,
            cpus: inputs.machine.cpu_notes.len() as u64,
            parts: (parts.fold(0, u64::saturating_add), Basis::Exact),
            cmdline: cmdline.try_clone()?,
            page_size: image.page_size().unwrap_or(inputs.machine.page_size),
            machine_last: ram_end(inputs.machine).saturating_sub(1),
        })
    }

    /// The need of a capture kernel that is given `ram`.
    pub(crate) fn need(&self, ram: &RangeSet) -> Result<Option<CaptureNeed>, Error> {
        CaptureNeed::estimate(&NeedInputs {
            arch: self.arch,
            kernel: self.kernel.clone(),
            initrd: self.initrd.as_ref(),
            cpus: self.cpus,
            parts: self.parts,
            cmdline: &self.cmdline,
            ram,
            page_size: Some(self.page_size),
            machine_last: self.machine_last,
        })
    }
}

impl CaptureNeed {
    /// The need of images that the running kernel places itself (kexec_file_load(2)) in the crash
    /// regions `machine` has; `None` for an architecture whose kernels were not measured.
    ///
    /// # Errors
    /// Those of [`Image::parse`], [`Error::OutOfMemory`].
    pub fn of_images(
        machine: &Machine,
        kernel: &[u8],
        initrd: Option<&[u8]>,
        cmdline: &CommandLine,
    ) -> Result<Option<Self>, Error> {
        let image = Image::parse(kernel, machine.page_size)?;
        let facts = NeedFacts {
            arch: machine.arch,
            kernel: kernel_size(machine, &image, kernel),
            initrd: initrd.map(InitrdSize::of),
            cpus: machine.cpu_notes.len() as u64,
            parts: (OTHER_PARTS, Basis::Estimated),
            cmdline: cmdline.try_clone()?,
            page_size: image.page_size().unwrap_or(machine.page_size),
            machine_last: ram_end(machine).saturating_sub(1),
        };
        facts.need(&capture_ram(machine)?)
    }
}

/// The RAM a capture kernel has on `machine`: crash regions and CMA memory without what is
/// claimed there, and low memory.
pub(crate) fn capture_ram(machine: &Machine) -> Result<RangeSet, Error> {
    let regions = machine.crash_set()?.union(&machine.cma_ranges)?;
    regions.intersect(&machine.ram()?)?.subtract(&machine.crash_claimed)?.union(&low_ram(machine)?)
}

/// Behind the highest address of RAM.
fn ram_end(machine: &Machine) -> u64 {
    machine.memory.of_kind(MemoryKind::Ram).next_back().map_or(0, PhysRange::end)
}
