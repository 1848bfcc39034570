//! The rule that reads back what an x86 capture kernel is told.

use alloc::format;
use alloc::string::String;

use super::{BOOT_PARAMS_SIZE, offsets as at};
use crate::le::{array, u32_at};
use crate::plan::Plan;
use crate::preflight::{Checked, Outcome};
use crate::segment::{Segment, SegmentKind};

/// The page must be there, with a setup header, the plan's command line and the plan's ramdisk: a
/// kernel told otherwise comes up without them, or not at all.
pub(in crate::target::x86) fn boot_params(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let segment = plan.segment(SegmentKind::BootParams);
    let Some(segment) = segment else { return Err(String::from("there is none")) };
    let page = segment.data.get(..BOOT_PARAMS_SIZE);
    let page = page
        .ok_or_else(|| format!("{:#x} bytes, less than the page {BOOT_PARAMS_SIZE:#x}", segment.bufsz()))?;
    let (magic, flag) = (array::<4>(page, at::HEADER), array::<2>(page, at::BOOT_FLAG));
    if (magic, flag) != (Some(*b"HdrS"), Some([0x55, 0xaa])) {
        return Err(format!("no setup header: magic {magic:x?}, boot_flag {flag:x?}"));
    }
    let cmdline = joined(page, at::CMD_LINE_PTR, at::EXT_CMD_LINE_PTR);
    let wanted = plan.cmdline.as_str().as_bytes();
    if text_at(plan, cmdline, wanted.len()) != Some((wanted, &[0][..])) {
        return Err(format!("cmd_line_ptr is {cmdline:#x}, where the plan's command line is not"));
    }
    let image = joined(page, at::RAMDISK_IMAGE, at::EXT_RAMDISK_IMAGE);
    let size = joined(page, at::RAMDISK_SIZE, at::EXT_RAMDISK_SIZE);
    let initrd = plan.segment(SegmentKind::Initrd).map(|initrd| (initrd.mem(), initrd.bufsz()));
    let (start, bytes) = initrd.unwrap_or((0, 0));
    if (image, size) != (start, bytes) {
        return Err(format!(
            "ramdisk_image is {image:#x} and ramdisk_size {size:#x}, the plan's ramdisk has {start:#x} and {bytes:#x}"
        ));
    }
    Ok(format!("at {:#x}, command line at {cmdline:#x}, ramdisk at {image:#x}", segment.mem()))
}

/// A number whose halves stand apart.
fn joined(page: &[u8], low: usize, high: usize) -> u64 {
    let half = |offset| u64::from(u32_at(page, offset).unwrap_or(0));
    half(high) << 32 | half(low)
}

/// The `len` bytes that will stand at `address`, and the one behind them.
fn text_at<'p>(plan: &'p Plan<'_>, address: u64, len: usize) -> Option<(&'p [u8], &'p [u8])> {
    let holds = |segment: &&Segment<'_>| segment.range.contains(address);
    let segment = plan.segments.iter().find(holds)?;
    let offset = usize::try_from(address.checked_sub(segment.mem())?).ok()?;
    let text = segment.data.get(offset..)?.get(..len.checked_add(1)?)?;
    text.split_at_checked(len)
}
