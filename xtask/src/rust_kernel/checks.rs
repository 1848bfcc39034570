//! What a dump must show, given what the kernel said about itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::build::Build;
use super::core_file::{CoreFile, PT_LOAD, PT_NOTE};
use super::gdb;
use super::scenario::{Dumps, Outcome, Place, Run, Scenario};
use super::stream;
use super::witness::{Cpu, Task, Witness, known_page, number};
use crate::error::{Context, Result, failed};
use crate::progress::Row;
use crate::{rust, shell};

const PAGE: u64 = 4096;

/// The capture kernel works below.
const LOW_MEMORY_END: u64 = 1 << 20;

/// Virtual address of physical address 0 in the kernel.
const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// What fills a crash stack before its first use.
const PAINT: u8 = 0xc5;

/// Everything about one crash.
pub(crate) fn all(scenario: &Scenario, build: &Build, run: &Run) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name: &str, outcome| rows.push(Row::of(&format!("{}: {name}", scenario.name), outcome));
    let Some(dumps) = &run.dumps else {
        row("purgatory refuses", refused(&run.console));
        return rows;
    };
    row("dumps equal", equal(dumps));
    row("broken line noticed", broken_line(dumps));
    row("kdump reads both", kdump_reads(build, dumps, &run.witness, scenario.outcome));
    if scenario.outcome != Outcome::Dump {
        let damage = match scenario.outcome {
            Outcome::RawDump => raw(&run.console, dumps),
            _ => complaint(&run.console),
        };
        row("damage told", damage);
        row("pages", pages(dumps, &run.witness, LOW_MEMORY_END));
        return rows;
    }
    row("registers", registers(build, dumps, &run.witness));
    row("pages", pages(dumps, &run.witness, 0));
    row("backtraces", backtraces(scenario, build, dumps, &run.witness));
    row("VMCOREINFO", vmcoreinfo(build, &dumps.disk));
    row("crash path", crash_path(build, dumps, &run.witness));
    row("memory", memory(&run.console));
    rows
}

/// The core that kdump-elf's example writes is one that `kdump` reads.
pub(crate) fn guest_core(build: &Build, dir: &Path) -> Result<String> {
    let core = dir.join("guest.core");
    let mut cargo = rust::cargo()?;
    cargo.args(["run", "--quiet", "--package", "kdump-elf", "--example", "vmm_core", "--"]);
    shell::run(cargo.arg(&core))?;
    shell::stdout(&mut kdump(build, "verify", &core))?;
    let notes = kdump_json(build, "notes", &core)?;
    match notes.get("cpus").and_then(Value::as_array).map_or(0, Vec::len) {
        2 => Ok("2 CPUs, sound".to_owned()),
        count => Err(failed(format!("{count} CPUs instead of 2"))),
    }
}

fn refused(console: &[String]) -> Result<String> {
    let said = console.iter().find(|line| line.contains("digest mismatch")).context("no word of it")?;
    match console.iter().find(|line| line.contains("capture kernel")) {
        Some(line) => Err(failed(format!("the second kernel ran all the same: {line}"))),
        None if said.ends_with("halted") => Ok(said.clone()),
        None => Err(failed(format!("it did not halt: {said}"))),
    }
}

fn equal(dumps: &Dumps) -> Result<String> {
    let (disk, streamed) = (CoreFile::read(&dumps.disk)?, CoreFile::read(&dumps.streamed)?);
    let memory = disk.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD).map(|phdr| phdr.filesz).sum::<u64>();
    let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let mut pairs = disk.bytes().chunks(page).zip(streamed.bytes().chunks(page));
    if let Some(at) = pairs.position(|(left, right)| left != right) {
        return Err(failed(format!("they differ in page {at} of the file")));
    }
    if disk.bytes().len() != streamed.bytes().len() {
        return Err(failed("they differ in length"));
    }
    let pages = memory.checked_div(PAGE).unwrap_or(0);
    let (sent, blocks) = (dumps.received.bytes >> 10, dumps.received.blocks);
    Ok(format!("{pages} pages; {sent} KiB in {blocks} blocks over the line"))
}

/// Changes one byte in the middle of the recorded stream.
fn broken_line(dumps: &Dumps) -> Result<String> {
    let mut line = std::fs::read(&dumps.line).context(dumps.line.display())?;
    let middle = line.len() >> 1;
    if let Some(byte) = line.get_mut(middle) {
        *byte ^= 0x01;
    }
    match stream::decode(&line, |_, _| Ok(())) {
        Ok(_) => Err(failed(format!("byte {middle} of the stream was changed and nobody noticed"))),
        Err(error) => Ok(error.to_string()),
    }
}

fn kdump(build: &Build, command: &str, dump: &Path) -> Command {
    let mut kdump = Command::new(&build.kdump);
    kdump.arg(command).arg(dump);
    kdump
}

fn kdump_json(build: &Build, command: &str, dump: &Path) -> Result<Value> {
    let out = shell::stdout(kdump(build, command, dump).arg("--json"))?;
    serde_json::from_slice(&out).context(format!("kdump {command} --json"))
}

fn kdump_reads(build: &Build, dumps: &Dumps, witness: &Witness, outcome: Outcome) -> Result<String> {
    let paddr = witness.pages.iter().copied().find(|&page| page >= LOW_MEMORY_END).context("no page")?;
    for dump in [&dumps.disk, &dumps.streamed] {
        kdump_json(build, "info", dump)?;
        let verdict = shell::stdout(kdump(build, "verify", dump).arg("--json"))?;
        let verdict: Value = serde_json::from_slice(&verdict).context("kdump verify --json")?;
        let cpus = kdump_json(build, "notes", dump)?;
        let count = cpus.get("cpus").and_then(Value::as_array).map_or(0, Vec::len);
        let want = match outcome {
            Outcome::Dump => witness.cpus.len(),
            Outcome::Complaint => count,
            Outcome::RawDump | Outcome::Refused => 0,
        };
        if count != want {
            return Err(failed(format!("kdump notes shows {count} CPUs, not {want}: {verdict}")));
        }
        let address = format!("{paddr:#x}");
        let page = shell::stdout(kdump(build, "read", dump).args(["--phys", &address, "--len", "4096"]))?;
        if page != known_page(paddr) {
            return Err(failed(format!("kdump read --phys {address} gives another page")));
        }
        let address = format!("{:#x}", DIRECT_MAP.saturating_add(paddr));
        let page = shell::stdout(kdump(build, "read", dump).args(["--virt", &address, "--len", "4096"]))?;
        if page != known_page(paddr) {
            return Err(failed(format!("kdump read --virt {address} gives another page")));
        }
    }
    Ok("info, notes, read --phys and --virt, verify".to_owned())
}

fn raw(console: &[String], dumps: &Dumps) -> Result<String> {
    let said = console.iter().find(|line| line.contains("elfcorehdr refused"));
    let said = said.context("the second kernel did not complain")?;
    let core = CoreFile::read(&dumps.disk)?;
    let notes = core.phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE).map(|phdr| phdr.filesz).sum::<u64>();
    if notes != 0 {
        return Err(failed(format!("{notes} bytes of notes come from nowhere")));
    }
    Ok(said.clone())
}

fn complaint(console: &[String]) -> Result<String> {
    let said = ["elfcorehdr refused", "capture: notes:"]
        .iter()
        .find_map(|what| console.iter().find(|line| line.contains(what)));
    said.cloned().context("the second kernel did not complain")
}

/// Every page the workload filled, from `least` on, holds what was put there.
fn pages(dumps: &Dumps, witness: &Witness, least: u64) -> Result<String> {
    let core = CoreFile::read(&dumps.disk)?;
    let (mut low, mut high) = (0_u32, 0_u32);
    for &paddr in witness.pages.iter().filter(|&&paddr| paddr >= least) {
        if core.phys(paddr, PAGE)? != known_page(paddr) {
            return Err(failed(format!("the page at {paddr:#x} has other content")));
        }
        let count = if paddr < LOW_MEMORY_END { &mut low } else { &mut high };
        *count = count.saturating_add(1);
    }
    Ok(format!("{low} below 1 MiB, {high} above"))
}

/// Each CPU's note is of that CPU, in one of its tasks, on the stack of that task.
fn registers(build: &Build, dumps: &Dumps, witness: &Witness) -> Result<String> {
    let notes = kdump_json(build, "notes", &dumps.disk)?;
    let cpus = notes.get("cpus").and_then(Value::as_array).context("kdump notes: no cpus")?;
    let mut told = Vec::new();
    for ((index, cpu), note) in (0_u64..).zip(&witness.cpus).zip(cpus) {
        told.push(cpu_registers(index, cpu, note, &witness.tasks).context(format!("CPU {index}"))?);
    }
    Ok(told.join("; "))
}

fn cpu_registers(index: u64, cpu: &Cpu, note: &Value, tasks: &[Task]) -> Result<String> {
    let register = |name: &str| {
        let text = note.get("registers").and_then(|all| all.get(name)).and_then(Value::as_str);
        number(text.context(format!("no register {name}"))?)
    };
    let gs_base = register("gs_base")?;
    if gs_base != cpu.gs_base {
        return Err(failed(format!("gs_base is {gs_base:#x}, not {:#x}", cpu.gs_base)));
    }
    let pid = note.get("pid").and_then(Value::as_u64).context("no pid")?;
    let task = tasks.iter().find(|task| task.id == pid && task.cpu == index);
    let task = task.context(format!("task {pid} is not of this CPU"))?;
    let rsp = register("rsp")?;
    // A stack that overflowed ends in its guard page.
    let lowest = task.stack.start.saturating_sub(PAGE);
    if rsp < lowest || rsp > task.stack.end {
        return Err(failed(format!("rsp {rsp:#x} is not in the stack of task {pid}")));
    }
    let base = pid << 32;
    let known = [12_u64, 13, 14, 15].map(|value| base.saturating_add(value));
    let held = [register("r12")?, register("r13")?, register("r14")?, register("r15")?];
    Ok(match held == known {
        true => format!("CPU {index} in task {pid}, holding its values"),
        false => format!("CPU {index} in task {pid}, rip {:#x}", register("rip")?),
    })
}

/// gdb finds its way from the registers of each CPU to the first function of its task.
fn backtraces(scenario: &Scenario, build: &Build, dumps: &Dumps, witness: &Witness) -> Result<String> {
    let traces = gdb::backtraces(build, &dumps.disk, witness.cpus.len())?;
    let mut told = Vec::new();
    for (index, trace) in traces.iter().enumerate() {
        let wrong = |what: &str| failed(format!("CPU {index}: {what} is not in\n{trace}"));
        if !trace.contains("rust_kernel::task::begin") {
            return Err(wrong("the first function of the task"));
        }
        let (function, line) = match scenario.place {
            Place::Cause(function) if index == scenario.cpu => {
                let line = marked_line(&build.source.join("src/cause.rs"), "dies here", scenario.marker())?;
                (format!("rust_kernel::cause::{function} "), format!("src/cause.rs:{line}"))
            }
            _ if trace.contains(" hold ()") => {
                let line = marked_line(&build.source.join("src/task.rs"), "stays here", "hold")?;
                ("rust_kernel::task::work ".to_owned(), format!("src/task.rs:{line}"))
            }
            // Between two turns: wherever it is, it is in a line of the kernel.
            _ => ("rust_kernel::".to_owned(), " at src/".to_owned()),
        };
        let found = trace.lines().find(|frame| frame.contains(&function) && frame.contains(&line));
        let found = found.ok_or_else(|| wrong(&format!("{function}at {line}")))?;
        let (_, place) = found.split_once("rust_kernel::").unwrap_or_default();
        told.push(format!("CPU {index} {}", shortened(place)));
    }
    Ok(told.join("; "))
}

/// A frame without its arguments.
fn shortened(frame: &str) -> String {
    let function = frame.split(' ').next().unwrap_or_default();
    let place = frame.rsplit(' ').next().unwrap_or_default();
    format!("{function} at {place}")
}

/// The number of the line with the comment `WHAT: NAME`.
fn marked_line(source: &Path, what: &str, name: &str) -> Result<usize> {
    let text = std::fs::read_to_string(source).context(source.display())?;
    let marker = format!("// {what}: {name}");
    let index = text.lines().position(|line| line.ends_with(&marker));
    index.map(|index| index.saturating_add(1)).context(format!("{marker} is not in {}", source.display()))
}

fn vmcoreinfo(build: &Build, dump: &Path) -> Result<String> {
    let notes = kdump_json(build, "notes", dump)?;
    let release = notes.get("vmcoreinfo").and_then(|info| info.get("OSRELEASE")).and_then(Value::as_str);
    let release = release.context("no OSRELEASE")?;
    let defects = notes.get("defects").and_then(Value::as_array).map_or(0, Vec::len);
    match release.starts_with("rust-kernel-") && defects == 0 {
        true => Ok(release.to_owned()),
        false => Err(failed(format!("OSRELEASE is {release}, {defects} defects"))),
    }
}

/// What both kernels say they used, which docs/embedding.md passes on.
fn memory(console: &[String]) -> Result<String> {
    let said: Vec<&str> = console.iter().filter_map(|line| line.strip_prefix("used for ")).collect();
    match said.len() {
        2 => Ok(said.join("; ")),
        count => Err(failed(format!("{count} kernels instead of 2 said what they used"))),
    }
}

/// What the crash path used: nothing of the heap, and so much of its stacks.
fn crash_path(build: &Build, dumps: &Dumps, witness: &Witness) -> Result<String> {
    let before = gdb::value(build, &dumps.disk, "ALLOCATIONS_AT_CRASH")?;
    let after = gdb::value(build, &dumps.disk, "ALLOCATIONS_AT_EXIT")?;
    if before == 0 || before != after {
        return Err(failed(format!("the allocator was called: {before} times before, {after} after")));
    }
    let core = CoreFile::read(&dumps.disk)?;
    let mut used = Vec::new();
    for cpu in &witness.cpus {
        let size = cpu.crash_stack.end.saturating_sub(cpu.crash_stack.start);
        let stack = core.virt(cpu.crash_stack.start, size)?;
        let untouched = stack.iter().take_while(|&&byte| byte == PAINT).count();
        used.push(stack.len().saturating_sub(untouched));
    }
    let used: Vec<String> = used.iter().map(|bytes| format!("{bytes} bytes")).collect();
    Ok(format!("0 allocations; stack used per CPU: {}", used.join(", ")))
}
