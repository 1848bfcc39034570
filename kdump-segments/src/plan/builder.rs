//! The parts every target places in the same way, and how a layout is finished.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::PhysRange;

use super::command_line;
use super::need::{NeedFacts, capture_ram};
use super::{KexecFlags, Layout, Plan, PlanInputs};
use crate::capture_need::{Fit, InitrdSize, within_limit};
use crate::cmdline::CommandLine;
use crate::elfcorehdr::{ElfCoreHeader, LowMemory};
use crate::image::Image;
use crate::placement::{Direction, Placement, Request};
use crate::preflight::{Environment, control_pages};
use crate::purgatory::{BackupCopy, Entry};
use crate::room::{self, REMARKS};
use crate::segment::{Segment, SegmentKind};
use crate::target::{LowMemoryDecision, TargetPlan};
use crate::vmcore_prediction::VmcorePrediction;
use crate::{Error, Machine, RangeSet};

/// crash_elfcorehdr_size counts program headers only; the file header comes on top.
const EHDR_SIZE: u64 = 64;
/// More sentences than a plan has of its own.
const OWN_REMARKS: usize = 64;
/// For parts that may lie anywhere.
pub(crate) const NO_LIMIT: u64 = u64::MAX;

/// What was read of the image files, once.
pub(crate) struct Images<'a> {
    pub(crate) kernel: Image<'a>,
    initrd: Option<InitrdSize>,
}

impl<'a> Images<'a> {
    pub(crate) fn read(inputs: &PlanInputs<'a>) -> Result<Self, Error> {
        Ok(Self {
            kernel: Image::parse(inputs.kernel, inputs.machine.page_size)?,
            initrd: inputs.initrd.filter(|bytes| !bytes.is_empty()).map(InitrdSize::of),
        })
    }
}

/// What is known while the parts are placed one after the other. The order in which a target
/// asks for them decides their addresses.
pub(crate) struct Builder<'i, 'a> {
    pub(crate) inputs: &'i PlanInputs<'a>,
    pub(crate) images: &'i Images<'a>,
    pub(crate) placement: Placement,
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Vec<String>,
    region: PhysRange,
    segments: Vec<Segment<'a>>,
}

/// What a target has decided when all parts have a place.
pub(crate) struct Parts {
    pub(crate) low_memory: LowMemory,
    pub(crate) elfcorehdr: ElfCoreHeader,
    /// Where the purgatory will be linked.
    pub(crate) purgatory: PhysRange,
    /// Where the purgatory goes.
    pub(crate) entry: Entry,
    pub(crate) cmdline: CommandLine,
    pub(crate) cmdline_limit: u64,
    /// What only this target's plans have.
    pub(crate) target: TargetPlan,
}

impl<'i, 'a> Builder<'i, 'a> {
    /// Begins with all of `region`, whatever the machine has, that options and the machine leave.
    pub(crate) fn new(
        inputs: &'i PlanInputs<'a>,
        images: &'i Images<'a>,
        region: PhysRange,
    ) -> Result<Self, Error> {
        let placement = placement(inputs, region)?;
        let mut notes = room::collect(REMARKS, inputs.machine.remarks.iter().map(ToString::to_string))?;
        // What a plan itself has to say.
        room::reserve(&mut notes, REMARKS, OWN_REMARKS)?;
        let (segments, warnings) = (Vec::new(), Vec::new());
        Ok(Self { inputs, images, placement, notes, warnings, region, segments })
    }

    pub(crate) fn push(
        &mut self,
        kind: SegmentKind,
        range: PhysRange,
        data: Cow<'a, [u8]>,
    ) -> Result<(), Error> {
        room::push(&mut self.segments, "segments", Segment { kind, range, data })
    }

    /// Takes room as high as possible, from `min` to `max` inclusive.
    pub(crate) fn place_top(
        &mut self,
        part: &'static str,
        size: u64,
        min: u64,
        max: u64,
    ) -> Result<PhysRange, Error> {
        self.placement.place(&Request { part, size, align: 1, min, max, direction: Direction::TopDown })
    }

    /// Room for the copy of low memory, when there is to be one.
    pub(crate) fn backup(&mut self, decision: LowMemoryDecision) -> Result<LowMemory, Error> {
        let source = match decision {
            LowMemoryDecision::Use => return Ok(LowMemory::NotDumped),
            LowMemoryDecision::Keep => return Ok(LowMemory::AsIs),
            LowMemoryDecision::Save(source) => source,
        };
        let range = self.place_top("backup region", source.size(), 0, NO_LIMIT)?;
        self.push(SegmentKind::Backup, range, Cow::Borrowed(&[]))?;
        Ok(LowMemory::BackedUp { source, destination: range.start() })
    }

    /// The ELF core header, in a segment of at least `min_size` bytes.
    pub(crate) fn elfcorehdr(
        &mut self,
        low: LowMemory,
        min_size: u64,
    ) -> Result<(ElfCoreHeader, PhysRange), Error> {
        let class = match self.inputs.options.elf_class {
            Some(class) => class,
            None => ElfCoreHeader::class_for(self.inputs.machine)?,
        };
        let header = ElfCoreHeader::new(self.inputs.machine, low, class, &mut self.notes)?;
        let mut size = header.size().max(min_size);
        if self.inputs.options.hotplug {
            let wanted = self.inputs.machine.kexec.elfcorehdr_size.ok_or_else(|| Error::Conflict {
                what: "hot-plug",
                reason: String::from("the running kernel shows no crash_elfcorehdr_size"),
            })?;
            size = size.max(wanted.saturating_add(EHDR_SIZE));
        }
        let range = self.place_top("elfcorehdr", size, 0, NO_LIMIT)?;
        self.push(SegmentKind::Elfcorehdr, range, Cow::Owned(header.encode()?))?;
        Ok((header, range))
    }

    /// Room for the purgatory, from `min` to `max` inclusive; it is linked when all is sealed.
    pub(crate) fn purgatory(&mut self, min: u64, max: u64) -> Result<PhysRange, Error> {
        let (size, align) = (self.inputs.purgatory.memsz(), self.inputs.purgatory.align());
        let direction = Direction::TopDown;
        let request = Request { part: "purgatory", size, align, min, max, direction };
        let range = self.placement.place(&request)?;
        self.push(SegmentKind::Purgatory, range, Cow::Borrowed(&[]))?;
        Ok(range)
    }

    /// What the capture kernel must not use: the copy of low memory and its own header.
    pub(crate) fn kept_ranges(&self) -> Result<RangeSet, Error> {
        let kept =
            |segment: &&Segment<'_>| matches!(segment.kind, SegmentKind::Backup | SegmentKind::Elfcorehdr);
        RangeSet::from_ranges(self.segments.iter().filter(kept).map(|segment| segment.range))
    }

    /// The initial ramdisk, from `min` to `max` inclusive: its address and its bytes.
    pub(crate) fn initrd(&mut self, min: u64, max: u64) -> Result<Option<(u64, u64)>, Error> {
        let Some(bytes) = self.inputs.initrd else { return Ok(None) };
        if bytes.is_empty() {
            self.warnings.push(String::from("the initial ramdisk is empty and was left out"));
            return Ok(None);
        }
        let range = self.place_top("initrd", bytes.len() as u64, min, max)?;
        self.push(SegmentKind::Initrd, range, Cow::Borrowed(bytes))?;
        Ok(Some((range.start(), bytes.len() as u64)))
    }

    /// The user's text, or the running kernel's, with `added` behind it, at most `limit` bytes.
    pub(crate) fn command_line(&mut self, added: &[String], limit: u64) -> Result<CommandLine, Error> {
        let (machine, options) = (self.inputs.machine, self.inputs.options);
        command_line::build(machine, options, added, limit, &mut self.warnings)
    }

    /// Checks that what stays free is enough for the kernel, as `environment` knows it.
    pub(crate) fn check_control_pages(&self, environment: &Environment) -> Result<(), Error> {
        self.placement.check_control_pages(self.region, &control_pages(environment)?)
    }

    /// What is left when every part has its place.
    pub(crate) fn finish(mut self, parts: Parts) -> Result<Layout<'a>, Error> {
        let (machine, options) = (self.inputs.machine, self.inputs.options);
        self.sources();
        let pages = self.images.kernel.page_size().unwrap_or(machine.page_size);
        let vmcore = VmcorePrediction::with_page_size(machine, &parts.elfcorehdr, pages, &mut self.notes)?;
        let mut flags = KexecFlags::crash(machine.arch);
        flags.set(KexecFlags::UPDATE_ELFCOREHDR, options.hotplug);
        self.segments.sort_unstable_by_key(Segment::mem);
        let Images { kernel, initrd } = self.images;
        let defects = initrd.iter().flat_map(|initrd| initrd.defects.iter().cloned());
        room::extend(&mut self.warnings, REMARKS, defects)?;
        let facts = NeedFacts::new(self.inputs, kernel, initrd.clone(), &self.segments, &parts.cmdline)?;
        let need = facts.need(&capture_ram(machine)?)?;
        room::extend(&mut self.warnings, REMARKS, limited_memory(&parts.cmdline, machine)?)?;
        room::extend(&mut self.notes, REMARKS, self.warnings.iter().cloned())?;
        let short = need.iter().filter(|need| need.fit() != Fit::Enough).map(ToString::to_string);
        room::extend(&mut self.notes, REMARKS, short)?;
        Ok(Layout {
            purgatory: parts.purgatory,
            entry: parts.entry,
            backup: backup_copy(parts.low_memory),
            serial: options.serial,
            sha_instructions: machine.sha_instructions,
            caches: options.purgatory_caches,
            on_mismatch: options.on_mismatch,
            draft: Plan {
                arch: machine.arch,
                entry: 0,
                flags,
                segments: self.segments,
                elfcorehdr: parts.elfcorehdr,
                vmcore,
                cmdline: parts.cmdline,
                low_memory: parts.low_memory,
                region: self.region,
                leftover: self.placement.free().total(),
                cmdline_limit: parts.cmdline_limit,
                target: parts.target,
                need,
                remarks: self.notes,
                warnings: self.warnings,
            },
            facts,
        })
    }

    /// Which of several possible sources each value was taken from.
    fn sources(&mut self) {
        let machine = self.inputs.machine;
        if let Some(text) = &machine.kernel.text {
            self.notes.push(alloc::format!("kernel image mapping: from {}", text.source));
        }
        if let Some(base) = &machine.kernel.direct_map_base {
            self.notes.push(alloc::format!("direct map base: from {}", base.source));
        }
        if let Some(rsdp) = &machine.rsdp {
            self.notes.push(alloc::format!("ACPI root pointer: from {}", rsdp.source));
        }
        self.notes.push(String::from(match machine.sha_instructions {
            true => "digest: with the SHA instructions, which every CPU has by proc/cpuinfo",
            false => "digest: without SHA instructions: proc/cpuinfo does not show them for every CPU, or the purgatory has no use for them",
        }));
    }
}

fn placement(inputs: &PlanInputs<'_>, region: PhysRange) -> Result<Placement, Error> {
    let (min, max) = (inputs.options.mem_min.unwrap_or(0), inputs.options.mem_max.unwrap_or(u64::MAX));
    // A range cannot hold the last address; no region does.
    let window = PhysRange::from_inclusive(min, max.min(u64::MAX - 1)).ok();
    let window = window.and_then(|window| window.intersection(region));
    let window = window.ok_or_else(|| Error::Conflict {
        what: "mem-min and mem-max",
        reason: alloc::format!("{min:#x} to {max:#x} holds nothing of the crash region {region}"),
    })?;
    Placement::new(window, &inputs.machine.crash_claimed, inputs.machine.page_size)
}

/// What `mem=` takes from the capture kernel.
fn limited_memory(cmdline: &CommandLine, machine: &Machine) -> Result<Option<String>, Error> {
    let ram = capture_ram(machine)?;
    let left = within_limit(cmdline, machine.arch, &ram)?;
    Ok((left != ram).then(|| {
        let (left, all) = (left.total() >> 20, ram.total() >> 20);
        alloc::format!(
            "mem= on the command line leaves the capture kernel {left} MiB of the {all} MiB it is given"
        )
    }))
}

fn backup_copy(low: LowMemory) -> Option<BackupCopy> {
    match low {
        LowMemory::BackedUp { source, destination } => {
            let (source, size) = (source.start(), source.size());
            Some(BackupCopy { source, size, destination })
        }
        LowMemory::NotDumped | LowMemory::AsIs => None,
    }
}
