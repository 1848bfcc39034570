//! Handing a plan to the running kernel, and taking it back.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;
use std::path::Path;

use kdump_ffi_core::{Chars, InOut, libkdump_error};
use kdump_segments::Machine;
use kdump_segments::cmdline::CommandLine;
use kdump_segments::load::{FileLoad, load_files, probe_environment, rights_refusal};

use crate::boundary::call;
use crate::dump_open::{optional_path, path_of};
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::plan::libkdump_plan;

/// Loads a plan with kexec_load(2), after the kernel's rules were applied to it.
///
/// When a rule fails the kernel is not asked, because it would drop the capture kernel that is
/// loaded before it looks at the new one.
///
/// Parameters: `plan` the plan; `error` may be NULL. Errors: LIBKDUMP_ERR_REFUSED; `os_errno` is 0
/// when the kernel was not asked, and the message names the rule or the cause and what to do.
/// LIBKDUMP_ERR_INVALID for the plan of a machine that was not collected from "/", unless it was made
/// with LIBKDUMP_PLAN_FOREIGN.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_load(
    plan: Lent<'_, libkdump_plan>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        if !handle.is_for_this_machine() {
            return Err(Failure::OtherMachine);
        }
        Ok::<_, Failure>(kdump_segments::load::load(&handle.plan, &handle.preflight()?)?)
    })
}

/// Has the running kernel read, verify and place a capture kernel itself (kexec_file_load(2)), after
/// everything that can be judged beforehand was.
///
/// When the images are incomplete, too large for the crash region or not images at all, when the
/// command line is too long or the caller may not load, the kernel is not asked, because it would
/// drop the capture kernel that is loaded before it looks at the new one.
///
/// Parameters: `kernel` file name of the image; `initrd` file name of the initial ramdisk, NULL for
/// none; `cmdline` the command line, to which the kernel adds elfcorehdr=; `error` may be NULL.
/// Errors: LIBKDUMP_ERR_REFUSED, with `os_errno` 0 when the kernel was not asked; LIBKDUMP_ERR_IO,
/// LIBKDUMP_ERR_FORMAT for what is no regular file, LIBKDUMP_ERR_TRUNCATED for a file that became shorter
/// meanwhile; those of libkdump_machine_collect().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_load_files(
    kernel: Chars<'_>,
    initrd: Chars<'_>,
    cmdline: Chars<'_>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let (kernel, initrd) = (path_of(kernel, "kernel")?, optional_path(initrd));
        let cmdline = CommandLine::new(cmdline.get("cmdline")?)?;
        if let Some(refused) = rights_refusal() {
            return Err(refused.into());
        }
        let load = FileLoad::open(&kernel, initrd.as_deref(), cmdline)?;
        let root = Path::new("/");
        let machine = Machine::collect(root)?;
        let report = load.preflight(&machine, &probe_environment(&machine, root)?)?;
        Ok::<_, Failure>(load_files(&load, &report)?)
    })
}

/// Removes the capture kernel that is loaded; it is no error when there is none.
///
/// Parameters: `error` may be NULL. Errors: LIBKDUMP_ERR_REFUSED with `os_errno`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_unload(error: InOut<'_, libkdump_error>) -> c_int {
    call(error, || Ok::<_, Failure>(kdump_segments::load::unload()?))
}
