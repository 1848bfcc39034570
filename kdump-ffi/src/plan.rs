//! A plan: made from a machine and files, freed by the caller.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kdump_ffi_core::{In, InOut, Out, call, libkdump_error};
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::Machine;
use kdump_segments::load::probe_environment;
use kdump_segments::plan::{Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Report, check_plan};

use crate::failure::Failure;
use crate::handle::{Handle, Poison, enter, free};
use crate::held::Held;
use crate::machine::libkdump_machine;
use crate::plan_options::{
    LIBKDUMP_PLAN_FOREIGN, convert, initrd, kernel, libkdump_plan_options, name_kernel, purgatory,
};
use crate::texts::text;

/// A complete crash load. It does not need the machine any more. Any number of threads may use one
/// at the same time.
#[derive(Debug)]
pub struct libkdump_plan {
    poison: Poison,
    /// Borrows from the next field, hence dropped before it.
    pub(crate) plan: Plan<'static>,
    _inputs: Held<Inputs>,
    pub(crate) machine: Arc<Machine>,
    root: PathBuf,
    /// Whether it may be loaded although it was made for another machine.
    foreign: bool,
    pub(crate) cmdline: CString,
    pub(crate) notes: Vec<CString>,
}

/// What the plan was made from.
#[derive(Debug)]
struct Inputs {
    machine: Arc<Machine>,
    kernel: Vec<u8>,
    initrd: Option<Vec<u8>>,
    options: PlanOptions,
    purgatory: ObjectPurgatory,
}

impl Handle for libkdump_plan {
    fn poison(&self) -> &Poison {
        &self.poison
    }
}

impl libkdump_plan {
    /// Whether the plan may be given to the running kernel: addresses of another machine are not
    /// those of this one.
    pub(crate) fn is_for_this_machine(&self) -> bool {
        self.foreign || self.root.canonicalize().is_ok_and(|root| root == Path::new("/"))
    }

    /// The kernel's rules applied to the plan, in the state the machine is in now.
    pub(crate) fn preflight(&self) -> Report {
        check_plan(&self.plan, &self.machine, &probe_environment(&self.machine, &self.root))
    }
}

/// Plans a crash load: reads the files, places the segments, links the purgatory.
///
/// Parameters: `machine` the machine that may crash; `options` what the plan is made from; `plan`
/// receives the handle, to be freed with libkdump_plan_free(); `error` may be NULL. Nothing is loaded.
/// Errors: LIBKDUMP_ERR_NOT_FOUND when no crash region is reserved, LIBKDUMP_ERR_IO,
/// LIBKDUMP_ERR_FORMAT when the file is no kernel image, LIBKDUMP_ERR_TOO_LARGE with `need` when
/// there is no room, LIBKDUMP_ERR_UNSUPPORTED for an architecture (libkdump_has()).
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_new(
    machine: Option<&libkdump_machine>,
    options: In<'_, libkdump_plan_options>,
    plan: Out<'_, Option<Box<libkdump_plan>>>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let options = options.get("options")?;
        let made = make(&handle, &options)?;
        Ok::<_, Failure>(plan.set("plan", Some(Box::new(made)))?)
    })
}

/// Frees a plan and everything lent by it.
///
/// Parameters: `plan` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_free(plan: Option<Box<libkdump_plan>>) {
    free(plan);
}

fn make(handle: &libkdump_machine, options: &libkdump_plan_options) -> Result<libkdump_plan, Failure> {
    let machine = Arc::clone(&handle.machine);
    let region = machine.load_region().ok_or_else(|| machine.why_no_region())?.size();
    let (held, inputs) = Held::new(Inputs {
        options: convert(options)?,
        purgatory: match purgatory(options)? {
            Some(object) => object,
            None => ObjectPurgatory::builtin(machine.arch)?,
        },
        kernel: kernel(options, region)?,
        initrd: initrd(options, region)?,
        machine,
    });
    let plan = Plan::new(&PlanInputs {
        machine: &inputs.machine,
        kernel: &inputs.kernel,
        initrd: inputs.initrd.as_deref(),
        options: &inputs.options,
        purgatory: &inputs.purgatory,
    })
    .map_err(|error| name_kernel(options, error))?;
    Ok(libkdump_plan {
        poison: Poison::default(),
        cmdline: text(plan.cmdline.as_str()),
        notes: plan.notes.iter().map(text).collect(),
        plan,
        _inputs: held,
        machine: Arc::clone(&handle.machine),
        root: handle.root.clone(),
        foreign: options.flags & LIBKDUMP_PLAN_FOREIGN != 0,
    })
}
