//! The command line of a guest: emulated, without devices but those that are asked for, and with its
//! first serial port on the standard streams.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::shell;

/// A machine and what it boots.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// The emulator, for example `qemu-system-x86_64`.
    pub program: &'a str,
    /// What it is told of the machine.
    pub options: &'a [&'a str],
    /// Its CPU; what the machine has when `None`.
    pub cpu: Option<&'a str>,
    /// The number of CPUs.
    pub cpus: u64,
    /// MiB of memory.
    pub memory_mib: u64,
    /// The kernel.
    pub kernel: &'a Path,
    /// Its initramfs.
    pub initramfs: &'a Path,
    /// Its command line.
    pub cmdline: &'a str,
}

impl Machine<'_> {
    /// What starts it; a reset ends it.
    pub fn command(&self) -> Result<Command> {
        let mut qemu = shell::tool(self.program)?;
        qemu.args(self.options).args(["-accel", "tcg,thread=multi"]);
        if let Some(cpu) = self.cpu {
            qemu.args(["-cpu", cpu]);
        }
        qemu.args(["-m", &format!("{}M", self.memory_mib), "-smp", &self.cpus.to_string()]);
        qemu.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        qemu.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        qemu.args(["-append", self.cmdline]);
        Ok(qemu)
    }
}

/// Adds a disk behind an interface such as `virtio`.
pub fn disk(qemu: &mut Command, image: &Path, interface: &str) {
    qemu.arg("-drive").arg(format!("file={},format=raw,if={interface}", image.display()));
}

/// Adds what listens on a socket: `-gdb` or `-qmp`.
pub fn socket(qemu: &mut Command, option: &str, path: &Path) {
    qemu.arg(option).arg(format!("unix:{},server=on,wait=off", path.display()));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Machine, disk, socket};
    use crate::shell;

    #[test]
    fn what_is_asked_for_and_nothing_else() {
        let machine = Machine {
            // Any program that is there.
            program: "sh",
            options: &["-M", "virt"],
            cpu: None,
            cpus: 2,
            memory_mib: 64,
            kernel: Path::new("/k"),
            initramfs: Path::new("/i"),
            cmdline: "a b",
        };
        let mut command = machine.command().unwrap();
        disk(&mut command, Path::new("/d"), "virtio");
        socket(&mut command, "-qmp", Path::new("/s"));
        let line = shell::describe(&command);
        assert!(line.ends_with(
            "-M virt -accel tcg,thread=multi -m 64M -smp 2 -nodefaults -no-reboot -display none -serial stdio \
             -kernel /k -initrd /i -append a b -drive file=/d,format=raw,if=virtio -qmp unix:/s,server=on,wait=off"
        ), "{line}");
        let with_cpu = Machine { cpu: Some("max"), ..machine }.command().unwrap();
        assert!(shell::describe(&with_cpu).contains(" -cpu max "));
        assert!(Machine { program: "no-such-emulator", ..machine }.command().is_err());
    }
}
