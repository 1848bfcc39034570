//! The kernel in QEMU: console on stdio, stream in a file, disk in a file, monitor on a socket.

use core::time::Duration;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

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

/// How many lines of the console an error shows.
const TAIL: usize = 20;

#[derive(Debug)]
pub(crate) struct Guest {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    console: Vec<String>,
    monitor: PathBuf,
}

impl Guest {
    pub(crate) fn start(build: &Build, dir: &Path, machine: Machine, cmdline: &str) -> Result<Self> {
        let Machine { cpus, memory_mib, disk: has_disk, x2apic } = machine;
        let cpu = if x2apic { "max,+x2apic" } else { "max,-x2apic" };
        let disk = dir.join("disk.img");
        let file = File::create(&disk).context(disk.display())?;
        file.set_len(memory_mib << 20).context(disk.display())?;
        // The path of a socket may not be long.
        let monitor = std::env::temp_dir().join(format!("kdump-rust-kernel-{}", std::process::id()));
        let mut qemu = shell::tool("qemu-system-x86_64")?;
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", cpu, "-smp", &cpus.to_string()]);
        qemu.args(["-m", &format!("{memory_mib}M"), "-nodefaults", "-no-reboot", "-display", "none"]);
        qemu.args(["-serial", "stdio"]);
        qemu.arg("-serial").arg(format!("file:{}", dir.join("stream.bin").display()));
        if has_disk {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=ide", disk.display()));
        }
        qemu.arg("-monitor").arg(format!("unix:{},server=on,wait=off", monitor.display()));
        qemu.arg("-kernel").arg(&build.kernel).arg("-initrd").arg(&build.stripped);
        qemu.args(["-append", cmdline]);
        qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let line = shell::describe(&qemu);
        let mut child = qemu.spawn().context(&line)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(format!("{line}: no pipes")));
        };
        let log = dir.join("console.log");
        let log = File::create(&log).context(log.display())?;
        let (send, lines) = channel();
        thread::spawn(move || listen(output, log, &send));
        Ok(Self { child, input, lines, console: Vec::new(), monitor })
    }

    /// Waits for a line that holds `text`.
    pub(crate) fn wait_for(&mut self, text: &str, patience: Duration) -> Result {
        match self.next_with(text, patience)? {
            Some(_) => Ok(()),
            None => {
                let from = self.console.len().saturating_sub(TAIL);
                let tail = self.console.get(from..).unwrap_or_default().join("\n  ");
                Err(failed(format!("no {text:?} on the console, which said last:\n  {tail}")))
            }
        }
    }

    /// Waits until QEMU has ended.
    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> Result {
        match self.next_with("\0", patience)? {
            None if matches!(self.child.try_wait(), Ok(Some(_))) => Ok(()),
            _ => self.child.wait().context("QEMU").map(|_| ()),
        }
    }

    /// The next line that holds `text`; `None` when QEMU ended or the time is up.
    fn next_with(&mut self, text: &str, patience: Duration) -> Result<Option<String>> {
        let deadline = Instant::now().checked_add(patience).context("deadline out of range")?;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.console.push(line.clone());
                    if line.starts_with(NOT_ARMED) {
                        return Err(failed(line));
                    }
                    if line.contains(text) {
                        return Ok(Some(line));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    let kill = self.child.kill();
                    return kill.context("QEMU does not end").map(|()| None);
                }
            }
        }
    }

    /// Everything on the console so far.
    pub(crate) fn console(&self) -> &[String] {
        &self.console
    }

    /// Types a line on the console.
    pub(crate) fn type_line(&mut self, text: &str) -> Result {
        writeln!(self.input, "{text}").and_then(|()| self.input.flush()).context("serial console")
    }

    /// Has QEMU send an NMI to every CPU.
    pub(crate) fn inject_nmi(&self) -> Result {
        let mut monitor = UnixStream::connect(&self.monitor).context(self.monitor.display())?;
        monitor.write_all(b"nmi\n").context("QEMU monitor")?;
        // The answer means that the command was taken.
        let mut answer = BufReader::new(monitor);
        let mut line = String::new();
        while !line.contains("nmi") {
            line.clear();
            if answer.read_line(&mut line).context("QEMU monitor")? == 0 {
                return Err(failed("the QEMU monitor hung up"));
            }
        }
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Fails when QEMU has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.monitor);
    }
}

/// Hands over the console line by line until QEMU closes it.
fn listen(output: ChildStdout, mut log: File, send: &Sender<String>) {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count != 0) {
        // The log is for people; a full disk shows where it matters.
        let _ = log.write_all(&bytes);
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        if send.send(line).is_err() {
            return;
        }
    }
}
