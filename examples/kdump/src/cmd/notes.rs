//! `kdump notes`: every note of a dump and the registers of each CPU.

use std::io::Write;

use clap::{ArgMatches, Command};
use kdump_elf::Note;
use kdump_vmcore::{Dump, cpu_numbers};
use serde_json::{Map, Value, json};

use super::info;
use crate::failure::CommandResult;
use crate::json::{List, hex};

const EXAMPLES: &str = "\
A CPU that did not answer the crashing one left no note: the index of the registers counts
notes. The CPU is found in the dead kernel's memory (Linux 6.0 and later) and unknown otherwise.

Examples:
  kdump notes /var/crash/vmcore
  kdump notes --json /var/crash/vmcore | jq .cpus[0].registers.rip";

pub(crate) fn command() -> Command {
    Command::new("notes")
        .about("Every note; registers of each CPU; VMCOREINFO")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(info::json_arg())
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = info::open(matches)?;
    if matches.get_flag("json") {
        let (numbers, unknown) = numbers(&dump);
        let lists: Vec<List<'_>> =
            vec![("notes", Box::new(notes(&dump))), ("cpus", Box::new(cpus(&dump, &numbers)))];
        return Ok(crate::json::print_long(&document(&dump, unknown), lists)?);
    }
    Ok(print(&dump)?)
}

fn name(note: &Note<'_>) -> String {
    String::from_utf8_lossy(note.name).into_owned()
}

/// The CPU of each set of registers, and why they are not known.
fn numbers(dump: &Dump<'_>) -> (Vec<Option<u32>>, Option<String>) {
    match cpu_numbers(dump) {
        Ok(numbers) => (numbers, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    }
}

fn notes(dump: &Dump<'_>) -> impl Iterator<Item = Value> {
    dump.notes().iter().map(|note| {
        json!({
            "name": name(&note), "type": note.n_type, "size": note.desc.len(), "offset": hex(note.offset),
        })
    })
}

fn cpus(dump: &Dump<'_>, numbers: &[Option<u32>]) -> impl Iterator<Item = Value> {
    dump.cpus().map(|cpu| {
        let number = numbers.get(cpu.index).copied().flatten();
        match cpu.prstatus() {
            Ok(prstatus) => {
                let registers: Map<String, Value> =
                    prstatus.registers().map(|(name, value)| (name.to_owned(), hex(value))).collect();
                json!({
                    "index": cpu.index, "cpu": number, "pid": prstatus.pid(), "registers": registers,
                })
            }
            Err(error) => json!({ "index": cpu.index, "cpu": number, "error": error.to_string() }),
        }
    })
}

fn document(dump: &Dump<'_>, cpu_unknown: Option<String>) -> Value {
    let info = dump.vmcoreinfo().map(|info| {
        let entries = info.entries().map(|(key, value)| (key.to_owned(), Value::from(value)));
        entries.collect::<Map<String, Value>>()
    });
    json!({
        "cpu_unknown": cpu_unknown,
        "vmcoreinfo": info,
        "defects": dump.completeness().defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn print(dump: &Dump<'_>) -> std::io::Result<()> {
    let mut out = crate::terminal::out();
    for note in dump.notes().iter() {
        let (name, size) = (info::printable(&name(&note)), note.desc.len());
        writeln!(out, "note {name} type {:#x} size {size} offset {:#x}", note.n_type, note.offset)?;
    }
    let (numbers, unknown) = numbers(dump);
    if let Some(cause) = unknown.filter(|_| dump.cpus().next().is_some()) {
        writeln!(out, "\nwhich CPU the registers are of is unknown: {cause}")?;
    }
    for cpu in dump.cpus() {
        let number = numbers.get(cpu.index).copied().flatten();
        let of = number.map_or_else(|| "of an unknown CPU".to_owned(), |number| format!("of CPU {number}"));
        match cpu.prstatus() {
            Err(error) => writeln!(out, "\nregisters {} {of}: {error}", cpu.index)?,
            Ok(prstatus) => {
                writeln!(out, "\nregisters {} {of} (pid {})", cpu.index, prstatus.pid())?;
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
