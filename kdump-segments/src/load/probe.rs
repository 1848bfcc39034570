//! Finds out what the kernel's verdict depends on, from the running system or a recorded one.

use std::io::ErrorKind;
use std::path::Path;

use alloc::string::String;

use crate::machine::{Root, read_text};
use crate::preflight::Environment;
use crate::{Error, Machine};

/// Number of CAP_SYS_BOOT (include/uapi/linux/capability.h).
const CAP_SYS_BOOT: u32 = 22;

/// [`Environment::of_machine`] and what the files below `root` tell besides. The caller's
/// rights are asked only where `root` is the running system.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn probe_environment(machine: &Machine, root: &Path) -> Result<Environment, Error> {
    let files = Root::new(root);
    let read = |path: &str| match read_text(&files, path) {
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            Err(Error::OutOfMemory { what: "files of the machine", need: 0 })
        }
        text => Ok(text.ok()),
    };
    let mut environment = Environment::of_machine(machine)?;
    environment.total_ram = read("proc/meminfo")?.and_then(|text| mem_total(&text));
    let sysctl = |name: &str| read(name).map(|text| text?.trim().parse::<i64>().ok());
    environment.load_disabled = sysctl("proc/sys/kernel/kexec_load_disabled")?.map(|value| value != 0);
    environment.load_limit = sysctl("proc/sys/kernel/kexec_load_limit_panic")?;
    environment.locked_down = read("sys/kernel/security/lockdown")?.map(|text| !text.contains("[none]"));
    if root == Path::new("/") {
        // An older kernel has no limit; a recording may simply not have the file.
        environment.load_limit = environment.load_limit.or(Some(-1));
        environment.capable = read("proc/self/status")?.and_then(|text| has_capability(&text, CAP_SYS_BOOT));
    }
    Ok(environment)
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn has_capability(status: &str, number: u32) -> Option<bool> {
    let effective: String = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?.trim().into();
    let bits = u64::from_str_radix(&effective, 16).ok()?;
    Some(bits.checked_shr(number).unwrap_or(0) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_as_the_kernel_writes_them() {
        assert_eq!(mem_total("MemTotal:         482712 kB\nMemFree: 1 kB\n"), Some(482_712 << 10));
        assert_eq!(has_capability("Name:\tx\nCapEff:\t000001ffffffffff\n", 22), Some(true));
        assert_eq!(has_capability("CapEff:\t0000000000000000\n", 22), Some(false));
    }
}
