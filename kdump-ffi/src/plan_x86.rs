//! What only plans for x86 say.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_ffi_core::{InOut, extensible, libkdump_error};
use kdump_segments::plan::Plan;
use kdump_segments::target::x86::X86Plan;
use kdump_segments::target::x86::e820::E820Entry;

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::plan::libkdump_plan;
use crate::range::{libkdump_range, memory_number};
use crate::texts::{count, step};

/// What only plans for x86 have.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_plan_x86 {
    /// `sizeof (struct libkdump_plan_x86)`, set by the caller.
    pub size: u32,
    /// Number of ranges the capture kernel is told (libkdump_plan_e820()).
    pub e820: u32,
    /// Highest address the initial ramdisk may end at, inclusive.
    pub initrd_limit: u64,
}

extensible!(libkdump_plan_x86 { e820: u32, initrd_limit: u64 });

/// What only plans for x86 have.
///
/// Parameters: `plan` the plan; `out` receives it; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_NOT_FOUND when the plan is for another architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_get_x86(
    plan: Lent<'_, libkdump_plan>,
    out: InOut<'_, libkdump_plan_x86>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        let place = out.place("out")?;
        let X86Plan { e820, initrd_limit, .. } = x86(&handle.plan)?;
        let x86 = libkdump_plan_x86 { size: 0, e820: count(e820.len()), initrd_limit: *initrd_limit };
        place.set(x86);
        Ok::<_, Failure>(())
    })
}

/// One range of the memory map an x86 capture kernel is given.
///
/// Parameters: `plan` the plan; `index` from 0; `out` receives the range with a LIBKDUMP_MEMORY_
/// kind; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
/// LIBKDUMP_ERR_NOT_FOUND when the plan is for another architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_e820(
    plan: Lent<'_, libkdump_plan>,
    index: u32,
    out: InOut<'_, libkdump_range>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        out.place("out")?;
        let range = |entry: &E820Entry| libkdump_range::new(memory_number(entry.kind), entry.range);
        Ok::<_, Failure>(step(out, &x86(&handle.plan)?.e820, index, range)?)
    })
}

fn x86<'p>(plan: &'p Plan<'_>) -> Result<&'p X86Plan, Failure> {
    let other = kdump_ffi_core::Failure::OtherArch { plan: plan.arch.name(), wanted: "x86" };
    Ok(plan.x86().ok_or(other)?)
}
