//! The layout of an arm64 crash load, part by part.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use kdump_elf::{Class, PhysRange, align_down, align_up};

use super::Arm64Plan;
use super::handover::{Told, device_tree, usable_ranges};
use super::image::{Arm64Image, BASE_ALIGN};
use crate::elfcorehdr::LowMemory;
use crate::image::Image;
use crate::placement::{Direction, Request};
use crate::plan::builder::{Builder, Images, NO_LIMIT, Parts};
use crate::plan::{BackupPolicy, Layout, PlanInputs};
use crate::preflight::Environment;
use crate::purgatory::{Entry, Serial, SerialPort};
use crate::segment::SegmentKind;
use crate::target::TargetPlan;
use crate::target::device_tree::DeviceTree;
use crate::{Error, Machine};

/// COMMAND_LINE_SIZE of arm64 is 2048 with the NUL.
const CMDLINE_LIMIT: u64 = 2047;
/// Kernel and ramdisk lie in one window of 32 GiB that begins at a multiple of 1 GiB
/// (Documentation/arch/arm64/booting.rst).
pub(super) const WINDOW_ALIGN: u64 = 1 << 30;
pub(super) const WINDOW: u64 = 32 << 30;
/// Bytes up to the end of UARTFR, the last register of a PL011 that is needed to write (Arm DDI 0183,
/// 3.2).
const SERIAL_SIZE: u64 = 0x1c;

/// Lays out in `region`, whatever the machine has.
pub(super) fn lay_out<'a>(
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Result<Layout<'a>, Error> {
    check_options(inputs)?;
    check_serial(inputs, region)?;
    let image = image(images, inputs.machine)?;
    let tree = running_tree(inputs.machine)?;
    let mut builder = Builder::new(inputs, images, region)?;
    let parts = place_parts(&mut builder, &image, &tree, region)?;
    builder.finish(parts)
}

/// The kernel lies lowest, at its multiple of 2 MiB; everything else as high as possible: elfcorehdr,
/// purgatory, ramdisk, device tree. What stays free lies between, where the kernel looks for its
/// control pages.
fn place_parts<'a>(
    builder: &mut Builder<'_, 'a>,
    image: &Arm64Image<'a>,
    tree: &DeviceTree<'_>,
    region: PhysRange,
) -> Result<Parts, Error> {
    let low_memory = LowMemory::AsIs;
    let kernel = place_kernel(builder, image)?;
    let (elfcorehdr, header_range) = builder.elfcorehdr(low_memory, 0)?;
    let purgatory = builder.purgatory(0, NO_LIMIT)?;
    let window = window(kernel);
    let initrd = builder.initrd(window.start(), window.last())?;
    let cmdline = builder.command_line(&[], CMDLINE_LIMIT)?;
    let usable = usable_ranges(builder.inputs.machine, region, &mut builder.notes);
    let told = Told { cmdline: &cmdline, elfcorehdr: header_range, initrd, usable: &usable };
    let bytes = device_tree(tree, &told, builder.inputs.options.rng_seed.as_ref(), &mut builder.notes)?;
    let size = bytes.len() as u64;
    let dtb = builder.place_top("device tree", size, window.start(), window.last())?;
    builder.push(SegmentKind::Dtb, dtb, Cow::Owned(bytes))?;
    builder.check_control_pages(&Environment::of_machine(builder.inputs.machine)?)?;
    Ok(Parts {
        low_memory,
        elfcorehdr,
        purgatory,
        entry: Entry::Arm64 { kernel: kernel.start(), dtb: dtb.start() },
        cmdline,
        cmdline_limit: CMDLINE_LIMIT,
        target: TargetPlan::Arm64(Arm64Plan { usable, text_offset: image.text_offset }),
    })
}

/// `text_offset` bytes behind a multiple of 2 MiB, as low as possible.
fn place_kernel<'a>(builder: &mut Builder<'_, 'a>, image: &Arm64Image<'a>) -> Result<PhysRange, Error> {
    let size = image.text_offset.saturating_add(image.memsz());
    let (align, max, direction) = (BASE_ALIGN, NO_LIMIT, Direction::BottomUp);
    let room = builder.placement.place(&Request { part: "kernel", size, align, min: 0, max, direction })?;
    let page = builder.inputs.machine.page_size;
    let start = room.start().saturating_add(image.text_offset);
    let range = PhysRange::from_half_open(align_down(start, page), room.end())?;
    if range.start() != start {
        let offset = image.text_offset;
        let reason =
            format!("its text_offset {offset:#x} is no multiple of the running kernel's pages, {page:#x}");
        return Err(Error::Conflict { what: "kernel image", reason });
    }
    builder.push(SegmentKind::Kernel, range, Cow::Borrowed(image.bytes))?;
    Ok(range)
}

/// Where ramdisk and device tree may lie.
fn window(kernel: PhysRange) -> PhysRange {
    let start = align_down(kernel.start(), WINDOW_ALIGN);
    let last = start.saturating_add(WINDOW).saturating_sub(1).min(u64::MAX.saturating_sub(1));
    PhysRange::from_inclusive(start, last).unwrap_or(kernel)
}

/// The image, of the one kind that arm64 boots.
fn image<'a>(images: &Images<'a>, machine: &Machine) -> Result<Arm64Image<'a>, Error> {
    let refused = |reason| Err(Error::Conflict { what: "kernel image", reason });
    let image = match &images.kernel {
        Image::Arm64(image) => *image,
        Image::BzImage(_) => return refused(String::from("it is a bzImage for x86, the machine is arm64")),
        Image::Vmlinux(_) => {
            let reason = "an ELF kernel is not loaded on arm64 yet: take the Image (arch/arm64/boot/Image)";
            return refused(String::from(reason));
        }
    };
    // Its reader of /proc/vmcore takes headers of its own byte order only.
    if image.endian != machine.endian {
        return refused(String::from("its byte order is not the running kernel's"));
    }
    Ok(image)
}

/// The tree the running kernel was booted with.
fn running_tree(machine: &Machine) -> Result<DeviceTree<'_>, Error> {
    let Some(bytes) = machine.device_tree.as_deref() else {
        let told = machine.remarks.iter().find(|remark| remark.path == super::FDT);
        let why = told.map_or_else(|| String::from("is not there"), |remark| remark.text.clone());
        let reason = format!(
            "{} {why}: the capture kernel is given the running one's tree, which only root may read; \
             record the machine again as root",
            super::FDT
        );
        return Err(Error::Conflict { what: "device tree", reason });
    };
    DeviceTree::parse(bytes)
}

/// What is asked for and means nothing here.
fn check_options(inputs: &PlanInputs<'_>) -> Result<(), Error> {
    let options = inputs.options;
    let of_x86 = [
        ("32-bit entry", options.entry_32bit),
        ("memmap= on the command line", options.memmap_cmdline),
        ("a hand-over without EFI", options.no_efi),
        ("backup of low memory", options.backup == BackupPolicy::Always),
        ("ELF32 core header", options.elf_class == Some(Class::Elf32)),
    ];
    match of_x86.into_iter().find(|&(_, asked)| asked) {
        Some((what, _)) => {
            Err(Error::Conflict { what, reason: String::from("arm64 has none: leave the option out") })
        }
        None => Ok(()),
    }
}

/// What the purgatory writes to in the crashed machine must be a port's registers: in memory it would
/// destroy what is dumped or loaded, without a place the next kernel is never reached.
fn check_serial(inputs: &PlanInputs<'_>, region: PhysRange) -> Result<(), Error> {
    let Some(Serial { port: SerialPort::Mmio(address), .. }) = inputs.options.serial else { return Ok(()) };
    let refused = |why| {
        let reason = format!("{address:#x} {why}: give the physical address of the port's first register");
        Err(Error::Conflict { what: "serial port of the purgatory", reason })
    };
    if address % 4 != 0 {
        return refused("is no multiple of 4, as its registers are");
    }
    let Ok(registers) = PhysRange::from_len(address, SERIAL_SIZE) else {
        return refused("leaves its registers no room before the end of the address space");
    };
    if region.overlaps(registers) || inputs.machine.crash_regions.iter().any(|part| part.overlaps(registers))
    {
        return refused("lies in the crash region");
    }
    if inputs.machine.ram()?.overlaps(registers) {
        return refused("lies in RAM");
    }
    Ok(())
}

/// The end of what kernel and ramdisk take, as a window counts.
pub(super) fn window_size(parts: impl Iterator<Item = PhysRange>) -> u64 {
    let (start, end) = parts.fold((u64::MAX, 0), |(start, end), range| {
        (align_down(range.start(), WINDOW_ALIGN).min(start), range.end().max(end))
    });
    align_up(end, WINDOW_ALIGN).unwrap_or(u64::MAX).saturating_sub(start)
}
