//! Hands plans to the running kernel: the rim of this crate.

mod advice;
mod file_rules;
mod files;
mod image_file;
mod loaded;
mod probe;
mod status;
mod syscall;
mod trial;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kdump_elf::Arch;

pub use advice::{SyscallKind, explain, refusal};
pub use file_rules::{FileCandidate, check_files};
pub use files::FileLoad;
pub use image_file::ImageFile;
pub use probe::probe_environment;
pub use status::{Advice, LoadRecord, Status};

use crate::cmdline::CommandLine;
use crate::plan::{Plan, command_line};
use crate::preflight::Report;
use crate::{Errno, Error, Machine, MemoryMap};

const KEXEC_ON_CRASH: u64 = 1;
const KEXEC_FILE_UNLOAD: u64 = 1;
const KEXEC_FILE_ON_CRASH: u64 = 2;
const KEXEC_FILE_NO_INITRAMFS: u64 = 4;

/// Loads `plan` with kexec_load(2), after `report` found nothing against it.
///
/// # Errors
/// [`Error::Preflight`] when a rule fails: the kernel is not asked, because it would drop the
/// capture kernel that is armed. [`Error::Syscall`] when the kernel refuses.
pub fn load(plan: &Plan<'_>, report: &Report) -> Result<(), Error> {
    if let Some(error) = refusal(report) {
        return Err(error);
    }
    syscall::kexec_load(plan.entry, &plan.segments, plan.flags.bits())
        .map_err(|errno| failed(SyscallKind::Load, errno))
}

/// Has the running kernel read, verify and place the images of `load` itself
/// (kexec_file_load(2)), after `report` found nothing against it. Where a capture kernel is armed,
/// the image is tried as kernel of the next reboot first, because only the running kernel knows
/// whether it trusts a signature; not so where one waits for the next reboot or where loads
/// are counted (kernel.kexec_load_limit_reboot).
///
/// # Errors
/// [`Error::Preflight`] when a rule or the trial fails: the kernel is not asked, because it would
/// drop the capture kernel that is armed. [`Error::Syscall`] when the kernel refuses.
pub fn load_files(load: &FileLoad, report: &Report) -> Result<(), Error> {
    if let Some(error) = refusal(report) {
        return Err(error);
    }
    trial::image(load)?;
    let flags = KEXEC_FILE_ON_CRASH | if load.initrd().is_none() { KEXEC_FILE_NO_INITRAMFS } else { 0 };
    let initrd = load.initrd().map_or(-1, |initrd| initrd.file().as_raw_fd());
    let kernel = load.kernel().file().as_raw_fd();
    syscall::kexec_file_load(kernel, initrd, Some(load.cmdline().as_str()), flags)
        .map_err(|errno| failed(SyscallKind::FileLoad, errno))
}

/// The command line for [`load_files`]: `text`, behind the running kernel's when that is
/// reused, without what must not reach a capture kernel; what was removed of it is said in
/// `notes`.
///
/// # Errors
/// [`Error::CommandLineNul`] and [`Error::Conflict`].
pub fn file_command_line(
    running: Option<&str>,
    text: &str,
    notes: &mut Vec<String>,
) -> Result<CommandLine, Error> {
    command_line::base(running, text, notes)
}

/// What forbids every load on the running system, whatever the images; `None` when nothing is
/// known to.
#[must_use]
pub fn rights_refusal() -> Option<Error> {
    // The rights do not depend on the machine.
    let machine = Machine::new(Arch::X86_64, 4096, MemoryMap::new());
    match probe_environment(&machine, Path::new("/")) {
        Ok(environment) => refusal(&file_rules::check_rights(&environment)),
        Err(error) => Some(error),
    }
}

/// Removes the capture kernel that is loaded; it is no error when there is none.
///
/// # Errors
/// [`Error::Syscall`] when both system calls refuse.
pub fn unload() -> Result<(), Error> {
    match syscall::kexec_load(0, &[], KEXEC_ON_CRASH) {
        Ok(()) => Ok(()),
        Err(Errno::ENOSYS | Errno::EPERM) => {
            syscall::kexec_file_load(-1, -1, None, KEXEC_FILE_UNLOAD | KEXEC_FILE_ON_CRASH)
                .map_err(|errno| failed(SyscallKind::Unload, errno))
        }
        Err(errno) => Err(failed(SyscallKind::Unload, errno)),
    }
}

/// Whether a failed [`load`] leaves [`load_files`] worth a try: the kernel does not have the
/// call, does not take its arguments, or allows only what it can verify itself.
#[must_use]
pub fn files_may_do(error: &Error) -> bool {
    let other = [Errno::ENOSYS, Errno::EPERM, Errno::EINVAL, Errno::EOPNOTSUPP];
    match error {
        Error::Syscall { errno, .. } => other.contains(&Errno(*errno)),
        Error::Preflight { rule, .. } => *rule == "lockdown",
        _ => false,
    }
}

/// 32 random bytes from the system, to seed the capture kernel.
///
/// # Errors
/// [`Error::Io`] when /dev/urandom cannot be read.
pub fn random_seed() -> Result<[u8; 32], Error> {
    use std::io::Read;
    let path = "/dev/urandom";
    let mut seed = [0; 32];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut seed));
    read.map_err(|source| Error::Io { path: String::from(path), source })?;
    Ok(seed)
}

fn failed(kind: SyscallKind, errno: Errno) -> Error {
    let (cause, advice) = explain(kind, errno);
    Error::Syscall {
        call: kind.name(),
        errno: errno.0,
        name: errno.name(),
        cause,
        advice: advice.to_string(),
    }
}
