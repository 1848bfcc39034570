//! Virtual addresses of a guest's kernel: what QEMU finds there, through the guest's own page
//! tables, and what is read of its dump.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use lab::guest::Guest;
use lab::qmp::Qmp;
use serde_json::Value;

use super::machine::Machine;
use super::{Readers, at};
use crate::error::{Context, Result, failed};
use crate::progress::Row;
use crate::shell;

/// Bytes compared at each symbol.
const LEN: usize = 64;
/// Fewer symbols would be no sample.
const ENOUGH: usize = 50;
/// Symbols below are offsets in the memory of each CPU.
const LOWEST: u64 = 1 << 20;
/// `new_utsname.release`, behind sysname and nodename of 65 bytes each (include/uapi/linux/utsname.h).
const RELEASE: u64 = 130;

pub(super) fn rows(
    readers: &Readers,
    machine: &Machine,
    guest: &Guest,
    qmp: &mut Qmp,
    file: &Path,
    format: &str,
    dir: &Path,
) -> Vec<Row> {
    let name = |what: &str| format!("{} {format} {what}", machine.name);
    let release = told(guest, "lab: release ").next().unwrap_or_default().to_owned();
    vec![
        Row::of(&name("init_uts_ns"), utsname(&readers.kdump, file, &release)),
        Row::of(&name("symbols"), symbols(&readers.kdump, guest, qmp, file, dir)),
        Row::of(&name("dmesg"), dmesg(&readers.kdump, file, &release)),
        Row::of(&name("registers"), registers(&readers.kdump, file)),
    ]
}

/// The tables found by CR3 alone lead to the same: VMCOREINFO is made unknown in `file`.
pub(super) fn without_vmcoreinfo(
    readers: &Readers,
    machine: &Machine,
    guest: &Guest,
    qmp: &mut Qmp,
    file: &Path,
    dir: &Path,
) -> Row {
    let check = |qmp: &mut Qmp| {
        hide(file)?;
        symbols(&readers.kdump, guest, qmp, file, dir)
    };
    Row::of(&format!("{} elf symbols by CR3", machine.name), check(qmp))
}

/// Gives the VMCOREINFO note another name. The notes stand at the start of QEMU's files.
fn hide(file: &Path) -> Result {
    const NAME: &[u8] = b"VMCOREINFO\0";
    let opened = fs::OpenOptions::new().read(true).write(true).open(file).context(file.display())?;
    let mut head = vec![0; 1 << 16];
    opened.read_exact_at(&mut head, 0).context(file.display())?;
    let at = head.windows(NAME.len()).position(|text| text == NAME).context("no VMCOREINFO note")?;
    opened.write_all_at(b"v", at as u64).context(file.display())
}

/// What the guest said behind `mark`.
fn told<'g>(guest: &'g Guest, mark: &'static str) -> impl Iterator<Item = &'g str> {
    guest.console().iter().filter_map(move |line| Some(line.split_once(mark)?.1.trim()))
}

/// The release in the kernel's own memory is the one it told.
fn utsname(kdump: &Path, file: &Path, release: &str) -> Result<String> {
    let text = shell::stdout(Command::new(kdump).args(["notes", "--json"]).arg(file))?;
    let notes: Value = serde_json::from_slice(&text).context("kdump notes --json")?;
    let info = |key: &str| {
        let value = notes.get("vmcoreinfo").and_then(|info| info.get(key)).and_then(Value::as_str);
        value.context(format!("no {key} in VMCOREINFO")).map(str::to_owned)
    };
    let namespace = info("SYMBOL(init_uts_ns)")?;
    let namespace = u64::from_str_radix(&namespace, 16).context(&namespace)?;
    let offset: u64 = info("OFFSET(uts_namespace.name)")?.parse().context("OFFSET(uts_namespace.name)")?;
    let vaddr = namespace.wrapping_add(offset).wrapping_add(RELEASE);
    let read = read(kdump, file, vaddr)?.context(format!("nothing is mapped at {vaddr:#x}"))?;
    if release.is_empty() || !read.starts_with(&[release.as_bytes(), b"\0"].concat()) {
        return Err(failed(format!(
            "{release:?} is not what is at {vaddr:#x}: {:?}",
            read.escape_ascii().to_string()
        )));
    }
    Ok(format!("{release} at {vaddr:#x}"))
}

/// Both CPUs are known by the numbers that QEMU gave them.
fn registers(kdump: &Path, file: &Path) -> Result<String> {
    let text = shell::stdout(Command::new(kdump).args(["notes", "--json"]).arg(file))?;
    let notes: Value = serde_json::from_slice(&text).context("kdump notes --json")?;
    let cpus = notes.get("cpus").and_then(Value::as_array).context("no cpus")?;
    let said: Vec<_> = cpus.iter().map(|cpu| (cpu.get("cpu"), cpu.get("source"))).collect();
    let numbered = (0_u64..).zip(cpus).all(|(number, cpu)| {
        cpu.get("cpu").and_then(Value::as_u64) == Some(number)
            && cpu.get("source").and_then(Value::as_str) == Some("hypervisor")
            && cpu.get("pid").is_some_and(Value::is_null)
    });
    if cpus.len() == 2 && numbered {
        Ok("2 CPUs, by QEMU's numbers".to_owned())
    } else {
        Err(failed(format!("{said:?}")))
    }
}

/// At each symbol both have the same bytes, or nothing.
fn symbols(kdump: &Path, guest: &Guest, qmp: &mut Qmp, file: &Path, dir: &Path) -> Result<String> {
    let out = at(dir, "booted.memory");
    let (mut same, mut gone) = (0_usize, 0_usize);
    for line in told(guest, "lab: symbol ") {
        let (vaddr, name) = line.split_once(' ').context(line)?;
        let vaddr = u64::from_str_radix(vaddr, 16).context(line)?;
        if vaddr < LOWEST {
            continue;
        }
        let said = qmp.monitor(&format!("memsave {vaddr:#x} {LEN} \"{}\"", out.display()))?;
        let theirs = if said.is_empty() { Some(fs::read(&out).context(out.display())?) } else { None };
        match (read(kdump, file, vaddr)?, theirs) {
            (ours, theirs) if ours != theirs => {
                let (ours, theirs) = (shown(ours.as_deref()), shown(theirs.as_deref()));
                return Err(failed(format!("{name} at {vaddr:#x}: {ours}, QEMU has {theirs} ({said})")));
            }
            (Some(_), _) => same = same.saturating_add(1),
            (None, _) => gone = gone.saturating_add(1),
        }
    }
    if same < ENOUGH {
        return Err(failed(format!("only {same} symbols are mapped")));
    }
    Ok(format!("{same} as QEMU reads them, {gone} not mapped for both"))
}

/// The kernel's log begins as every kernel's does.
fn dmesg(kdump: &Path, file: &Path, release: &str) -> Result<String> {
    let text = shell::text(Command::new(kdump).arg("dmesg").arg(file))?;
    let version = text.lines().find(|line| line.contains(&format!("Linux version {release} ")));
    version.context(format!("no version among {} lines", text.lines().count()))?;
    Ok(format!("{} lines", text.lines().count()))
}

/// The bytes at a virtual address; `None` when the tables map nothing there.
fn read(kdump: &Path, file: &Path, vaddr: u64) -> Result<Option<Vec<u8>>> {
    let mut command = Command::new(kdump);
    command.arg("read").arg(file).args(["--virt", &format!("{vaddr:#x}"), "--len", &LEN.to_string()]);
    let output = shell::capture(&mut command)?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("is not mapped") {
        return Ok(None);
    }
    Err(failed(format!("{}: {}", shell::describe(&command), said.trim())))
}

fn shown(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(
        || "nothing".to_owned(),
        |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    )
}
