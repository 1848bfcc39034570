//! What a dump must show, given what the kernel said about itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::build::Build;
use super::core_file::{CoreFile, PT_LOAD, PT_NOTE};
use super::gdb;
use super::scenario::{Dumps, Flaw, Outcome, Place, Run, Scenario};
use super::stream;
use super::witness::{Task, Witness, known_page, number};
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
    row("kdump reads both", kdump_reads(build, dumps, &run.witness, scenario));
    if scenario.outcome != Outcome::Dump {
        let damage = match scenario.outcome {
            Outcome::RawDump => raw(&run.console, dumps),
            _ => complaint(&run.console),
        };
        row("damage told", damage);
        row("pages", pages(dumps, &run.witness, LOW_MEMORY_END));
        return rows;
    }
    row("registers", registers(scenario, build, dumps, &run.witness));
    row("causes", causes(scenario, dumps, &run.witness));
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

fn kdump_reads(build: &Build, dumps: &Dumps, witness: &Witness, scenario: &Scenario) -> Result<String> {
    let paddr = witness.pages.iter().copied().find(|&page| page >= LOW_MEMORY_END).context("no page")?;
    for dump in [&dumps.disk, &dumps.streamed] {
        kdump_json(build, "info", dump)?;
        let verdict = shell::stdout(kdump(build, "verify", dump).arg("--json"))?;
        let verdict: Value = serde_json::from_slice(&verdict).context("kdump verify --json")?;
        let cpus = kdump_json(build, "notes", dump)?;
        let count = cpus.get("cpus").and_then(Value::as_array).map_or(0, Vec::len);
        let want = match scenario.outcome {
            Outcome::Dump => expected_cpus(scenario, witness),
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

/// How many CPUs have registers.
fn expected_cpus(scenario: &Scenario, witness: &Witness) -> usize {
    witness.cpus.len().saturating_sub(usize::from(scenario.flaw == Flaw::Cpu1))
}

/// Each note is of a CPU of its own, in one of its tasks, on the stack of that task.
fn registers(scenario: &Scenario, build: &Build, dumps: &Dumps, witness: &Witness) -> Result<String> {
    let notes = kdump_json(build, "notes", &dumps.disk)?;
    let notes = notes.get("cpus").and_then(Value::as_array).context("kdump notes: no cpus")?;
    let mut told = Vec::new();
    for (index, cpu) in witness.cpus.iter().enumerate() {
        let found: Vec<&Value> =
            notes.iter().filter(|note| register(note, "gs_base").ok() == Some(cpu.gs_base)).collect();
        match found.as_slice() {
            [] if scenario.flaw == Flaw::Cpu1 && index == 1 => told.push("CPU 1 has none".to_owned()),
            [note] => {
                // Without its list of tasks a CPU has a number of its own.
                let unknown = scenario.flaw == Flaw::Task && index == scenario.cpu;
                let number = index as u64;
                let pid = unknown.then(|| UNKNOWN_TASK.saturating_add(number));
                told.push(cpu_registers(number, pid, note, &witness.tasks).context(format!("CPU {index}"))?);
            }
            found => return Err(failed(format!("{} notes have the GS base of CPU {index}", found.len()))),
        }
    }
    if told.len() > 4 {
        return Ok(format!(
            "{} CPUs, each in a task of its own; {}",
            told.len(),
            told.first().map_or("", |one| one)
        ));
    }
    Ok(told.join("; "))
}

/// The pid of a CPU whose task is not known, less its number.
const UNKNOWN_TASK: u64 = 1 << 30;

fn register(note: &Value, name: &str) -> Result<u64> {
    let text = note.get("registers").and_then(|all| all.get(name)).and_then(Value::as_str);
    number(text.context(format!("no register {name}"))?)
}

/// `unknown` is the pid of a CPU whose task nobody can tell.
fn cpu_registers(index: u64, unknown: Option<u64>, note: &Value, tasks: &[Task]) -> Result<String> {
    let register = |name: &str| register(note, name);
    let pid = note.get("pid").and_then(Value::as_u64).context("no pid")?;
    let rsp = register("rsp")?;
    // A stack that overflowed ends in its guard page.
    let on_stack = |task: &&Task| rsp >= task.stack.start.saturating_sub(PAGE) && rsp <= task.stack.end;
    let own = tasks.iter().filter(|task| task.cpu == index);
    if let Some(unknown) = unknown {
        let task = own.clone().find(on_stack).context(format!("rsp {rsp:#x} is in no stack of this CPU"))?;
        return match pid == unknown {
            true => Ok(format!("CPU {index} on the stack of task {}, pid {pid}", task.id)),
            false => Err(failed(format!("pid is {pid}, not {unknown}"))),
        };
    }
    let task = own.clone().find(|task| task.id == pid).context(format!("task {pid} is not of this CPU"))?;
    if !on_stack(&task) {
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

/// Behind the registers of each CPU stands why it stopped.
fn causes(scenario: &Scenario, dumps: &Dumps, witness: &Witness) -> Result<String> {
    let core = CoreFile::read(&dumps.disk)?;
    let causes: Vec<&[u8]> = core
        .notes()?
        .into_iter()
        .filter(|note| note.name == b"KDUMP\0" && note.n_type == 1)
        .map(|note| note.desc)
        .collect();
    let want = expected_cpus(scenario, witness);
    let everyone = scenario.commands.contains(&"null all");
    // Nobody waits for ever: of CPUs that die at once one may have its registers saved, and its
    // cause not yet, when the first leaves.
    let least = if everyone { want.saturating_sub(1) } else { want };
    if causes.len() < least || causes.len() > want {
        return Err(failed(format!("{} causes, not {want}", causes.len())));
    }
    for cause in &causes {
        let page_table = field(cause, 24);
        if cause.len() != 96 || page_table != witness.page_table {
            return Err(failed(format!(
                "{} bytes, CR3 {page_table:#x}, not {:#x}",
                cause.len(),
                witness.page_table
            )));
        }
    }
    if let Some(other) = causes.iter().find(|cause| everyone && field(cause, 0) != scenario.cause.exception) {
        return Err(failed(format!("a CPU was stopped by exception {}, not its own", field(other, 0))));
    }
    let at = if scenario.flaw == Flaw::Cpu1 { 0 } else { scenario.cpu };
    let own = causes.get(at).context("none of the CPU that died")?;
    let text = String::from_utf8_lossy(own.get(32..).unwrap_or_default());
    let text = text.trim_end_matches('\0');
    let (exception, address) = (field(own, 0), field(own, 16));
    let told = format!("exception {exception}, about {address:#x}, {text:?}");
    match exception == scenario.cause.exception && text.starts_with(scenario.cause.text) {
        true if exception == PAGE_FAULT && address >= PAGE => Err(failed(told)),
        true => Ok(told),
        false => Err(failed(told)),
    }
}

const PAGE_FAULT: u64 = 14;

fn field(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied();
    u64::from_le_bytes(bytes.unwrap_or_default())
}

/// gdb finds its way from the registers of each CPU to the first function of its task.
fn backtraces(scenario: &Scenario, build: &Build, dumps: &Dumps, witness: &Witness) -> Result<String> {
    let traces = gdb::backtraces(build, &dumps.disk, expected_cpus(scenario, witness))?;
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
