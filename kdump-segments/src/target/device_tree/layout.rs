//! The layout of a crash load whose kernel is an `Image` and is told everything by a device tree, part by
//! part.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use kdump_elf::{Class, PhysRange, align_down};

use super::handover::{Told, device_tree, usable_ranges};
use super::{DeviceTree, DeviceTreePlan, running_tree};
use crate::elfcorehdr::LowMemory;
use crate::image::{FlatImage, Image};
use crate::placement::{Direction, Request};
use crate::plan::builder::{Builder, Images, NO_LIMIT, Parts};
use crate::plan::{BackupPolicy, Layout, PlanInputs};
use crate::preflight::Environment;
use crate::purgatory::{Entry, Serial, SerialPort};
use crate::segment::SegmentKind;
use crate::target::TargetPlan;
use crate::target::flat_image::BASE_ALIGN;
use crate::{Error, Machine};

/// What the architectures differ in that are booted so.
pub(in crate::target) struct Boot {
    /// Bytes of a command line, without the NUL.
    pub(in crate::target) cmdline_limit: u64,
    /// Where ramdisk and device tree may lie beside this kernel.
    pub(in crate::target) window: fn(PhysRange) -> PhysRange,
    /// The registers a kernel is entered with: its address, and that of its device tree.
    pub(in crate::target) entry: fn(u64, u64) -> Entry,
    /// What the address of the serial port is a multiple of, and the bytes of its registers.
    pub(in crate::target) serial: (u64, u64),
}

/// Lays out in `region`, whatever the machine has.
pub(in crate::target) fn lay_out<'a>(
    boot: &Boot,
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Result<Layout<'a>, Error> {
    check_options(inputs)?;
    check_serial(boot, inputs, region)?;
    let image = image(images, inputs.machine)?;
    let tree = running_tree(inputs.machine)?;
    let mut builder = Builder::new(inputs, images, region)?;
    let parts = place_parts(boot, &mut builder, &image, &tree, region)?;
    builder.finish(parts)
}

/// The kernel lies lowest, at its multiple of 2 MiB; everything else as high as possible: elfcorehdr,
/// purgatory, ramdisk, device tree. What stays free lies between, where the kernel looks for its
/// control pages.
fn place_parts<'a>(
    boot: &Boot,
    builder: &mut Builder<'_, 'a>,
    image: &FlatImage<'a>,
    tree: &DeviceTree<'_>,
    region: PhysRange,
) -> Result<Parts, Error> {
    let low_memory = LowMemory::AsIs;
    let kernel = place_kernel(builder, image)?;
    let (elfcorehdr, header_range) = builder.elfcorehdr(low_memory, 0)?;
    let purgatory = builder.purgatory(0, NO_LIMIT)?;
    let window = (boot.window)(kernel);
    let initrd = builder.initrd(window.start(), window.last())?;
    let cmdline = builder.command_line(&[], boot.cmdline_limit)?;
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
        entry: (boot.entry)(kernel.start(), dtb.start()),
        cmdline,
        cmdline_limit: boot.cmdline_limit,
        target: TargetPlan::DeviceTree(DeviceTreePlan { usable, text_offset: image.text_offset }),
    })
}

/// `text_offset` bytes behind a multiple of 2 MiB, as low as possible.
fn place_kernel<'a>(builder: &mut Builder<'_, 'a>, image: &FlatImage<'a>) -> Result<PhysRange, Error> {
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

/// The image, of the one kind that is booted so.
fn image<'a>(images: &Images<'a>, machine: &Machine) -> Result<FlatImage<'a>, Error> {
    let arch = machine.arch.name();
    let refused = |reason| Err(Error::Conflict { what: "kernel image", reason });
    let image = match &images.kernel {
        Image::Flat(image) => *image,
        Image::BzImage(_) => return refused(format!("it is a bzImage for x86, the machine is {arch}")),
        Image::Vmlinux(_) => {
            return refused(format!(
                "an ELF kernel is not loaded on {arch} yet: take the Image (arch/{arch}/boot/Image of a build)"
            ));
        }
    };
    if image.arch != machine.arch {
        return refused(format!("it is an Image for {}, the machine is {arch}", image.arch.name()));
    }
    // Its reader of /proc/vmcore takes headers of its own byte order only.
    if image.endian != machine.endian {
        return refused(String::from("its byte order is not the running kernel's"));
    }
    Ok(image)
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
            let reason = format!("{} has none: leave the option out", inputs.machine.arch.name());
            Err(Error::Conflict { what, reason })
        }
        None => Ok(()),
    }
}

/// What the purgatory writes to in the crashed machine must be a port's registers: in memory it would
/// destroy what is dumped or loaded, without a place the next kernel is never reached.
fn check_serial(boot: &Boot, inputs: &PlanInputs<'_>, region: PhysRange) -> Result<(), Error> {
    let (align, size) = boot.serial;
    let Some(Serial { port: SerialPort::Mmio(address), .. }) = inputs.options.serial else { return Ok(()) };
    let refused = |why| {
        let reason = format!("{address:#x} {why}: give the physical address of the port's first register");
        Err(Error::Conflict { what: "serial port of the purgatory", reason })
    };
    if address.checked_rem(align) != Some(0) {
        return refused("is no multiple of 4, as its registers are");
    }
    let Ok(registers) = PhysRange::from_len(address, size) else {
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
