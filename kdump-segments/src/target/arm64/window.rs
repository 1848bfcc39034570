//! Where an arm64 kernel reaches its ramdisk and device tree (Documentation/arch/arm64/booting.rst).

use alloc::format;

use kdump_elf::{PhysRange, align_down, align_up};

use crate::preflight::{Checked, Outcome};
use crate::segment::{Segment, SegmentKind};

/// Kernel and ramdisk lie in one window of 32 GiB that begins at a multiple of 1 GiB.
const ALIGN: u64 = 1 << 30;
const WINDOW: u64 = 32 << 30;

/// Where ramdisk and device tree may lie.
pub(super) fn window(kernel: PhysRange) -> PhysRange {
    let start = align_down(kernel.start(), ALIGN);
    let last = start.saturating_add(WINDOW).saturating_sub(1).min(u64::MAX.saturating_sub(1));
    PhysRange::from_inclusive(start, last).unwrap_or(kernel)
}

pub(super) fn initrd_reachable(Checked { plan, .. }: &Checked<'_>) -> Outcome {
    let used = |segment: &&Segment<'_>| matches!(segment.kind, SegmentKind::Kernel | SegmentKind::Initrd);
    let size = window_size(plan.segments.iter().filter(used).map(|segment| segment.range));
    if size > WINDOW {
        return Err(format!("kernel and ramdisk lie in {size:#x} bytes, the limit is {WINDOW:#x}"));
    }
    Ok(format!("kernel and ramdisk lie in {size:#x} bytes of {WINDOW:#x}"))
}

/// The end of what kernel and ramdisk take, as a window counts.
fn window_size(parts: impl Iterator<Item = PhysRange>) -> u64 {
    let (start, end) = parts.fold((u64::MAX, 0), |(start, end), range| {
        (align_down(range.start(), ALIGN).min(start), range.end().max(end))
    });
    align_up(end, ALIGN).unwrap_or(u64::MAX).saturating_sub(start)
}
