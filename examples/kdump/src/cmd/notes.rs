//! `kdump notes`: every note of a dump and the registers of each CPU.

use std::io::Write;

use clap::{ArgMatches, Command};
use kdump_elf::Note;
use kdump_vmcore::{CpuList, CpuRegisters, Dump, Error, RegisterSource, cpu_registers, note_registers};
use serde_json::{Map, Value, json};

use super::info;
use crate::failure::CommandResult;
use crate::json::{List, Members, hex};

/// CPUs that are listed one by one at most.
const LINES: usize = 32;

const EXAMPLES: &str = "\
A CPU that did not answer the crashing one left no note: the index of the registers counts
sets of registers, not CPUs. Which CPU they are of is found in the dead kernel's memory (Linux
6.0 and later), where each CPU saved them (source crash_notes), also those that no note has.
Registers with source note are in the notes alone, and their CPU is unknown; those with source
hypervisor are of a virtual CPU at the time of the dump.

Examples:
  kdump notes /var/crash/vmcore
  kdump notes --json /var/crash/vmcore | jq .cpus[0].registers.rip";

pub(crate) fn command() -> Command {
    Command::new("notes")
        .about("Every note; registers of each CPU; VMCOREINFO")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(info::raw_arg())
        .arg(info::json_arg())
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = info::open(matches)?;
    if matches.get_flag("json") {
        let list = registers(&dump)?;
        let lists: Vec<List<'_>> =
            vec![("notes", Box::new(notes(&dump))), ("cpus", Box::new(cpus(&dump, &list.cpus)))];
        return Ok(crate::json::print_long(&document(&dump, &list), lists)?);
    }
    Ok(print(&dump, &registers(&dump)?)?)
}

/// All registers; those of the notes where reading the kernel's memory fails.
fn registers(dump: &Dump<'_>) -> Result<CpuList, Error> {
    match cpu_registers(dump) {
        Err(error @ Error::Io { .. }) => {
            let mut list = note_registers(dump)?;
            list.not_found = Some(error);
            Ok(list)
        }
        result => result,
    }
}

fn name(note: &Note<'_>) -> String {
    String::from_utf8_lossy(note.name).into_owned()
}

fn notes(dump: &Dump<'_>) -> impl Iterator<Item = Members> {
    dump.notes().iter().map(|note| {
        vec![
            ("name", name(&note).into()),
            ("type", note.n_type.into()),
            ("size", note.desc.len().into()),
            ("offset", hex(note.offset)),
        ]
    })
}

fn cpus(dump: &Dump<'_>, found: &[CpuRegisters]) -> impl Iterator<Item = Members> {
    (0_usize..).zip(found).map(|(index, found)| {
        let mut members =
            vec![("index", index.into()), ("cpu", found.cpu.into()), ("source", found.source.name().into())];
        match found.prstatus(dump) {
            Ok(prstatus) => {
                let registers: Map<String, Value> =
                    prstatus.registers().map(|(name, value)| (name.to_owned(), hex(value))).collect();
                members.extend([("pid", found.pid(dump).into()), ("registers", registers.into())]);
            }
            Err(error) => members.push(("error", error.to_string().into())),
        }
        members
    })
}

fn document(dump: &Dump<'_>, list: &CpuList) -> Value {
    let unread = list.unread.iter();
    let unread = unread.map(|unread| json!({"cpu": unread.cpu, "error": unread.error.to_string()}));
    let info = dump.vmcoreinfo().map(|info| {
        let entries = info.entries().map(|(key, value)| (key.to_owned(), Value::from(value)));
        entries.collect::<Map<String, Value>>()
    });
    json!({
        "cpu_unknown": list.not_found.map(|error| error.to_string()),
        "not_read": unread.collect::<Vec<_>>(),
        "vmcoreinfo": info,
        "defects": dump.completeness().defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// What there is to say of CPUs that the kernel's memory tells nothing of.
fn not_read(list: &CpuList) -> String {
    let mut text = String::new();
    if list.unread.is_empty() {
        return text;
    }
    text.push_str("\nCPUs whose own registers could not be read in the kernel's memory:\n");
    for unread in list.unread.iter().take(LINES) {
        text.push_str(&format!("  CPU {}: {}\n", unread.cpu, unread.error));
    }
    if let Some(more) = list.unread.len().checked_sub(LINES).filter(|&more| more > 0) {
        text.push_str(&format!("  and {more} more; --json has them all\n"));
    }
    text
}

fn print(dump: &Dump<'_>, list: &CpuList) -> std::io::Result<()> {
    let mut out = crate::terminal::out();
    for note in dump.notes().iter() {
        let (name, size) = (info::printable(&name(&note)), note.desc.len());
        writeln!(out, "note {name} type {:#x} size {size} offset {:#x}", note.n_type, note.offset)?;
    }
    let unknown = list.cpus.is_empty() || list.cpus.iter().any(|found| found.cpu.is_none());
    if let Some(cause) = list.not_found.filter(|_| unknown) {
        writeln!(out, "\nwhich CPU the registers are of is unknown: {cause}")?;
    }
    write!(out, "{}", not_read(list))?;
    for (index, found) in (0_usize..).zip(&list.cpus) {
        let of = found.cpu.map_or_else(|| "of an unknown CPU".to_owned(), |cpu| format!("of CPU {cpu}"));
        let of = match found.source {
            RegisterSource::Note => of,
            RegisterSource::Hypervisor => format!("{of}, by the hypervisor"),
            source => format!("{of}, from {}", source.name()),
        };
        match found.prstatus(dump) {
            Err(error) => writeln!(out, "\nregisters {index} {of}: {error}")?,
            Ok(prstatus) => {
                let pid = found.pid(dump).map_or_else(String::new, |pid| format!(" (pid {pid})"));
                writeln!(out, "\nregisters {index} {of}{pid}")?;
                for (count, (name, value)) in (1_u32..).zip(prstatus.registers()) {
                    let end = if count % 4 == 0 { "\n" } else { " " };
                    write!(out, "{name:>8} {value:016x}{end}")?;
                }
                writeln!(out)?;
            }
        }
    }
    if let Some(info) = dump.vmcoreinfo() {
        writeln!(out, "\nVMCOREINFO")?;
        for (key, value) in info.entries() {
            writeln!(out, "  {}={}", info::printable(key), info::printable(value))?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use kdump_vmcore::UnreadCpu;

    use super::*;

    #[test]
    fn cpus_that_could_not_be_read_are_told() {
        let of = |count| {
            let mut list = CpuList::default();
            list.unread =
                (0..count).map(|cpu| UnreadCpu { cpu, error: Error::Excluded { paddr: 0x5000 } }).collect();
            list
        };
        assert_eq!(not_read(&of(0)), "");
        let text = not_read(&of(2));
        assert!(text.contains("CPU 1: physical address 0x5000 was excluded"), "{text}");
        assert!(not_read(&of(40)).contains("and 8 more"));
    }
}
