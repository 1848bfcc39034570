//! What only the running kernel can judge, asked without touching what is armed.
//!
//! Whether it trusts the signature of an image, the kernel tells when it loads it, which for a
//! capture kernel is after it dropped the armed one. The same image is therefore loaded as the
//! kernel of the next reboot first, and taken out again: the two are loaded side by side.

use std::fs;
use std::os::fd::AsRawFd;

use alloc::format;

use super::status::{CRASH_LOADED, LOADED};
use super::{FileLoad, KEXEC_FILE_NO_INITRAMFS, KEXEC_FILE_UNLOAD, SyscallKind, explain, failed, syscall};
use crate::{Errno, Error};

/// Loads left for the kernel of the next reboot; -1 is no limit (Linux 6.3).
const REBOOT_LIMIT: &str = "/proc/sys/kernel/kexec_load_limit_reboot";

/// What the kernel says of the image itself. Others, such as want of memory, would not befall
/// the capture kernel, whose memory is reserved.
const VERDICTS: [Errno; 8] = [
    Errno::EPERM,
    Errno::EACCES,
    Errno::EINVAL,
    Errno::ENOEXEC,
    Errno::ENODATA,
    Errno::ENOKEY,
    Errno::EKEYREJECTED,
    Errno::EBADMSG,
];

/// Tries the kernel image of `load`, unless nothing is armed, another kernel waits for the next
/// reboot, or loads are counted.
pub(super) fn image(load: &FileLoad) -> Result<(), Error> {
    let shown = |paths: [&str; 2]| paths.iter().find_map(|path| fs::read_to_string(format!("/{path}")).ok());
    let is = |paths, value: &str| shown(paths).is_some_and(|text| text.trim() == value);
    let counted = fs::read_to_string(REBOOT_LIMIT).is_ok_and(|limit| limit.trim() != "-1");
    if counted || !is(CRASH_LOADED, "1") || !is(LOADED, "0") {
        return Ok(());
    }
    let kernel = load.kernel().file().as_raw_fd();
    match syscall::kexec_file_load(kernel, -1, Some(""), KEXEC_FILE_NO_INITRAMFS) {
        Ok(()) => syscall::kexec_file_load(-1, -1, None, KEXEC_FILE_UNLOAD)
            .map_err(|errno| failed(SyscallKind::Unload, errno)),
        Err(errno) if VERDICTS.contains(&errno) => {
            let (cause, advice) = match errno {
                Errno::EPERM => (
                    "the kernel does not take this image, whose signature it may not trust",
                    "take a kernel signed by a key that this kernel trusts",
                ),
                errno => explain(SyscallKind::FileLoad, errno),
            };
            let (name, path) = (errno.name(), load.kernel().path().display());
            let detail = format!(
                "{path}: loaded as kernel of the next reboot, for a trial: {name}: {cause}; {advice}"
            );
            Err(Error::Preflight { rule: "image_trial", detail })
        }
        Err(_) => Ok(()),
    }
}
