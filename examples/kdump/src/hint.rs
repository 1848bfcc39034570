//! Which option of this tool does what an error or a piece of advice of the libraries asks for.

use core::error::Error;

use kdump_segments::Errno;
use kdump_segments::load::{Advice, SyscallKind};
use kdump_vmcore::SaveFailure;

/// How much memory a capture kernel needs.
pub(crate) const SUGGEST: &str = "kdump plan --suggest prints the crashkernel= to set";

const BY_FILE: &str = "that is --syscall file";
const BY_SEGMENTS: &str = "that is --syscall load";

/// What to type about `error`, where an option of this tool is the cure.
pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let saving = error.downcast_ref::<SaveFailure>().map(|failure| &failure.error);
    if let Some(kdump_vmcore::Error::Occupied { .. }) = saving {
        return Some("--force does that");
    }
    of_planning(error.downcast_ref()?)
}

fn of_planning(error: &kdump_segments::Error) -> Option<&'static str> {
    use kdump_segments::Error;
    Some(match error {
        Error::NoCrashRegion => SUGGEST,
        Error::NoRoom { all: Some(all), .. } if all.runs_mib.is_some() => SUGGEST,
        Error::Preflight { rule: "lockdown", .. } => BY_FILE,
        Error::Preflight { rule: "image_format", .. } => BY_SEGMENTS,
        Error::Preflight { rule: "command_line", .. } => "that is --append, and --reuse-cmdline",
        Error::Syscall { call, errno, .. } => of_errno(call, Errno(*errno))?,
        _ => return None,
    })
}

/// What a system call that failed can be helped by; unloading tries both calls itself.
fn of_errno(call: &str, errno: Errno) -> Option<&'static str> {
    if call == SyscallKind::Unload.name() {
        return None;
    }
    Some(match errno {
        Errno::EPERM => BY_FILE,
        Errno::ENOSYS | Errno::EOPNOTSUPP => "those are --syscall load and --syscall file",
        Errno::EINVAL => "kdump plan lists the findings",
        Errno::ENOEXEC => BY_SEGMENTS,
        _ => return None,
    })
}

/// A piece of advice with what to type.
pub(crate) fn advised(advice: &Advice) -> String {
    let hint = match advice {
        Advice::NotReserved | Advice::Unlikely { .. } => SUGGEST,
        Advice::NotLoaded => "run kdump load",
        Advice::NotFollowed => "kdump load --hotplug asks the kernel to follow",
        _ => return advice.to_string(),
    };
    format!("{advice}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn syscall(kind: SyscallKind, errno: Errno) -> kdump_segments::Error {
        let (cause, advice) = kdump_segments::load::explain(kind, errno);
        let advice = advice.into();
        kdump_segments::Error::Syscall {
            call: kind.name(),
            errno: errno.0,
            name: errno.name(),
            cause,
            advice,
        }
    }

    #[test]
    fn errors_end_in_the_option_that_helps() {
        let said = |error: kdump_segments::Error| Failure::from(error).to_string();
        let rule = |rule| said(kdump_segments::Error::Preflight { rule, detail: "no".into() });
        assert!(rule("lockdown").ends_with("--syscall file"), "{}", rule("lockdown"));
        assert!(rule("image_format").ends_with("--syscall load"));
        assert!(rule("command_line").contains("--append"));
        assert!(!rule("load_limit").contains("--"));
        assert!(said(kdump_segments::Error::NoCrashRegion).contains("kdump plan --suggest"));
        for errno in [Errno::EPERM, Errno::ENOSYS, Errno::ENOEXEC] {
            assert!(said(syscall(SyscallKind::Load, errno)).contains("--syscall"));
            assert!(!said(syscall(SyscallKind::Unload, errno)).contains("--"));
        }
    }

    #[test]
    fn advice_names_the_command() {
        assert!(advised(&Advice::NotLoaded).ends_with("run kdump load"));
        assert!(advised(&Advice::NotReserved).contains("kdump plan --suggest"));
        assert!(advised(&Advice::NotFollowed).contains("--hotplug"));
        assert_eq!(advised(&Advice::NoKexec), Advice::NoKexec.to_string());
    }
}
