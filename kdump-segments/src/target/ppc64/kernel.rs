//! The kernel of a ppc64 load: an ELF file that runs where it lies.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, Endian, PhysRange};

use crate::image::{Image, Vmlinux};
use crate::placement::{Direction, Request};
use crate::plan::builder::{Builder, Images, NO_LIMIT};
use crate::segment::SegmentKind;
use crate::{Error, Machine, room};

/// Where a relocatable kernel has the word that says whether it moves itself to address 0, and what
/// stands there until a loader has said no (`__run_at_load`; Linux kernel commit 8b8b0cc1c772
/// ("powerpc/ppc64/kdump: Better flag for running relocatable")).
pub(super) const RUN_AT_LOAD: usize = 0x5c;
const MOVES: u32 = 0x7275_6e30;
pub(super) const STAYS: u32 = 1;
/// The largest page of the direct map of a kernel with hashed page tables, which begins with the kernel.
const ALIGN: u64 = 16 << 20;

/// Places the kernel as low as possible and returns its address. Its first page,
/// in which it is told to stay, is a segment of its own, the others are borrowed.
pub(super) fn place<'a>(builder: &mut Builder<'_, 'a>) -> Result<u64, Error> {
    let machine = builder.inputs.machine;
    let image = image(builder.images, machine)?;
    let span = image.span()?;
    let (size, align) = (span.size(), image.align.max(ALIGN));
    let (max, direction) = (NO_LIMIT, Direction::BottomUp);
    let room = builder.placement.place(&Request { part: "kernel", size, align, min: 0, max, direction })?;
    let shift = room.start().wrapping_sub(span.start());
    let page = machine.page_size;
    for (index, chunk) in image.chunks().iter().enumerate() {
        let range = PhysRange::from_len(chunk.paddr.wrapping_add(shift), chunk.memsz)?;
        if index != 0 {
            builder.push(SegmentKind::Kernel, range, room::lend("kernel", &chunk.data)?)?;
            continue;
        }
        let border = usize::try_from(page).unwrap_or(usize::MAX).min(chunk.data.len());
        let (head, rest) = chunk.data.split_at_checked(border).unwrap_or((&chunk.data, &[]));
        let head = staying(head, machine.endian)?;
        let first = PhysRange::from_len(range.start(), page.min(range.size()))?;
        builder.push(SegmentKind::Kernel, first, Cow::Owned(head))?;
        if let Ok(others) = PhysRange::from_half_open(first.end(), range.end()) {
            let data = match &chunk.data {
                Cow::Borrowed(data) => Cow::Borrowed(data.get(border..).unwrap_or_default()),
                Cow::Owned(_) => Cow::Owned(room::copy("kernel", rest)?),
            };
            builder.push(SegmentKind::Kernel, others, data)?;
        }
    }
    Ok(room.start())
}

/// A copy of the first page of a kernel that is to run where it lies.
fn staying(head: &[u8], endian: Endian) -> Result<Vec<u8>, Error> {
    let mut head = room::copy("kernel", head)?;
    let flag = match endian {
        Endian::Little => STAYS.to_le_bytes(),
        Endian::Big => STAYS.to_be_bytes(),
    };
    if let Some(place) = head.get_mut(RUN_AT_LOAD..).and_then(<[u8]>::first_chunk_mut) {
        *place = flag;
    }
    Ok(head)
}

/// The image, of the one kind that is loaded.
fn image<'i, 'a>(images: &'i Images<'a>, machine: &Machine) -> Result<&'i Vmlinux<'a>, Error> {
    let refused = |reason| Err(Error::Conflict { what: "kernel image", reason });
    let Image::Vmlinux(image) = &images.kernel else {
        return refused(String::from("ppc64 loads an ELF kernel: take the vmlinux of /boot"));
    };
    if image.arch != Arch::Ppc64 {
        let reason = format!("it is an ELF kernel for {}, the machine is ppc64", image.arch.name());
        return refused(reason);
    }
    let first = image.chunks().first();
    if Some(image.entry) != first.map(|chunk| chunk.paddr) {
        return refused(String::from(
            "it is not entered at its first byte: it may be a zImage, which is not loaded yet: take the vmlinux",
        ));
    }
    let flag = |endian: Endian| endian.read::<u32>(&first?.data, RUN_AT_LOAD);
    match flag(machine.endian) {
        Some(MOVES) => Ok(image),
        Some(other) if other.swap_bytes() == MOVES => {
            refused(String::from("its byte order is not the running kernel's"))
        }
        other => refused(format!(
            "it has {:#x} at {RUN_AT_LOAD:#x} where a kernel that can run anywhere has {MOVES:#x}: \
             take one with CONFIG_RELOCATABLE",
            other.unwrap_or(0)
        )),
    }
}
