//! How a guest that will crash is started.

use std::path::Path;

use ::lab::guest::{GAVE_UP, Guest};
use ::lab::qemu::{self, Machine};

use super::options::Options;
use crate::error::Result;

/// What the guest is started with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) image: &'a Path,
    pub(crate) initramfs: &'a Path,
    pub(crate) cmdline: &'a str,
    pub(crate) disk: &'a Path,
    /// Unix socket on which QEMU's gdbstub listens.
    pub(crate) gdb: &'a Path,
    /// Where the console is recorded.
    pub(crate) log: &'a Path,
}

impl Setup<'_> {
    pub(crate) fn start(&self, options: &Options) -> Result<Guest> {
        let cpu = match &options.cpu {
            // Its pointer authentication by QARMA makes everything many times slower (QEMU documentation,
            // "Arm CPU Features").
            Some(cpu) if cpu == "max" && !options.lab.is_host() => "max,pauth-impdef=on",
            Some(cpu) => cpu,
            None if options.la57 => options.lab.cpu,
            None => "max,-la57",
        };
        let machine = Machine {
            program: options.lab.qemu.what,
            options: options.lab.machine,
            cpu: Some(cpu),
            cpus: options.cpus,
            memory_mib: options.mem_mib,
            kernel: self.image,
            initramfs: self.initramfs,
            cmdline: self.cmdline,
        };
        let mut command = machine.command()?;
        if options.el2 {
            command.args(["-machine", "virtualization=on"]);
        }
        qemu::disk(&mut command, self.disk, "virtio");
        qemu::socket(&mut command, "-gdb", self.gdb);
        Guest::spawn(command, self.log, GAVE_UP, &[self.gdb])
    }
}
