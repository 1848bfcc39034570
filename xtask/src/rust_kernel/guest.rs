//! The kernel in QEMU: stream in a file, disk in a file, monitor on a socket.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lab::guest::Guest;
use lab::qemu;
use lab::qmp::Qmp;
use serde_json::json;

use super::build::Build;
use crate::error::{Context, Result, failed};
use crate::shell;

/// What a guest has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) cpus: usize,
    /// Memory, and size of the disk.
    pub(crate) memory_mib: u64,
    pub(crate) disk: bool,
    /// CPUs in x2APIC mode, which the example enters where there is one.
    pub(crate) x2apic: bool,
}

/// Whether QEMU can emulate x2APIC without a hypervisor's help, as it does from 9.0 on; the text is
/// what it says of itself when it cannot.
pub(crate) fn x2apic() -> Result<core::result::Result<(), String>> {
    // A machine that never runs; with `enforce` QEMU refuses features it cannot emulate.
    let starts = |features: &str| {
        let mut qemu = shell::tool("qemu-system-x86_64")?;
        qemu.args(["-accel", "tcg", "-cpu", &format!("max,enforce{features}"), "-S", "-nodefaults"]);
        qemu.args(["-display", "none", "-monitor", "stdio"]);
        qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = qemu.spawn().context(shell::describe(&qemu))?;
        if let Some(mut monitor) = child.stdin.take() {
            // Fails when QEMU has refused and ended.
            let _ = monitor.write_all(b"quit\n");
        }
        child.wait_with_output().context(shell::describe(&qemu))
    };
    let (plain, wanted) = (starts("")?, starts(",+x2apic")?);
    if !plain.status.success() {
        let said = String::from_utf8_lossy(&plain.stderr);
        return Err(failed(format!("qemu-system-x86_64 -cpu max: {}: {}", plain.status, said.trim_end())));
    }
    if wanted.status.success() {
        return Ok(Ok(()));
    }
    let version = shell::text(shell::tool("qemu-system-x86_64")?.arg("--version"))?;
    Ok(Err(version.lines().next().unwrap_or_default().to_owned()))
}

/// Said instead of "armed", and then there is no need to wait.
const NOT_ARMED: &str = "no capture kernel: ";

/// Starts it; returns the socket of its monitor as well.
pub(crate) fn start(build: &Build, dir: &Path, machine: Machine, cmdline: &str) -> Result<(Guest, PathBuf)> {
    let Machine { cpus, memory_mib, disk: has_disk, x2apic } = machine;
    let disk = dir.join("disk.img");
    let file = File::create(&disk).context(disk.display())?;
    file.set_len(memory_mib << 20).context(disk.display())?;
    // The path of a socket may not be long.
    let monitor = std::env::temp_dir().join(format!("kdump-rust-kernel-{}", std::process::id()));
    let machine = qemu::Machine {
        program: "qemu-system-x86_64",
        options: &[],
        cpu: Some(if x2apic { "max,+x2apic" } else { "max,-x2apic" }),
        cpus: cpus as u64,
        memory_mib,
        kernel: &build.kernel,
        initramfs: &build.stripped,
        cmdline,
    };
    let mut command = machine.command()?;
    command.arg("-serial").arg(format!("file:{}", dir.join("stream.bin").display()));
    if has_disk {
        qemu::disk(&mut command, &disk, "ide");
    }
    qemu::socket(&mut command, "-qmp", &monitor);
    let guest = Guest::spawn(command, &dir.join("console.log"), NOT_ARMED, &[&monitor])?;
    Ok((guest, monitor))
}

/// Has QEMU send an NMI to every CPU; the answer means that the command was taken.
pub(crate) fn inject_nmi(monitor: &Path) -> Result {
    Qmp::connect(monitor)?.run("inject-nmi", &json!({})).map(|_| ())
}
