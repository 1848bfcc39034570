//! `kdump dmesg`: the dead kernel's log.

use std::io::Write;

use clap::{ArgMatches, Command};
use kdump_vmcore::{Caller, Dmesg, Dump, Error, KernelMemory, LogRecord};
use serde_json::json;

use super::info;
use crate::failure::{CommandResult, Failure};
use crate::json::Members;

const EXAMPLES: &str = "\
Records that are damaged are left out and counted on standard error.

Examples:
  kdump dmesg /var/crash/vmcore | tail -50
  kdump dmesg --json /var/crash/vmcore | jq '.records[] | select(.level < 4)'";

pub(crate) fn command() -> Command {
    Command::new("dmesg")
        .about("The dead kernel's log")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(info::raw_arg())
        .arg(info::json_arg())
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = info::open(matches)?;
    let dmesg = read(&dump)?;
    if matches.get_flag("json") {
        let document = json!({
            "lost": dmesg.lost,
            "defects": dmesg.defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        let records = dmesg.records.iter().map(record);
        return Ok(crate::json::print_long(&document, vec![("records", Box::new(records))])?);
    }
    write(&dmesg, &mut crate::terminal::out())?;
    tell_losses(&dmesg, "kdump dmesg");
    refuse_empty(&dmesg)
}

/// The log of a dump, which may be damaged.
pub(crate) fn read(dump: &Dump<'_>) -> Result<Dmesg, Failure> {
    let vmcoreinfo = dump
        .vmcoreinfo()
        .ok_or_else(|| Failure::new("the dump has no VMCOREINFO note, which is needed to find the log"))?;
    Dmesg::read(&mut KernelMemory::new(dump), vmcoreinfo)
        .map_err(|error| Failure::new(format!("the log cannot be read: {error}")))
}

/// Says what of the log is damaged; `who` speaks.
pub(crate) fn tell_losses(dmesg: &Dmesg, who: &str) {
    // Limits first: they say that there is more than what is shown.
    let is_limit = |error: &&Error| matches!(error, Error::TooLarge { .. } | Error::OutOfMemory { .. });
    let (limits, others): (Vec<&Error>, Vec<&Error>) = dmesg.defects.iter().partition(is_limit);
    crate::terminal::tell_some(who, limits.into_iter().chain(others));
    if dmesg.lost > 0 {
        crate::terminal::tell!("{who}: {} records could not be read and are left out", dmesg.lost);
    }
}

/// A log without a record is none.
pub(crate) fn refuse_empty(dmesg: &Dmesg) -> CommandResult {
    if !dmesg.records.is_empty() {
        return Ok(());
    }
    let cause = dmesg.defects.first().map(Error::to_string).unwrap_or_default();
    Err(Failure::new(format!("the log holds no record {cause}")))
}

fn record(record: &LogRecord) -> Members {
    let caller = record.caller.map(|caller| match caller {
        Caller::Thread(id) => format!("T{id}"),
        Caller::Cpu(id) => format!("C{id}"),
    });
    vec![
        ("seq", record.seq.into()),
        ("ts_nsec", record.ts_nsec.into()),
        ("level", record.level.into()),
        ("facility", record.facility.into()),
        ("caller_id", caller.into()),
        ("text", record.lines().join("\n").into()),
    ]
}

/// Writes the log as text.
pub(crate) fn write(dmesg: &Dmesg, out: &mut impl Write) -> std::io::Result<()> {
    for record in &dmesg.records {
        let micros = record.ts_nsec / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        for line in record.lines() {
            writeln!(out, "[{seconds:5}.{micros:06}] {line}")?;
        }
    }
    out.flush()
}
