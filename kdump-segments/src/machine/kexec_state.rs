//! What is loaded at present, and what the kernel can do about hot-plug.

use super::MachineFiles;
use super::remark::Remarks;
use super::text_file::parse_number_file;

/// The state of kexec in the running kernel. `None` is what this kernel does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KexecState {
    /// Whether a capture kernel is loaded.
    pub crash_loaded: Option<bool>,
    /// Whether a kernel for the next reboot is loaded.
    pub loaded: Option<bool>,
    /// Bytes reserved for the capture kernel.
    pub crash_size: Option<u64>,
    /// Bytes the kernel wants for an elfcorehdr it can rewrite on hot-plug.
    pub elfcorehdr_size: Option<u64>,
    /// Whether what is loaded tolerates CPU hot-plug.
    pub cpu_hotplug: Option<bool>,
    /// Whether what is loaded tolerates memory hot-plug.
    pub memory_hotplug: Option<bool>,
}

impl KexecState {
    /// Linux 6.19 moved the files to `/sys/kernel/kexec/`; the new place is believed first.
    pub(super) fn find(files: &MachineFiles, notes: &mut Remarks) -> Self {
        let mut number = |paths: &[&str]| {
            let (path, text) = paths.iter().find_map(|path| Some((path, files.get(path)?)))?;
            let value = parse_number_file(text);
            if value.is_none() {
                notes.add(path, "is not a number and was ignored");
            }
            value
        };
        let mut flag = |paths: &[&str]| number(paths).map(|value| value != 0);
        Self {
            crash_loaded: flag(&["sys/kernel/kexec/crash_loaded", "sys/kernel/kexec_crash_loaded"]),
            loaded: flag(&["sys/kernel/kexec/loaded", "sys/kernel/kexec_loaded"]),
            cpu_hotplug: flag(&["sys/devices/system/cpu/crash_hotplug"]),
            memory_hotplug: flag(&["sys/devices/system/memory/crash_hotplug"]),
            crash_size: number(&["sys/kernel/kexec/crash_size", "sys/kernel/kexec_crash_size"]),
            elfcorehdr_size: number(&[
                "sys/kernel/kexec/crash_elfcorehdr_size",
                "sys/kernel/crash_elfcorehdr_size",
            ]),
        }
    }
}
