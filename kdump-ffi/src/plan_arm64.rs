//! What only plans for arm64 say.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_ffi_core::{InOut, extensible, libkdump_error};
use kdump_segments::plan::Plan;
use kdump_segments::target::device_tree::DeviceTreePlan;

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::plan::libkdump_plan;
use crate::range::{LIBKDUMP_MEMORY_RAM, libkdump_range};
use crate::texts::{count, step};

/// What only plans for arm64 have. The device tree is a segment.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_plan_arm64 {
    /// `sizeof (struct libkdump_plan_arm64)`, set by the caller.
    pub size: u32,
    /// Number of ranges the capture kernel is told (libkdump_plan_usable()).
    pub usable: u32,
    /// Bytes from a multiple of 2 MiB to the kernel.
    pub text_offset: u64,
}

extensible!(libkdump_plan_arm64 { usable: u32, text_offset: u64 });

/// What only plans for arm64 have.
///
/// Parameters: `plan` the plan; `out` receives it; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_NOT_FOUND when the plan is for another architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_get_arm64(
    plan: Lent<'_, libkdump_plan>,
    out: InOut<'_, libkdump_plan_arm64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        let place = out.place("out")?;
        let DeviceTreePlan { usable, text_offset, .. } = arm64(&handle.plan)?;
        let arm64 = libkdump_plan_arm64 { size: 0, usable: count(usable.len()), text_offset: *text_offset };
        place.set(arm64);
        Ok::<_, Failure>(())
    })
}

/// One range of the memory an arm64 capture kernel is told to use, the one it is loaded into first.
///
/// Parameters: `plan` the plan; `index` from 0; `out` receives the range, of kind LIBKDUMP_MEMORY_RAM;
/// `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors: LIBKDUMP_ERR_NOT_FOUND when
/// the plan is for another architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_usable(
    plan: Lent<'_, libkdump_plan>,
    index: u32,
    out: InOut<'_, libkdump_range>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        out.place("out")?;
        let range = |range: &_| libkdump_range::new(LIBKDUMP_MEMORY_RAM, *range);
        Ok::<_, Failure>(step(out, &arm64(&handle.plan)?.usable, index, range)?)
    })
}

fn arm64<'p>(plan: &'p Plan<'_>) -> Result<&'p DeviceTreePlan, Failure> {
    let other = kdump_ffi_core::Failure::OtherArch { plan: plan.arch.name(), wanted: "arm64" };
    Ok(plan.device_tree().ok_or(other)?)
}
