//! What only the running kernel can judge, asked without touching what is armed.
//!
//! Whether it trusts the signature of an image, the kernel tells when it loads it, which for a
//! capture kernel is after it dropped the armed one. The same image is therefore loaded as the
//! kernel of the next reboot first, and taken out again: the two are loaded side by side.

use std::fs;
use std::os::fd::AsRawFd;

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::status::{CRASH_LOADED, LOADED};
use super::{FileLoad, KEXEC_FILE_NO_INITRAMFS, KEXEC_FILE_UNLOAD, SyscallKind, explain, syscall};
use crate::{Errno, Error};

/// Loads left for the kernel of the next reboot; -1 is no limit (Linux 6.3).
const REBOOT_LIMIT: &str = "proc/sys/kernel/kexec_load_limit_reboot";

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

/// How long, and how often, a call waits that finds another in progress.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES: u32 = 100;

/// Repeats `call` while another load is in progress.
fn patiently(pause: Duration, mut call: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    for _ in 0..PAUSES {
        match call() {
            Err(Errno::EBUSY) => std::thread::sleep(pause),
            done => return done,
        }
    }
    call()
}

/// The armed capture kernel still is; what is wrong is what the next reboot finds.
fn not_taken_out(load: &FileLoad, errno: Errno) -> Error {
    let (name, path) = (errno.name(), load.kernel().path().display());
    let detail = format!(
        "{path}: was loaded as kernel of the next reboot, for a trial, and could not be taken out again: {name}; \
         `kexec -u` does, and `reboot` may enter it until then"
    );
    Error::Preflight { rule: "image_trial", detail }
}

/// Whether a trial can tell something and costs nothing: a kernel is armed, none waits for the next reboot,
/// and loads are not counted.
fn is_due(shown: impl Fn(&str) -> Option<String>) -> bool {
    let is = |paths: [&str; 2], value: &str| {
        paths.iter().find_map(|path| shown(path)).is_some_and(|text| text.trim() == value)
    };
    let counted = shown(REBOOT_LIMIT).is_some_and(|limit| limit.trim() != "-1");
    !counted && is(CRASH_LOADED, "1") && is(LOADED, "0")
}

/// Tries the kernel image of `load` where it [is due](is_due).
pub(super) fn image(load: &FileLoad) -> Result<(), Error> {
    if !is_due(|path| fs::read_to_string(format!("/{path}")).ok()) {
        return Ok(());
    }
    let kernel = load.kernel().file().as_raw_fd();
    match syscall::kexec_file_load(kernel, -1, Some(""), KEXEC_FILE_NO_INITRAMFS) {
        // Another load may be in progress meanwhile: what was tried must not stay for the next reboot.
        Ok(()) => patiently(PAUSE, || syscall::kexec_file_load(-1, -1, None, KEXEC_FILE_UNLOAD))
            .map_err(|errno| not_taken_out(load, errno)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_for_a_machine_that_is_armed_and_counts_no_loads() {
        let due = |crash: Option<&str>, reboot: Option<&str>, limit: Option<&str>| {
            is_due(|path| {
                let text = match path {
                    REBOOT_LIMIT => limit,
                    path if CRASH_LOADED.contains(&path) => crash,
                    _ => reboot,
                };
                text.map(|text| format!("{text}\n"))
            })
        };
        assert!(due(Some("1"), Some("0"), None) && due(Some("1"), Some("0"), Some("-1")));
        assert!(!due(Some("0"), Some("0"), None) && !due(None, Some("0"), None), "nothing is armed");
        assert!(!due(Some("1"), Some("1"), None) && !due(Some("1"), None, None), "one waits");
        assert!(!due(Some("1"), Some("0"), Some("3")), "loads are counted");
    }

    #[test]
    fn a_load_in_progress_is_waited_for_and_nothing_else_is() {
        let times = |busy: u32, then: Result<(), Errno>| {
            let mut calls = 0_u32;
            let done = patiently(Duration::ZERO, || {
                calls = calls.saturating_add(1);
                if calls <= busy { Err(Errno::EBUSY) } else { then }
            });
            (done, calls)
        };
        assert_eq!(times(0, Ok(())), (Ok(()), 1));
        assert_eq!(times(3, Ok(())), (Ok(()), 4));
        assert_eq!(times(2, Err(Errno::EPERM)), (Err(Errno::EPERM), 3));
        assert_eq!(times(u32::MAX, Ok(())), (Err(Errno::EBUSY), PAUSES + 1));
    }
}
