//! What an errno of the kexec system calls means, and what to do about it.

use alloc::format;

use crate::preflight::Report;
use crate::{Errno, Error};

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyscallKind {
    /// kexec_load(2).
    Load,
    /// kexec_file_load(2).
    FileLoad,
    /// Unloading, by either call.
    Unload,
}

impl SyscallKind {
    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "kexec_load",
            Self::FileLoad => "kexec_file_load",
            Self::Unload => "unloading the capture kernel",
        }
    }
}

/// What to do about a rule that fails; `None` where the finding itself says it.
fn rule_advice(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "capability" => "run as root, or give the program CAP_SYS_BOOT",
        "load_disabled" => {
            "it stays 1 until the next boot: reboot, and load before it is set (sysctl kernel.kexec_load_disabled)"
        }
        "load_limit" => {
            "it cannot be raised until the next boot: reboot, and load before it is 0 \
             (sysctl kernel.kexec_load_limit_panic)"
        }
        "lockdown" => "under lockdown (Secure Boot) only kexec_file_load with a signed kernel is allowed",
        "image_signature" => "take a kernel signed by a key that this kernel trusts",
        "half_of_ram" => "take smaller images: no load may take more than half of the memory",
        "control_pages" => "reserve more with crashkernel=",
        "command_line" => "shorten what is added to it, or do not begin with the running kernel's",
        _ => return None,
    })
}

/// The error of a load that a rule of `report` forbids: the first rule that fails, what was
/// found, and what to do; `None` when nothing stands against it.
#[must_use]
pub fn refusal(report: &Report) -> Option<Error> {
    let finding = report.failure()?;
    let detail = match rule_advice(finding.rule) {
        Some(advice) => format!("{}; {advice}", finding.detail),
        None => finding.detail.clone(),
    };
    Some(Error::Preflight { rule: finding.rule, detail })
}

/// The cause of `errno` and what to do about it.
#[must_use]
pub const fn explain(kind: SyscallKind, errno: Errno) -> (&'static str, &'static str) {
    match (kind, errno) {
        // Both calls were tried, and unloading is not counted.
        (SyscallKind::Unload, Errno::EPERM) => (
            "the kernel does not allow it",
            "run as root (CAP_SYS_BOOT); look at the sysctl kernel.kexec_load_disabled, which only a reboot resets",
        ),
        (SyscallKind::Unload, Errno::ENOSYS | Errno::EOPNOTSUPP) => (
            "the running kernel is built without kexec",
            "nothing can be loaded, and nothing is; a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE can",
        ),
        (_, Errno::EPERM) => (
            "the kernel does not allow it",
            "run as root (CAP_SYS_BOOT); look at the sysctls kernel.kexec_load_disabled and \
             kernel.kexec_load_limit_panic, which only a reboot resets; under lockdown or Secure Boot use \
             kexec_file_load with a signed kernel",
        ),
        (_, Errno::EACCES) => ("a security module does not allow it", "look for a denial in the audit log"),
        (_, Errno::EBUSY) => ("another load or a hot-plug update is in progress", "try again in a moment"),
        (_, Errno::ENOSYS | Errno::EOPNOTSUPP) => (
            "the running kernel is built without this call",
            "use the other one (kexec_load or kexec_file_load), or a kernel with CONFIG_KEXEC or CONFIG_KEXEC_FILE",
        ),
        (_, Errno::EINVAL) => (
            "the kernel does not take these flags, this image or these segments",
            "look at the findings of preflight; a newer option may need a newer kernel",
        ),
        (_, Errno::EADDRNOTAVAIL) => (
            "something does not lie in the crash region, or does not fit it",
            "reserve more with crashkernel=, or plan again if the reservation was changed",
        ),
        (_, Errno::ENOMEM) => (
            "the crash region has no room left for the kernel's own control pages, or memory is short",
            "reserve more with crashkernel=",
        ),
        (_, Errno::EFAULT) => {
            ("a buffer could not be read", "the image file may have been cut while it was read")
        }
        (_, Errno::ETXTBSY) => (
            "a segment lies on memory the kernel itself needs",
            "plan again: the description is not that of the kernel that runs",
        ),
        (_, Errno::ENOEXEC) => (
            "the running kernel knows no loader for this image",
            "use kexec_load, or a kernel image of another format",
        ),
        (_, Errno::ENODATA) => {
            ("the image has no signature and the kernel asks for one", "sign the kernel image")
        }
        (_, Errno::ENOKEY) => (
            "the image is signed by a key the kernel does not know",
            "enroll the key (for example in the machine owner's keys)",
        ),
        (_, Errno::EKEYREJECTED | Errno::EBADMSG) => {
            ("the signature of the image is not good", "install an image that was not changed after signing")
        }
        _ => ("the kernel gives no usual reason", "look at the kernel log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unloading tries both calls itself.
    #[test]
    fn advice_for_unloading_names_no_call() {
        for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EBUSY, Errno::EINVAL] {
            let (cause, advice) = explain(SyscallKind::Unload, errno);
            assert!(!advice.contains("kexec_file_load"), "{}: {cause}: {advice}", errno.name());
        }
    }
}
