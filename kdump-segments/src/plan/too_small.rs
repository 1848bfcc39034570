//! What is said of a region in which the parts do not fit: how much all of them take, and how
//! large the region must be.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use kdump_elf::PhysRange;

use super::builder::Images;
use crate::plan::{Layout, PlanInputs};
use crate::segment::Segment;
use crate::target::Target;
use crate::{AllParts, Error};

const MIB: u64 = 1 << 20;
/// No capture kernel is given more.
const MOST: u64 = 1 << 40;

/// Completes [`Error::NoRoom`]: the parts are laid out in regions with the same start, until one is
/// found in which all of them fit. Other errors pass through.
pub(crate) fn explain<'a>(
    target: &Target,
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
    error: Error,
) -> Error {
    let Error::NoRoom { part, need, align, min, max, .. } = error else { return error };
    let fits = smallest(target, inputs, images, region);
    let layout = fits.and_then(|size| (target.lay_out)(inputs, images, grown(region, size)?).ok());
    let total = layout.as_ref().map_or(0, |layout| layout.segments().iter().map(Segment::memsz).sum());
    let runs = layout.as_ref().and_then(|layout| layout.draft.need.as_ref()).map(|need| need.total_mib());
    let all = AllParts {
        total,
        fits_mib: fits.map(|size| size >> 20),
        runs_mib: runs,
        parts: layout.as_ref().map(list).unwrap_or_default(),
    };
    Error::NoRoom { part, need, align, min, max, region, all: Some(Box::new(all)) }
}

/// The smallest size, a multiple of 1 MiB, in which everything fits.
fn smallest<'a>(
    target: &Target,
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
) -> Option<u64> {
    let fits =
        |size| grown(region, size).is_some_and(|region| (target.lay_out)(inputs, images, region).is_ok());
    let mut too_small = region.size() / MIB;
    let mut step = 1_u64;
    let mut enough = loop {
        let size = too_small.checked_add(step)?;
        if size > MOST / MIB {
            return None;
        }
        if fits(size.checked_mul(MIB)?) {
            break size;
        }
        too_small = size;
        step = step.checked_mul(2)?;
    };
    while enough.checked_sub(too_small)? > 1 {
        let middle = too_small.midpoint(enough);
        if fits(middle.checked_mul(MIB)?) { enough = middle } else { too_small = middle }
    }
    enough.checked_mul(MIB)
}

fn grown(region: PhysRange, size: u64) -> Option<PhysRange> {
    PhysRange::from_len(region.start(), size).ok()
}

/// The parts, the largest first.
fn list(layout: &Layout<'_>) -> String {
    let mut segments: Vec<_> = layout.segments().iter().collect();
    segments.sort_by_key(|segment| core::cmp::Reverse(segment.memsz()));
    let mut out = String::new();
    for segment in segments {
        let comma = if out.is_empty() { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(out, "{comma}{} {} KiB", segment.kind.name(), segment.memsz().div_ceil(1024));
    }
    out
}
