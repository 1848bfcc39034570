//! The layout of an x86 crash load, part by part.

pub mod boot_params;
mod bzimage;
mod capture_map;
pub(crate) mod cpu_features;
pub mod e820;
mod handover;
mod kernel;
mod low_memory;
mod paging;
pub mod setup_data;
mod setup_header;

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::{Class, PhysRange};

pub use bzimage::BzImage;
pub use capture_map::capture_map;
pub use low_memory::{Decision as LowMemoryDecision, decide as decide_low_memory};
pub use setup_header::SetupHeader;

use capture_map::firmware_map;
use e820::E820Entry;
use low_memory::{Decision, decide};

use crate::capture_need::{Fit, InitrdSize, below_limit};
use crate::cmdline::CommandLine;
use crate::elfcorehdr::{ElfCoreHeader, LowMemory};
use crate::image::Image;
use crate::placement::{Direction, Placement, Request};
use crate::plan::need::{NeedFacts, capture_ram};
use crate::plan::too_small;
use crate::plan::{KexecFlags, Layout, Plan, PlanInputs};
use crate::preflight::{Environment, control_pages};
use crate::purgatory::BackupCopy;
use crate::segment::{Segment, SegmentKind};
use crate::vmcore_prediction::VmcorePrediction;
use crate::{Error, RangeSet};
use handover::LOW_MIN;
use kernel::{KernelEntry, check_32bit_reach, entry_is_32bit, initrd_limit, target};

/// Least size of the elfcorehdr segment, as other loaders make it on x86.
const ELFCOREHDR_MIN: u64 = 16 << 10;
/// crash_elfcorehdr_size counts program headers only; the file header comes on top.
const EHDR_SIZE: u64 = 64;
const INITRD_MIN: u64 = 16 << 20;
/// Highest byte of a purgatory that leaves long mode.
const PURGATORY_MAX_32: u64 = 0x7fff_ffff;
const POINTER_MAX_32: u64 = 0xffff_ffff;
const NO_LIMIT: u64 = u64::MAX;

/// What is known while the parts are placed one after the other.
struct Builder<'i, 'a> {
    inputs: &'i PlanInputs<'a>,
    image: Image<'a>,
    bits32: bool,
    placement: Placement,
    segments: Vec<Segment<'a>>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

/// What the parts placed have told.
struct Parts {
    low_memory: LowMemory,
    elfcorehdr: ElfCoreHeader,
    purgatory: PhysRange,
    boot_params: PhysRange,
    kernel: KernelEntry,
    initrd: Option<(u64, u64)>,
    setup_data: u64,
    efi_map: Option<(u64, u32)>,
    cmdline: CommandLine,
    e820: Vec<E820Entry>,
}

/// What was read of the image files, once.
pub(crate) struct Images<'a> {
    kernel: Image<'a>,
    initrd: Option<InitrdSize>,
}

/// Lays out an x86 load.
pub(crate) fn lay_out<'a>(inputs: &PlanInputs<'a>) -> Result<Layout<'a>, Error> {
    let region = inputs.machine.load_region().ok_or_else(|| inputs.machine.why_no_region())?;
    let images = Images {
        kernel: Image::parse(inputs.kernel, inputs.machine.page_size)?,
        initrd: inputs.initrd.filter(|bytes| !bytes.is_empty()).map(InitrdSize::of),
    };
    lay_out_in(inputs, &images, region).map_err(|error| too_small::explain(inputs, &images, region, error))
}

/// Lays out in `region`, whatever the machine has.
pub(crate) fn lay_out_in<'a>(
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Result<Layout<'a>, Error> {
    let Images { kernel: image, initrd } = images;
    let bits32 = entry_is_32bit(image, inputs)?;
    if bits32 {
        check_32bit_reach(image, inputs, region)?;
    }
    let placement = placement(inputs, region)?;
    let notes = inputs.machine.notes.iter().map(ToString::to_string).collect();
    let image = image.clone();
    let mut builder =
        Builder { inputs, image, bits32, placement, segments: Vec::new(), notes, warnings: Vec::new() };
    let parts = builder.place_parts(region)?;
    builder.write_boot_params(&parts);
    builder.sources();
    builder.finish(region, parts, initrd.clone())
}

impl<'a> Builder<'_, 'a> {
    /// The order of the parts decides their addresses: backup, elfcorehdr, purgatory,
    /// boot_params, kernel and initrd from the top of the region, setup_data at its bottom. What
    /// stays free lies low, where the kernel looks for its control pages.
    fn place_parts(&mut self, region: PhysRange) -> Result<Parts, Error> {
        let machine = self.inputs.machine;
        let low_memory = self.backup()?;
        let (elfcorehdr, header_range) = self.elfcorehdr(low_memory)?;
        let purgatory = self.purgatory()?;
        let capture = capture_map(machine, low_memory, &self.kept_ranges());
        let efi = self.efi();
        let cmdline = self.command_line(header_range.start(), &capture, efi.is_some())?;
        let e820 = if self.inputs.options.memmap_cmdline { firmware_map(machine)? } else { capture };
        let boot_params = self.reserve_boot_params(&cmdline)?;
        let kernel = self.kernel()?;
        let initrd = self.initrd()?;
        let (setup_data, efi_map) = self.setup_data(&e820, efi)?;
        self.control_pages(region)?;
        Ok(Parts {
            low_memory,
            elfcorehdr,
            purgatory,
            boot_params,
            kernel,
            initrd,
            setup_data,
            efi_map,
            cmdline,
            e820,
        })
    }

    /// A kernel without 1 GiB pages takes a page for each GiB. Where it is not known whether this
    /// one has them, preflight says so.
    fn control_pages(&self, region: PhysRange) -> Result<(), Error> {
        let mut environment = Environment::of_machine(self.inputs.machine);
        environment.gib_pages = environment.gib_pages.or(Some(true));
        self.placement.check_control_pages(region, &control_pages(&environment))
    }

    fn finish(
        mut self,
        region: PhysRange,
        parts: Parts,
        initrd: Option<InitrdSize>,
    ) -> Result<Layout<'a>, Error> {
        let (machine, options) = (self.inputs.machine, self.inputs.options);
        let vmcore = VmcorePrediction::new(machine, &parts.elfcorehdr, &mut self.notes)?;
        let mut flags = KexecFlags::crash(machine.arch);
        flags.set(KexecFlags::UPDATE_ELFCOREHDR, options.hotplug);
        self.segments.sort_by_key(Segment::mem);
        self.warnings.extend(initrd.iter().flat_map(|initrd| initrd.defects.iter().cloned()));
        let facts = NeedFacts::new(self.inputs, &self.image, initrd, &self.segments, &parts.cmdline);
        let need = facts.need(&capture_ram(machine));
        self.warnings.extend(limited_memory(&parts.cmdline, machine));
        self.notes.extend_from_slice(&self.warnings);
        self.notes.extend(need.iter().filter(|need| need.fit() != Fit::Enough).map(ToString::to_string));
        Ok(Layout {
            purgatory: parts.purgatory,
            target: target(parts.kernel, parts.boot_params.start())?,
            backup: backup_copy(parts.low_memory),
            serial: options.serial,
            sha_instructions: machine.sha_instructions,
            on_mismatch: options.on_mismatch,
            draft: Plan {
                arch: machine.arch,
                entry: 0,
                flags,
                segments: self.segments,
                elfcorehdr: parts.elfcorehdr,
                vmcore,
                cmdline: parts.cmdline,
                e820: parts.e820,
                low_memory: parts.low_memory,
                region,
                leftover: self.placement.free().total(),
                initrd_limit: initrd_limit(&self.image, self.bits32),
                cmdline_limit: self.image.cmdline_limit(),
                need,
                notes: self.notes,
                warnings: self.warnings,
            },
            facts,
        })
    }

    fn push(&mut self, kind: SegmentKind, range: PhysRange, data: Cow<'a, [u8]>) {
        self.segments.push(Segment { kind, range, data });
    }

    fn place_top(&mut self, part: &'static str, size: u64, min: u64, max: u64) -> Result<PhysRange, Error> {
        self.placement.place(&Request { part, size, align: 1, min, max, direction: Direction::TopDown })
    }

    fn backup(&mut self) -> Result<LowMemory, Error> {
        let (machine, policy) = (self.inputs.machine, self.inputs.options.backup);
        let source = match decide(machine, policy, &mut self.notes) {
            Decision::Use => return Ok(LowMemory::NotDumped),
            Decision::Keep => return Ok(LowMemory::AsIs),
            Decision::Save(source) => source,
        };
        let range = self.place_top("backup region", source.size(), 0, NO_LIMIT)?;
        self.push(SegmentKind::Backup, range, Cow::Borrowed(&[]));
        Ok(LowMemory::BackedUp { source, destination: range.start() })
    }

    fn elfcorehdr(&mut self, low: LowMemory) -> Result<(ElfCoreHeader, PhysRange), Error> {
        let class = if self.inputs.options.elf32 { Class::Elf32 } else { Class::Elf64 };
        let header = ElfCoreHeader::new(self.inputs.machine, low, class, &mut self.notes)?;
        let mut size = header.size().max(ELFCOREHDR_MIN);
        if self.inputs.options.hotplug {
            let wanted = self.inputs.machine.kexec.elfcorehdr_size.ok_or_else(|| Error::Conflict {
                what: "hot-plug",
                reason: String::from("the running kernel shows no crash_elfcorehdr_size"),
            })?;
            size = size.max(wanted.saturating_add(EHDR_SIZE));
        }
        let range = self.place_top("elfcorehdr", size, 0, NO_LIMIT)?;
        self.push(SegmentKind::Elfcorehdr, range, Cow::Owned(header.encode()?));
        Ok((header, range))
    }

    fn purgatory(&mut self) -> Result<PhysRange, Error> {
        let (size, align) = (self.inputs.purgatory.memsz(), self.inputs.purgatory.align());
        let max = if self.bits32 { PURGATORY_MAX_32 } else { NO_LIMIT };
        let direction = Direction::TopDown;
        let range = self.placement.place(&Request {
            part: "purgatory",
            size,
            align,
            min: LOW_MIN,
            max,
            direction,
        })?;
        self.push(SegmentKind::Purgatory, range, Cow::Borrowed(&[]));
        Ok(range)
    }

    /// What the capture kernel must not use: the copy of low memory and its own header.
    fn kept_ranges(&self) -> RangeSet {
        let kept =
            |segment: &&Segment<'_>| matches!(segment.kind, SegmentKind::Backup | SegmentKind::Elfcorehdr);
        self.segments.iter().filter(kept).map(|segment| segment.range).collect()
    }

    fn initrd(&mut self) -> Result<Option<(u64, u64)>, Error> {
        let Some(bytes) = self.inputs.initrd else { return Ok(None) };
        if bytes.is_empty() {
            self.warnings.push(String::from("the initial ramdisk is empty and was left out"));
            return Ok(None);
        }
        let max = initrd_limit(&self.image, self.bits32);
        let range = self.place_top("initrd", bytes.len() as u64, INITRD_MIN, max)?;
        self.push(SegmentKind::Initrd, range, Cow::Borrowed(bytes));
        Ok(Some((range.start(), bytes.len() as u64)))
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
            false => "digest: without SHA instructions, which proc/cpuinfo does not show for every CPU",
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
fn limited_memory(cmdline: &CommandLine, machine: &crate::Machine) -> Option<String> {
    let ram = capture_ram(machine);
    let left = below_limit(cmdline, &ram);
    (left != ram).then(|| {
        let (left, all) = (left.total() >> 20, ram.total() >> 20);
        alloc::format!(
            "mem= on the command line leaves the capture kernel {left} MiB of the {all} MiB it is given"
        )
    })
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
