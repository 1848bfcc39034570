//! The rules of kexec_file_load(2) on arm64, as far as they are known: its loader takes an uncompressed
//! `Image` (Documentation/arch/arm64/booting.rst), uses no purgatory and writes the device tree itself.

use alloc::format;
use alloc::string::{String, ToString};

use kdump_elf::{Arch, PhysRange};

use super::{Facts, MIB, Outcome, PAGE_SIZE, Rule, crash_region, decide, image_signature};
use crate::image::FlatImage;
use crate::placement::{Direction, Placement, Request};
use crate::preflight::Verdict;
use crate::{Errno, Error, RangeSet};

/// COMMAND_LINE_SIZE without the NUL (include/uapi/asm/setup.h); the header is named in the device tree.
const CMDLINE_LIMIT: u64 = 2047;
/// What the kernel's device tree is placed at a multiple of, and at most has.
const TREE: u64 = 2 * MIB;
/// What `Image` files lie at a multiple of.
const BASE_ALIGN: u64 = 2 * MIB;

pub(super) const RULES: [Rule; 7] = [
    ("crash_region", Some(Errno::EADDRNOTAVAIL), crash_region),
    ("image_format", Some(Errno::ENOEXEC), image_format),
    // Which of these the kernel notices, and how, was not measured.
    ("image_complete", None, image_complete),
    ("image_paging", None, image_paging),
    ("image_signature", Some(Errno::EPERM), image_signature),
    ("command_line", None, command_line),
    ("room", Some(Errno::EADDRNOTAVAIL), room),
];

fn image_format(facts: &Facts<'_>) -> Outcome {
    let head = facts.candidate.head;
    if facts.candidate.kernel_size == 0 {
        return decide(false, "it is empty");
    }
    if head.starts_with(b"MZ") && head.get(4..8) == Some(b"zimg") {
        let detail = "an EFI zboot image, which only newer kernels take: unpack it, or use kexec_load";
        return (Verdict::Unknown, String::from(detail));
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return decide(false, "it is compressed by gzip, which this call does not unpack: use kexec_load");
    }
    match FlatImage::parse(head) {
        Ok(image) if image.arch != Arch::Arm64 => {
            decide(false, format!("it is an Image for {}", image.arch.name()))
        }
        Ok(_) => decide(true, "an Image for arm64"),
        Err(_) if FlatImage::is_one(head) => decide(true, "the magic of an Image"),
        Err(why) => decide(false, format!("it is no Image for arm64: {why}")),
    }
}

/// The header makes sense. How much of the file there must be, it does not tell: zeroed data is in
/// `image_size` and not in the file.
fn image_complete(facts: &Facts<'_>) -> Outcome {
    match FlatImage::parse(facts.candidate.head) {
        Err(why) => decide(false, why.to_string()),
        Ok(image) if image.endian != facts.machine.endian => {
            decide(false, "its byte order is not the running kernel's, whose core header it would not read")
        }
        Ok(image) => {
            let detail = format!(
                "{:#x} bytes of file for {:#x} of memory; an Image does not tell how long its file is",
                facts.candidate.kernel_size, image.image_size
            );
            (Verdict::Unknown, detail)
        }
    }
}

fn image_paging(facts: &Facts<'_>) -> Outcome {
    let running = facts.machine.page_size;
    match FlatImage::parse(facts.candidate.head).ok().and_then(|image| image.page_size) {
        Some(size) if size == running => {
            decide(true, format!("pages of {size:#x} bytes, as the running kernel's"))
        }
        Some(size) => {
            let detail = format!("pages of {size:#x} bytes, the running kernel's have {running:#x}");
            (Verdict::Unknown, format!("{detail}: whether every CPU has them is not known"))
        }
        None => (Verdict::Unknown, String::from("the image does not tell the size of its pages")),
    }
}

/// The kernel cuts off what is longer.
fn command_line(facts: &Facts<'_>) -> Outcome {
    let given = facts.candidate.cmdline_len;
    decide(given <= CMDLINE_LIMIT, format!("{given} bytes, the capture kernel takes {CMDLINE_LIMIT}"))
}

/// Places what the kernel places: the image, the header, the ramdisk and the device tree.
fn room(facts: &Facts<'_>) -> Outcome {
    let Some(region) = facts.machine.load_region() else { return decide(false, "there is no crash region") };
    match place(facts, region) {
        Ok(left) => decide(true, format!("{} MiB of the crash region are left", left / MIB)),
        // The kernel may place them otherwise, but makes none smaller.
        Err(why) if sizes(facts) <= region.size() => (Verdict::Unknown, why.to_string()),
        Err(why) => decide(false, why.to_string()),
    }
}

/// Bytes that kernel and ramdisk take, wherever they lie.
fn sizes(facts: &Facts<'_>) -> u64 {
    let image = FlatImage::parse(facts.candidate.head).map_or(0, |image| image.image_size);
    image.max(facts.candidate.kernel_size).saturating_add(facts.candidate.initrd_size)
}

/// Bytes of the region that are left.
fn place(facts: &Facts<'_>, region: PhysRange) -> Result<u64, Error> {
    let page = facts.machine.page_size.max(PAGE_SIZE);
    let mut placement = Placement::new(region, &RangeSet::new(), page)?;
    let mut take = |part, size, align, direction| {
        placement.place(&Request { part, size, align, min: 0, max: u64::MAX, direction })
    };
    let image = FlatImage::parse(facts.candidate.head).ok();
    let (offset, size) = image.map_or((0, 0), |image| (image.text_offset, image.image_size));
    let size = size.max(facts.candidate.kernel_size).saturating_add(offset);
    take("kernel", size, BASE_ALIGN, Direction::BottomUp)?;
    take("elfcorehdr", facts.elfcorehdr, page, Direction::TopDown)?;
    if facts.candidate.initrd_size != 0 {
        take("initrd", facts.candidate.initrd_size, page, Direction::TopDown)?;
    }
    // Its size is the running one's and a little more.
    let tree = facts.machine.device_tree.as_ref().map_or(PAGE_SIZE, |tree| tree.len() as u64);
    take("device tree", tree.min(TREE), TREE, Direction::TopDown)?;
    Ok(placement.free().total())
}
