//! Handing a plan to the running kernel, and taking it back.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;
use std::fs::File;

use kdump_ffi_core::{Chars, InOut, call, libkdump_error};
use kdump_segments::cmdline::CommandLine;

use crate::dump_open::{optional_path, path_of};
use crate::failure::Failure;
use crate::handle::enter;
use crate::plan::libkdump_plan;

/// Loads a plan with kexec_load(2), after the kernel's rules were applied to it.
///
/// When a rule fails the kernel is not asked, because it would drop the capture kernel that is
/// loaded before it looks at the new one.
///
/// Parameters: `plan` the plan; `error` may be NULL. Errors: LIBKDUMP_ERR_REFUSED; `os_errno` is 0
/// when the kernel was not asked, and the message names the rule or the cause and what to do.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_load(
    plan: Option<&libkdump_plan>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        Ok::<_, Failure>(kdump_segments::load::load(&handle.plan, &handle.preflight())?)
    })
}

/// Has the running kernel read, verify and place a capture kernel itself (kexec_file_load(2)).
///
/// Parameters: `kernel` file name of the image; `initrd` file name of the initial ramdisk, NULL for
/// none; `cmdline` the complete command line; `error` may be NULL. Errors: LIBKDUMP_ERR_IO,
/// LIBKDUMP_ERR_REFUSED with `os_errno`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_load_files(
    kernel: Chars<'_>,
    initrd: Chars<'_>,
    cmdline: Chars<'_>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let open = |path: std::path::PathBuf| File::open(&path).map_err(|error| Failure::Io { path, error });
        let kernel = open(path_of(kernel, "kernel")?)?;
        let initrd = optional_path(initrd).map(open).transpose()?;
        let cmdline = CommandLine::new(cmdline.get("cmdline")?)?;
        Ok::<_, Failure>(kdump_segments::load::load_files(&kernel, initrd.as_ref(), &cmdline)?)
    })
}

/// Removes the capture kernel that is loaded; it is no error when there is none.
///
/// Parameters: `error` may be NULL. Errors: LIBKDUMP_ERR_REFUSED with `os_errno`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_unload(error: InOut<'_, libkdump_error>) -> c_int {
    call(error, || Ok::<_, Failure>(kdump_segments::load::unload()?))
}
