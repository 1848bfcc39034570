//! The `crashkernel=` to set for a capture kernel.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use kdump_elf::{PhysRange, align_up};

use super::{BOUNCE, CaptureNeed, MIB};
use crate::crashkernel::{CrashkernelLimits, CrashkernelRequest};
use crate::image::Image;
use crate::plan::{Layout, PlanInputs};
use crate::{Error, Machine, RangeSet};

/// Sizes are rounded up to this, the alignment of crash regions on x86.
pub const GRANULE: u64 = 16 * MIB;
/// Where a trial region begins and ends: around every address a kernel can be linked for.
const TRIAL: (u64, u64) = (16 * MIB, 2 << 30);
/// A place that makes a region touch as many sections of memory as it can.
const ASTRIDE: u64 = (1 << 30) - GRANULE;
/// Rounds until need and size agree; each adds a section at most.
const ROUNDS: usize = 64;

/// A `crashkernel=` in which the capture kernel can live.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suggestion {
    /// Bytes of the region, a multiple of [`GRANULE`].
    pub size: u64,
    /// Where it must begin, for a kernel that cannot be moved.
    pub base: Option<u64>,
    /// Whether it is to lie above 4 GiB, as the running kernel's does.
    pub high: bool,
    /// What it is for.
    pub need: CaptureNeed,
    /// What speaks against it on this machine, in sentences.
    pub remarks: Vec<String>,
}

/// The parameter, as it stands on a command line.
impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crashkernel={}M", self.size >> 20)?;
        if let Some(base) = self.base {
            write!(f, "@{}M", base >> 20)?;
        }
        f.write_str(if self.high { ",high" } else { "" })
    }
}

/// Says how large a crash region `inputs` needs. The machine may have none: the parts are laid out
/// in a region of the right size, wherever that may lie.
///
/// # Errors
/// Those of [`Layout::new`] but [`Error::NoCrashRegion`], and [`Error::Conflict`] for an
/// architecture of which no estimate can be made.
pub fn suggest(inputs: &PlanInputs<'_>) -> Result<Suggestion, Error> {
    let mut trial = inputs.machine.clone();
    trial.crash_claimed = RangeSet::new();
    trial.cma_ranges = RangeSet::new();
    trial.crash_regions = PhysRange::from_half_open(TRIAL.0, TRIAL.1).into_iter().collect();
    let options = crate::plan::PlanOptions { mem_min: None, mem_max: None, ..inputs.options.clone() };
    let trial_inputs = PlanInputs { machine: &trial, options: &options, ..*inputs };
    let layout = Layout::new(&trial_inputs)?;
    let base = fixed_base(inputs)?;
    let high = base.is_none() && asked_high(inputs.machine)?;
    let need_in = |size| need_in(&layout, size, high);
    let Some(need) = settle(need_in)? else {
        let reason = match need_in(GRANULE)? {
            None => format!("what a capture kernel for {} needs is not known", trial.arch.name()),
            Some(need) => format!("no region has what it needs: {need}"),
        };
        return Err(Error::Conflict { what: "suggest", reason });
    };
    let size = fitting(inputs, &options, &trial, need.room)?;
    let need = need_in(size)?.unwrap_or(need);
    let mut remarks = Vec::new();
    if let Some(why) = no_place(inputs.machine, size, base, high)? {
        remarks.push(format!("this machine may not have room for it: {why}"));
    }
    Ok(Suggestion { size, base, high, need, remarks })
}

/// The need in a region of `size` bytes at its most expensive place. What must lie low goes to the
/// low region that accompanies a high one.
fn need_in(layout: &Layout<'_>, size: u64, high: bool) -> Result<Option<CaptureNeed>, Error> {
    let mut need = layout.need_in(&RangeSet::from_ranges(PhysRange::from_len(ASTRIDE, size))?)?;
    if let Some(need) = &mut need {
        need.items.retain(|item| !high || item.name != BOUNCE);
    }
    Ok(need)
}

/// The need in the smallest region that has as much.
fn settle(need_in: impl Fn(u64) -> Result<Option<CaptureNeed>, Error>) -> Result<Option<CaptureNeed>, Error> {
    let mut size = GRANULE;
    for _ in 0..ROUNDS {
        let Some(need) = need_in(size)? else { return Ok(None) };
        let Some(wanted) = align_up(need.total(), GRANULE) else { return Ok(None) };
        if wanted <= size {
            return Ok(Some(need));
        }
        size = wanted;
    }
    Ok(None)
}

/// `size`, or what the placement of the parts takes where that is more.
fn fitting(
    inputs: &PlanInputs<'_>,
    options: &crate::plan::PlanOptions,
    trial: &Machine,
    size: u64,
) -> Result<u64, Error> {
    let mut machine = trial.clone();
    machine.crash_regions = PhysRange::from_len(TRIAL.0, size).into_iter().collect();
    match Layout::new(&PlanInputs { machine: &machine, options, ..*inputs }) {
        Ok(_) => Ok(size),
        Err(Error::NoRoom { all: Some(all), .. }) if all.fits_mib.is_some() => {
            let fits = all.fits_mib.unwrap_or(0).saturating_mul(MIB);
            Ok(align_up(fits, GRANULE).unwrap_or(size))
        }
        Err(error) => Err(error),
    }
}

/// Where a region must begin for a kernel that runs at one address only.
fn fixed_base(inputs: &PlanInputs<'_>) -> Result<Option<u64>, Error> {
    Ok(match Image::parse(inputs.kernel, inputs.machine.page_size)? {
        Image::BzImage(image) if !image.header.relocatable_kernel => Some(image.header.pref_address),
        Image::Vmlinux(image) if !image.relocatable => Some(image.span()?.start()),
        _ => None,
    }
    .map(|base| base & !(MIB - 1)))
}

/// Whether the running kernel was asked for a region above 4 GiB.
fn asked_high(machine: &Machine) -> Result<bool, Error> {
    let request = CrashkernelRequest::parse(&machine.cmdline, machine.ram()?.total(), machine.arch);
    Ok(request.is_ok_and(|request| request.is_some_and(|request| request.high)))
}

/// Why the running kernel could not reserve that, as far as its memory map tells.
fn no_place(machine: &Machine, size: u64, base: Option<u64>, high: bool) -> Result<Option<String>, Error> {
    let Some(limits) = CrashkernelLimits::of(machine.arch) else { return Ok(None) };
    let request = CrashkernelRequest::new(size).base(base).high(high);
    let free = machine.free_at_boot()?;
    Ok(request.would_reserve(&free, &limits).err().map(|error| error.to_string()))
}
