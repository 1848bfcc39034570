//! The layout of a ppc64 crash load, part by part.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use kdump_elf::{Class, Endian, PhysRange};

use super::handover::{Told, device_tree};
use super::{Ppc64Plan, TREE, kernel};
use crate::plan::builder::{Builder, Images, NO_LIMIT, Parts};
use crate::plan::{BackupPolicy, Layout, PlanInputs};
use crate::preflight::Environment;
use crate::purgatory::{Entry, Serial, SerialPort};
use crate::segment::{Segment, SegmentKind};
use crate::target::device_tree::DeviceTree;
use crate::target::{LowMemoryDecision, TargetPlan};
use crate::{Error, Machine, RangeSet};

/// COMMAND_LINE_SIZE of powerpc is 2048 with the NUL.
const CMDLINE_LIMIT: u64 = 2047;
/// Bytes from address 0 that a kernel fills with its exception vectors, wherever it runs.
pub(super) const VECTORS: u64 = 64 << 10;

/// Lays out in `region`, whatever the machine has.
pub(super) fn lay_out<'a>(
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Result<Layout<'a>, Error> {
    check_machine(inputs.machine)?;
    check_options(inputs)?;
    let tree = running_tree(inputs.machine)?;
    let area = real_mode_area(&tree)?;
    let mut builder = Builder::new(inputs, images, region)?;
    builder.placement.end_at(area.last())?;
    let parts = place_parts(&mut builder, &tree, region, area)?;
    builder.finish(parts)
}

/// The kernel lies lowest; everything else as high as possible: copy of low memory, elfcorehdr,
/// purgatory, ramdisk, device tree. What stays free lies between, where the kernel looks for its control
/// pages. All of it is read with the MMU off.
fn place_parts(
    builder: &mut Builder<'_, '_>,
    tree: &DeviceTree<'_>,
    region: PhysRange,
    area: PhysRange,
) -> Result<Parts, Error> {
    let kernel = kernel::place(builder)?;
    let source = PhysRange::from_half_open(0, VECTORS)?;
    let low_memory = builder.backup(LowMemoryDecision::Save(source))?;
    let (elfcorehdr, header) = builder.elfcorehdr(low_memory, 0)?;
    let purgatory = builder.purgatory(0, NO_LIMIT)?;
    let initrd = builder.initrd(0, NO_LIMIT)?;
    let cmdline = builder.command_line(&[format!("elfcorehdr={}K", header.start() >> 10)], CMDLINE_LIMIT)?;
    let usable = PhysRange::from_half_open(0, region.end())?;
    let dead = PhysRange::from_half_open(VECTORS, region.start()).ok();
    let kept = builder.kept_ranges()?.union(&RangeSet::from_ranges(dead)?)?;
    let reserved = kept.union(&builder.inputs.machine.crash_claimed)?;
    let told = Told { cmdline: &cmdline, initrd, usable, reserved: &reserved };
    let bytes = device_tree(tree, &told, builder.inputs.options.rng_seed.as_ref(), &mut builder.notes)?;
    let dtb = builder.place_top("device tree", bytes.len() as u64, 0, NO_LIMIT)?;
    builder.push(SegmentKind::Dtb, dtb, Cow::Owned(bytes))?;
    builder.check_control_pages(&Environment::of_machine(builder.inputs.machine)?)?;
    Ok(Parts {
        low_memory,
        elfcorehdr,
        purgatory,
        entry: Entry::Ppc64 { kernel, dtb: dtb.start() },
        cmdline,
        cmdline_limit: CMDLINE_LIMIT,
        target: TargetPlan::Ppc64(Ppc64Plan { usable, reserved, real_mode_area: area }),
    })
}

/// What a program without MMU reaches: the first range of the first memory node (LoPAPR, "Real Mode Area").
fn real_mode_area(tree: &DeviceTree<'_>) -> Result<PhysRange, Error> {
    let reg = tree.property(b"memory", "reg").unwrap_or_default();
    let first = tree.cells()?.ranges(reg).next();
    let area = first.and_then(|(start, size)| PhysRange::from_len(start, size).ok());
    area.filter(|area| area.start() == 0).ok_or_else(|| {
        let reason = String::from("its first memory node has no range that begins at 0");
        Error::Conflict { what: "device tree", reason }
    })
}

/// The tree of the running kernel.
fn running_tree(machine: &Machine) -> Result<DeviceTree<'_>, Error> {
    let Some(bytes) = machine.device_tree.as_deref() else {
        let told = machine.remarks.iter().find(|remark| remark.path == TREE);
        let why = told.map_or_else(|| String::from("is not there"), |remark| remark.text.clone());
        let reason = format!(
            "{TREE} {why}: it is /proc/device-tree, flattened; \
             record the machine again"
        );
        return Err(Error::Conflict { what: "device tree", reason });
    };
    DeviceTree::parse(bytes)
}

fn check_machine(machine: &Machine) -> Result<(), Error> {
    if machine.endian != Endian::Little {
        let reason = String::from("planning a load for big-endian ppc64 kernels is not supported");
        return Err(Error::Conflict { what: "architecture", reason });
    }
    let vectors = PhysRange::from_half_open(0, VECTORS)?;
    if !machine.ram()?.contains_range(vectors) {
        let reason = format!("the first {VECTORS:#x} bytes are no RAM, where a kernel has its vectors");
        return Err(Error::Conflict { what: "memory", reason });
    }
    Ok(())
}

/// What is asked for and means nothing here.
fn check_options(inputs: &PlanInputs<'_>) -> Result<(), Error> {
    let options = inputs.options;
    let refused = [
        ("32-bit entry", options.entry_32bit, "ppc64 has none: leave the option out"),
        ("memmap= on the command line", options.memmap_cmdline, "ppc64 has none: leave the option out"),
        ("a hand-over without EFI", options.no_efi, "ppc64 has none: leave the option out"),
        (
            "no backup of low memory",
            options.backup == BackupPolicy::Never,
            "a ppc64 kernel writes its vectors there: leave the option out",
        ),
        (
            "ELF32 core header",
            options.elf_class == Some(Class::Elf32),
            "ppc64 has ELF64: leave the option out",
        ),
        ("hot-plug", options.hotplug, "it is not supported on ppc64 yet: load again after a change"),
    ];
    if let Some((what, _, reason)) = refused.into_iter().find(|&(_, asked, _)| asked) {
        return Err(Error::Conflict { what, reason: String::from(reason) });
    }
    match options.serial {
        Some(Serial { port: SerialPort::Mmio(address), .. }) if u32::try_from(address).is_err() => {
            let reason = format!(
                "{address:#x} has more than 32 bits: give the unit address of a virtual terminal, 0x71000000 \
                 of /vdevice/vty@71000000"
            );
            Err(Error::Conflict { what: "serial port of the purgatory", reason })
        }
        _ => Ok(()),
    }
}

/// Whether the purgatory or the kernel touches a segment with the MMU off: all are verified or copied.
pub(super) fn in_real_mode(segment: &Segment<'_>, area: PhysRange) -> bool {
    area.contains_range(segment.range)
}
