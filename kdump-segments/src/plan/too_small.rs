//! What is said of a region in which the parts do not fit: how much all of them take, and how
//! large the region must be.

use alloc::boxed::Box;
use alloc::string::String;

use kdump_elf::PhysRange;

use super::builder::Images;
use crate::plan::{Layout, PlanInputs};
use crate::segment::Segment;
use crate::target::Target;
use crate::{AllParts, Error, room};

const MIB: u64 = 1 << 20;
/// No capture kernel is given more.
const MOST: u64 = 1 << 40;

/// Completes [`Error::NoRoom`]: the parts are laid out in regions with the same start, until one is
/// found in which all of them fit. Other errors pass through.
///
/// # Errors
/// [`Error::OutOfMemory`], which no region cures.
pub(crate) fn explain<'a>(
    target: &Target,
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: PhysRange,
    error: Error,
) -> Result<Error, Error> {
    let Error::NoRoom { part, need, align, min, max, .. } = error else { return Ok(error) };
    let in_size = |size| lay_out(target, inputs, images, grown(region, size));
    let fits = smallest(region, |size| Ok(in_size(size)?.is_some()))?;
    let layout = fits.map_or(Ok(None), in_size)?;
    let total = layout.as_ref().map_or(0, |layout| layout.segments().iter().map(Segment::memsz).sum());
    let runs = layout.as_ref().and_then(|layout| layout.draft.need.as_ref()).map(|need| need.total_mib());
    let all = AllParts {
        total,
        fits_mib: fits.map(|size| size >> 20),
        runs_mib: runs,
        parts: layout.as_ref().map(list).transpose()?.unwrap_or_default(),
    };
    Ok(Error::NoRoom { part, need, align, min, max, region, all: Some(Box::new(all)) })
}

/// The layout in a region, `None` where it does not fit.
fn lay_out<'a>(
    target: &Target,
    inputs: &PlanInputs<'a>,
    images: &Images<'a>,
    region: Option<PhysRange>,
) -> Result<Option<Layout<'a>>, Error> {
    let Some(region) = region else { return Ok(None) };
    match (target.lay_out)(inputs, images, region) {
        Err(error @ Error::OutOfMemory { .. }) => Err(error),
        layout => Ok(layout.ok()),
    }
}

/// The smallest size, a multiple of 1 MiB, in which everything fits.
fn smallest(region: PhysRange, fits: impl Fn(u64) -> Result<bool, Error>) -> Result<Option<u64>, Error> {
    let fits = |mib: u64| mib.checked_mul(MIB).map_or(Ok(false), &fits);
    let mut too_small = region.size() / MIB;
    let mut step = 1_u64;
    let mut enough = loop {
        let size = too_small.saturating_add(step);
        if size > MOST / MIB {
            return Ok(None);
        }
        if fits(size)? {
            break size;
        }
        too_small = size;
        step = step.saturating_mul(2);
    };
    while enough.saturating_sub(too_small) > 1 {
        let middle = too_small.midpoint(enough);
        if fits(middle)? { enough = middle } else { too_small = middle }
    }
    Ok(enough.checked_mul(MIB))
}

fn grown(region: PhysRange, size: u64) -> Option<PhysRange> {
    PhysRange::from_len(region.start(), size).ok()
}

/// The parts, the largest first.
fn list(layout: &Layout<'_>) -> Result<String, Error> {
    let mut segments = room::collect("segments", layout.segments())?;
    segments.sort_unstable_by_key(|segment| (core::cmp::Reverse(segment.memsz()), segment.mem()));
    let mut out = String::new();
    for segment in segments {
        let comma = if out.is_empty() { "" } else { ", " };
        let (name, kib) = (segment.kind.name(), segment.memsz().div_ceil(1024));
        room::print(&mut out, "the list of parts", format_args!("{comma}{name} {kib} KiB"))?;
    }
    Ok(out)
}
