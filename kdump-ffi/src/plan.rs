//! A plan: made from a machine and files, freed by the caller.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kdump_ffi_core::{In, InOut, Out, libkdump_error};
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::Machine;
use kdump_segments::load::probe_environment;
use kdump_segments::plan::{Plan, PlanInputs};
use kdump_segments::preflight::{Report, check_plan};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free, give};
use crate::machine::libkdump_machine;
use crate::plan_options::{
    LIBKDUMP_PLAN_FOREIGN, convert, initrd, kernel, libkdump_plan_options, name_kernel, purgatory,
};
use crate::texts::text;

/// A complete crash load. It does not need the machine any more. Any number of threads may use one
/// at the same time.
#[derive(Debug)]
pub struct libkdump_plan {
    pub(crate) plan: Plan<'static>,
    pub(crate) machine: Arc<Machine>,
    root: PathBuf,
    /// Whether it may be loaded although it was made for another machine.
    foreign: bool,
    pub(crate) cmdline: CString,
    pub(crate) notes: Vec<CString>,
}

impl Handle for libkdump_plan {
    const TAG: u32 = 0x6e616c70;
}

impl libkdump_plan {
    /// Whether the plan may be given to the running kernel: addresses of another machine are not
    /// those of this one.
    pub(crate) fn is_for_this_machine(&self) -> bool {
        self.foreign || self.root.canonicalize().is_ok_and(|root| root == Path::new("/"))
    }

    /// The kernel's rules applied to the plan, in the state the machine is in now.
    pub(crate) fn preflight(&self) -> Result<Report, kdump_segments::Error> {
        check_plan(&self.plan, &self.machine, &probe_environment(&self.machine, &self.root)?)
    }
}

/// Plans a crash load: reads the files, places the segments, links the purgatory.
///
/// Parameters: `machine` the machine that may crash; `options` what the plan is made from; `plan`
/// receives the handle, to be freed with libkdump_plan_free(); `error` may be NULL. Nothing is loaded.
/// Errors: LIBKDUMP_ERR_NOT_FOUND when no crash region is reserved, LIBKDUMP_ERR_IO,
/// LIBKDUMP_ERR_FORMAT when the file is no kernel image or no regular file, LIBKDUMP_ERR_TRUNCATED
/// for an image that is cut, LIBKDUMP_ERR_CORRUPT for one with a field that cannot be right or a
/// purgatory that cannot be linked, LIBKDUMP_ERR_TOO_LARGE with `need` when there is no room or the
/// command line is too long, LIBKDUMP_ERR_REFUSED when a part with a fixed address lies outside the
/// crash region, LIBKDUMP_ERR_INVALID also for options that contradict each other or the machine,
/// LIBKDUMP_ERR_UNSUPPORTED for an architecture (libkdump_has()).
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_new(
    machine: Lent<'_, libkdump_machine>,
    options: In<'_, libkdump_plan_options>,
    plan: Out<'_, *mut libkdump_plan>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let options = options.get("options")?;
        let made = make(&handle, &options)?;
        give(plan, "plan", made)
    })
}

/// Frees a plan and everything lent by it.
///
/// Parameters: `plan` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_free(plan: Given<'_, libkdump_plan>) {
    free(plan);
}

fn make(handle: &libkdump_machine, options: &libkdump_plan_options) -> Result<libkdump_plan, Failure> {
    let machine = Arc::clone(&handle.machine);
    let region = machine.load_region().ok_or_else(|| machine.why_no_region())?.size();
    let options_of_planner = convert(options)?;
    let purgatory = match purgatory(options)? {
        Some(object) => object,
        None => ObjectPurgatory::builtin(machine.arch)?,
    };
    let (kernel, initrd) = (kernel(options, region)?, initrd(options, region)?);
    let inputs =
        PlanInputs::new(&machine, &kernel, &purgatory).initrd(initrd.as_deref()).options(&options_of_planner);
    let plan = Plan::new(&inputs).map_err(|error| name_kernel(options, error))?.into_owned()?;
    Ok(libkdump_plan {
        cmdline: text(plan.cmdline.as_str()),
        notes: plan.remarks.iter().map(text).collect(),
        plan,
        machine,
        root: handle.root.clone(),
        foreign: options.flags & LIBKDUMP_PLAN_FOREIGN != 0,
    })
}
