//! The layout of a loongarch64 crash load, part by part.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, Class, PhysRange};

use super::LoongArch64Plan;
use crate::cmdline::CommandLine;
use crate::elfcorehdr::LowMemory;
use crate::image::{Image, Vmlinux};
use crate::placement::{Direction, Request};
use crate::plan::builder::{Builder, Images, NO_LIMIT, Parts};
use crate::plan::{BackupPolicy, Layout, PlanInputs};
use crate::purgatory::Entry;
use crate::segment::SegmentKind;
use crate::target::TargetPlan;
use crate::{Error, room};

/// What the command line begins with: the kernel finds it among the segments by this word.
pub(super) const PREFIX: &str = "kexec ";
/// Bytes of the command line, without the NUL.
pub(super) const CMDLINE_LIMIT: u64 = 4095;
/// What a kernel that moves itself lies at a multiple of.
pub(super) const KERNEL_ALIGN: u64 = 1 << 20;

/// Lays out in `region`, whatever the machine has.
pub(super) fn lay_out<'a>(
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Result<Layout<'a>, Error> {
    check_options(inputs)?;
    let image = image(images)?;
    let mut builder = Builder::new(inputs, images, region)?;
    let parts = place_parts(&mut builder, image, region)?;
    builder.finish(parts)
}

/// The kernel lies lowest, everything else as high as possible.
fn place_parts<'a>(
    builder: &mut Builder<'_, 'a>,
    image: &'_ Vmlinux<'a>,
    region: PhysRange,
) -> Result<Parts, Error> {
    let low_memory = LowMemory::AsIs;
    let kernel = place_kernel(builder, image)?;
    let (elfcorehdr, header) = builder.elfcorehdr(low_memory, 0)?;
    let purgatory = builder.purgatory(0, NO_LIMIT)?;
    let initrd = builder.initrd(0, NO_LIMIT)?;
    let regions = &builder.inputs.machine.crash_regions;
    let others = regions.iter().copied().filter(|other| !other.overlaps(region));
    let usable: Vec<PhysRange> = core::iter::once(region).chain(others).collect();
    let cmdline = command_line(builder, header, initrd, &usable)?;
    let mut text = room::copy("command line", cmdline.as_str().as_bytes())?;
    room::push(&mut text, "command line", 0)?;
    let range = builder.place_top("command line", text.len() as u64, 0, NO_LIMIT)?;
    builder.push(SegmentKind::BootParams, range, Cow::Owned(text))?;
    Ok(Parts {
        low_memory,
        elfcorehdr,
        purgatory,
        entry: Entry::LoongArch64 { kernel },
        cmdline,
        cmdline_limit: CMDLINE_LIMIT,
        target: TargetPlan::LoongArch64(LoongArch64Plan { usable }),
    })
}

/// As low as possible, or where it is linked; returns the address of its first instruction.
fn place_kernel<'a>(builder: &mut Builder<'_, 'a>, image: &Vmlinux<'a>) -> Result<u64, Error> {
    let span = image.span()?;
    let mut shift = 0;
    if image.relocatable {
        let align = image.align.max(KERNEL_ALIGN);
        let (part, size, direction) = ("kernel", span.size(), Direction::BottomUp);
        let place =
            builder.placement.find(&Request { part, size, align, min: 0, max: NO_LIMIT, direction })?;
        shift = place.start().wrapping_sub(span.start());
    }
    for chunk in image.chunks() {
        let range = PhysRange::from_len(chunk.paddr.wrapping_add(shift), chunk.memsz)?;
        let fixed = "kernel without .la_abs, which is loaded where it is linked only,";
        builder.placement.claim(if image.relocatable { "kernel" } else { fixed }, range)?;
        builder.push(SegmentKind::Kernel, range, room::lend("kernel", &chunk.data)?)?;
    }
    Ok(image.entry.wrapping_add(shift))
}

/// The user's text between the word by which it is found and what the kernel is told.
fn command_line(
    builder: &mut Builder<'_, '_>,
    header: PhysRange,
    initrd: Option<(u64, u64)>,
    usable: &[PhysRange],
) -> Result<CommandLine, Error> {
    let mut added = Vec::new();
    added.extend(initrd.map(|(start, size)| format!("initrd={start},{size}")));
    added.push(elfcorehdr_parameter(header));
    added.extend(usable.iter().map(|range| memory_parameter(*range)));
    let left = CMDLINE_LIMIT.saturating_sub(PREFIX.len() as u64);
    let line = builder.command_line(&added, left)?;
    CommandLine::new(&format!("{PREFIX}{line}"))
}

/// Where the core header is, in KiB.
pub(super) fn elfcorehdr_parameter(header: PhysRange) -> String {
    format!("elfcorehdr={}K@{}K", header.size() >> 10, header.start() >> 10)
}

/// Memory that may be used, in KiB.
pub(super) fn memory_parameter(range: PhysRange) -> String {
    format!("mem={}K@{}K", range.size() >> 10, range.start() >> 10)
}

/// The image, of the one kind whose entry is known once it is moved.
fn image<'i, 'a>(images: &'i Images<'a>) -> Result<&'i Vmlinux<'a>, Error> {
    let refused = |reason| Err(Error::Conflict { what: "kernel image", reason });
    match &images.kernel {
        Image::Vmlinux(image) if image.arch == Arch::LoongArch64 => Ok(image),
        Image::Vmlinux(image) => {
            refused(format!("it is an ELF kernel for {}, the machine is loongarch64", image.arch.name()))
        }
        Image::BzImage(_) => refused(String::from("it is a bzImage for x86, the machine is loongarch64")),
        Image::Flat(image) => {
            refused(format!("it is an Image for {}, the machine is loongarch64", image.arch.name()))
        }
    }
}

/// What is asked for and means nothing here.
fn check_options(inputs: &PlanInputs<'_>) -> Result<(), Error> {
    let options = inputs.options;
    let others = [
        ("32-bit entry", options.entry_32bit),
        ("memmap= on the command line", options.memmap_cmdline),
        ("a hand-over without EFI", options.no_efi),
        ("backup of low memory", options.backup == BackupPolicy::Always),
        ("ELF32 core header", options.elf_class == Some(Class::Elf32)),
        ("serial port of the purgatory", options.serial.is_some()),
    ];
    match others.into_iter().find(|&(_, asked)| asked) {
        Some((what, _)) => {
            let reason = String::from("loongarch64 has none: leave the option out");
            Err(Error::Conflict { what, reason })
        }
        None => Ok(()),
    }
}
