//! The layout of an x86 crash load, part by part.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::{Arch, Class, PhysRange};

use super::capture_map::{capture_map, firmware_map};
use super::command_line::{self, Additions};
use super::low_memory::backup_source;
use super::{KexecFlags, Layout, Plan, PlanInputs};
use crate::boot_params::{BOOT_PARAMS_SIZE, BootParams, fake_setup_header};
use crate::cmdline::CommandLine;
use crate::e820::{E820_TABLE_MAX, E820Entry};
use crate::elfcorehdr::{ElfCoreHeader, LowMemory};
use crate::image::{BzImage, Image, Vmlinux};
use crate::placement::{Direction, Placement, Request};
use crate::preflight::control_pages;
use crate::purgatory::{BackupCopy, Entry};
use crate::segment::{Segment, SegmentKind};
use crate::setup_data::SetupData;
use crate::vmcore_prediction::VmcorePrediction;
use crate::{EfiHandover, Error, RangeSet};

/// Least size of the elfcorehdr segment, as other loaders make it on x86.
const ELFCOREHDR_MIN: u64 = 16 << 10;
/// crash_elfcorehdr_size counts program headers only; the file header comes on top.
const EHDR_SIZE: u64 = 64;
/// Nothing of ours goes where real mode has its tables.
const LOW_MIN: u64 = 0x3000;
const KERNEL_MIN: u64 = 1 << 20;
const INITRD_MIN: u64 = 16 << 20;
/// Highest byte the 32-bit entry of the purgatory and of a kernel can be told of.
const PURGATORY_MAX_32: u64 = 0x7fff_ffff;
const KERNEL_MAX_32: u64 = 0x37ff_ffff;
const POINTER_MAX_32: u64 = 0xffff_ffff;
const NO_LIMIT: u64 = u64::MAX;

/// Where the capture kernel is entered, before boot_params has an address.
#[derive(Clone, Copy)]
enum KernelEntry {
    Bits64(u64),
    Bits32(u32),
}

/// What is known while the parts are placed one after the other.
struct Builder<'i, 'a> {
    inputs: &'i PlanInputs<'a>,
    image: Image<'a>,
    bits32: bool,
    placement: Placement,
    segments: Vec<Segment<'a>>,
    notes: Vec<String>,
}

/// Lays out an x86 load. The order of the parts decides their addresses: backup, elfcorehdr,
/// purgatory, boot_params, kernel and initrd from the top of the region, setup_data at its
/// bottom; what stays free lies low, where the kernel looks for its control pages.
pub(super) fn lay_out<'a>(inputs: &PlanInputs<'a>) -> Result<Layout<'a>, Error> {
    let machine = inputs.machine;
    let region = machine.load_region().ok_or(Error::NoCrashRegion)?;
    let image = Image::parse(inputs.kernel, machine.page_size)?;
    let bits32 = entry_is_32bit(&image, inputs)?;
    let (placement, notes) = (placement(inputs, region)?, machine.notes.iter().map(ToString::to_string));
    let mut builder =
        Builder { inputs, image, bits32, placement, segments: Vec::new(), notes: notes.collect() };
    let low_memory = builder.backup()?;
    let (elfcorehdr, header_range) = builder.elfcorehdr(low_memory)?;
    let purgatory = builder.purgatory()?;
    let kept = builder.kept_ranges();
    let capture = capture_map(machine, low_memory, &kept);
    let efi = builder.efi();
    let cmdline = builder.command_line(header_range.start(), &capture, efi.is_some())?;
    let e820 = if inputs.options.memmap_cmdline { firmware_map(machine)? } else { capture };
    let boot_params = builder.reserve_boot_params(&cmdline)?;
    let kernel = builder.kernel()?;
    let initrd = builder.initrd()?;
    let (setup_data, efi_map) = builder.setup_data(&e820, efi)?;
    let ram_end = crate::preflight::ram_end(machine);
    builder.placement.check_control_pages(control_pages(ram_end, false))?;
    let page = BootParams {
        running: machine.boot_params.as_deref(),
        setup: &builder.setup_header(),
        address: boot_params.start(),
        cmdline: boot_params.start().saturating_add(BOOT_PARAMS_SIZE as u64),
        initrd,
        rsdp: machine.rsdp.as_ref().map(|rsdp| rsdp.value),
        efi_map,
        setup_data,
        e820: &e820,
    };
    let mut bytes = page.encode();
    bytes.extend_from_slice(cmdline.as_str().as_bytes());
    bytes.push(0);
    builder.push(SegmentKind::BootParams, boot_params, Cow::Owned(bytes));
    builder.sources();
    let vmcore = VmcorePrediction::new(machine, &elfcorehdr, &mut builder.notes)?;
    let mut flags = KexecFlags::crash(machine.arch);
    flags.set(KexecFlags::UPDATE_ELFCOREHDR, inputs.options.hotplug);
    builder.segments.sort_by_key(Segment::mem);
    Ok(Layout {
        purgatory,
        target: target(kernel, boot_params.start())?,
        backup: backup_copy(low_memory),
        serial: inputs.options.serial,
        on_mismatch: inputs.options.on_mismatch,
        draft: Plan {
            arch: machine.arch,
            entry: 0,
            flags,
            segments: builder.segments,
            elfcorehdr,
            vmcore,
            cmdline,
            e820,
            low_memory,
            region,
            leftover: builder.placement.free().total(),
            initrd_limit: initrd_limit(&builder.image, bits32),
            cmdline_limit: builder.image.cmdline_limit(),
            notes: builder.notes,
        },
    })
}

impl<'a> Builder<'_, 'a> {
    fn push(&mut self, kind: SegmentKind, range: PhysRange, data: Cow<'a, [u8]>) {
        self.segments.push(Segment { kind, range, data });
    }

    fn place_top(&mut self, part: &'static str, size: u64, min: u64, max: u64) -> Result<PhysRange, Error> {
        self.placement.place(&Request { part, size, align: 1, min, max, direction: Direction::TopDown })
    }

    fn backup(&mut self) -> Result<LowMemory, Error> {
        let (machine, policy) = (self.inputs.machine, self.inputs.options.backup);
        let Some(source) = backup_source(machine, policy, &mut self.notes) else {
            return Ok(LowMemory::NotDumped);
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

    /// The EFI hand-over, when everything it takes is there.
    fn efi(&mut self) -> Option<&'a EfiHandover> {
        let efi = self.inputs.machine.efi.as_ref()?;
        let signature = self.inputs.machine.boot_params.as_deref().and_then(|page| page.get(0x1c0..0x1c3));
        let obstacle = if self.inputs.options.no_efi {
            "as asked for"
        } else if efi.runtime_map.is_empty() {
            "the running kernel shows no EFI runtime map"
        } else if !self.image.takes_efi() {
            "the capture kernel cannot take it over (XLF_EFI_KEXEC)"
        } else if !matches!(signature, Some(b"EL6" | b"EL3")) {
            "the running kernel's boot_params has no EFI information"
        } else {
            return Some(efi);
        };
        self.notes.push(alloc::format!("EFI is not handed over: {obstacle}"));
        None
    }

    fn command_line(
        &mut self,
        elfcorehdr: u64,
        capture: &[E820Entry],
        efi: bool,
    ) -> Result<CommandLine, Error> {
        let (machine, options) = (self.inputs.machine, self.inputs.options);
        let rsdp = machine.rsdp.as_ref().map(|rsdp| rsdp.value).filter(|_| !efi);
        let memmap = options.memmap_cmdline.then_some(capture);
        let limit = self.image.cmdline_limit();
        command_line::build(machine, options, &Additions { elfcorehdr, rsdp, memmap, limit }, &mut self.notes)
    }

    fn reserve_boot_params(&mut self, cmdline: &CommandLine) -> Result<PhysRange, Error> {
        let text = (cmdline.as_str().len() as u64).saturating_add(1);
        let max = if self.bits32 { POINTER_MAX_32 } else { NO_LIMIT };
        self.place_top("boot_params", text.saturating_add(BOOT_PARAMS_SIZE as u64), LOW_MIN, max)
    }

    fn kernel(&mut self) -> Result<KernelEntry, Error> {
        match self.image.clone() {
            Image::BzImage(image) => self.bzimage(&image),
            Image::Vmlinux(image) => self.vmlinux(&image),
        }
    }

    /// A relocatable kernel below its preferred address would move itself up to it, out of
    /// what was reserved for it.
    fn bzimage(&mut self, image: &BzImage<'a>) -> Result<KernelEntry, Error> {
        let header = &image.header;
        let min = header.pref_address.max(KERNEL_MIN);
        let range = if header.relocatable_kernel {
            let (direction, max) = if self.bits32 {
                (Direction::BottomUp, KERNEL_MAX_32.min(u64::from(header.initrd_addr_max)))
            } else {
                (Direction::TopDown, NO_LIMIT)
            };
            let align = u64::from(header.kernel_alignment);
            self.placement.place(&Request {
                part: "kernel",
                size: image.memsz(),
                align,
                min,
                max,
                direction,
            })?
        } else {
            let range = PhysRange::from_len(min, image.memsz())?;
            self.placement.claim("kernel that cannot be moved", range)?;
            range
        };
        self.push(SegmentKind::Kernel, range, Cow::Borrowed(image.payload()));
        let start = range.start();
        if self.bits32 {
            return entry32(start);
        }
        Ok(KernelEntry::Bits64(start.saturating_add(BzImage::entry_64bit_offset())))
    }

    fn vmlinux(&mut self, image: &Vmlinux<'a>) -> Result<KernelEntry, Error> {
        let span = image.span()?;
        let mut shift = 0;
        if image.relocatable {
            let (part, size, align) = ("kernel", span.size(), image.align);
            let max = if self.bits32 { KERNEL_MAX_32 } else { NO_LIMIT };
            let mut trial = self.placement.clone();
            let direction = Direction::TopDown;
            let place = trial.place(&Request { part, size, align, min: KERNEL_MIN, max, direction })?;
            shift = place.start().wrapping_sub(span.start());
        }
        for chunk in image.chunks() {
            let range = PhysRange::from_len(chunk.paddr.wrapping_add(shift), chunk.memsz)?;
            self.placement.claim("kernel linked for a fixed address", range)?;
            self.push(SegmentKind::Kernel, range, chunk.data.clone());
        }
        let entry = image.entry.wrapping_add(shift);
        if self.bits32 { entry32(entry) } else { Ok(KernelEntry::Bits64(entry)) }
    }

    fn initrd(&mut self) -> Result<Option<(u64, u64)>, Error> {
        let Some(bytes) = self.inputs.initrd.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
        let max = initrd_limit(&self.image, self.bits32);
        let range = self.place_top("initrd", bytes.len() as u64, INITRD_MIN, max)?;
        self.push(SegmentKind::Initrd, range, Cow::Borrowed(bytes));
        Ok(Some((range.start(), bytes.len() as u64)))
    }

    fn setup_data(
        &mut self,
        e820: &[E820Entry],
        efi: Option<&EfiHandover>,
    ) -> Result<(u64, Option<(u64, u32)>), Error> {
        let e820_ext = e820.get(E820_TABLE_MAX..).unwrap_or_default();
        let data = SetupData { e820_ext, efi, rng_seed: self.inputs.options.rng_seed.as_ref() };
        if data.size() == 0 {
            return Ok((0, None));
        }
        let max = if self.bits32 { POINTER_MAX_32 } else { NO_LIMIT };
        let (size, min, direction) = (data.size(), KERNEL_MIN, Direction::BottomUp);
        let request = Request { part: "setup_data", size, align: 1, min, max, direction };
        let range = self.placement.place(&request)?;
        let encoded = data.encode(range.start())?;
        self.push(SegmentKind::SetupData, range, Cow::Owned(encoded.bytes));
        Ok((encoded.head, encoded.efi_map))
    }

    fn setup_header(&self) -> Vec<u8> {
        match &self.image {
            Image::BzImage(image) => image.setup_bytes().to_vec(),
            Image::Vmlinux(_) => fake_setup_header(),
        }
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
    }
}

fn placement(inputs: &PlanInputs<'_>, region: PhysRange) -> Result<Placement, Error> {
    let (min, max) = (inputs.options.mem_min.unwrap_or(0), inputs.options.mem_max.unwrap_or(u64::MAX - 1));
    let window = PhysRange::from_inclusive(min, max)?.intersection(region).ok_or(Error::OutsideRegion {
        part: "the window given by mem-min and mem-max",
        start: min,
        last: max,
        region_start: region.start(),
        region_last: region.last(),
    })?;
    Placement::new(window, &inputs.machine.crash_claimed, inputs.machine.page_size)
}

/// Whether the kernel is entered in 32-bit mode: because it must be or because it was asked.
fn entry_is_32bit(image: &Image<'_>, inputs: &PlanInputs<'_>) -> Result<bool, Error> {
    match image {
        Image::BzImage(image) => Ok(inputs.options.entry_32bit || !image.header.entry_64bit()),
        Image::Vmlinux(image) => match image.arch {
            Arch::X86_64 if !inputs.options.entry_32bit => Ok(false),
            Arch::I386 => Ok(true),
            other => Err(Error::Conflict {
                what: "kernel image",
                reason: alloc::format!("a {} vmlinux cannot be entered that way", other.name()),
            }),
        },
    }
}

/// The 64-bit entry takes a ramdisk anywhere.
fn initrd_limit(image: &Image<'_>, bits32: bool) -> u64 {
    match image {
        Image::BzImage(image) if bits32 => u64::from(image.header.initrd_addr_max),
        _ if bits32 => KERNEL_MAX_32,
        _ => NO_LIMIT,
    }
}

fn entry32(address: u64) -> Result<KernelEntry, Error> {
    let entry = u32::try_from(address).map_err(|_| Error::Conflict {
        what: "32-bit entry",
        reason: alloc::format!("the kernel would be entered at {address:#x}, above 4 GiB"),
    })?;
    Ok(KernelEntry::Bits32(entry))
}

fn target(kernel: KernelEntry, boot_params: u64) -> Result<Entry, Error> {
    Ok(match kernel {
        KernelEntry::Bits64(rip) => Entry::X86Bits64 { rip, boot_params },
        KernelEntry::Bits32(eip) => {
            let limit = POINTER_MAX_32;
            let what = "address of boot_params for a 32-bit entry";
            let boot_params =
                u32::try_from(boot_params).map_err(|_| Error::TooMany { what, value: boot_params, limit })?;
            Entry::X86Bits32 { eip, boot_params }
        }
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
