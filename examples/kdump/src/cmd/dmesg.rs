//! `kdump dmesg`: the dead kernel's log.

use std::io::Write;

use clap::{ArgMatches, Command};
use kdump_vmcore::{Caller, Dmesg, Error, KernelMemory, LogRecord};
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
    let vmcoreinfo = dump
        .vmcoreinfo()
        .ok_or_else(|| Failure::new("the dump has no VMCOREINFO note, which is needed to find the log"))?;
    let dmesg = Dmesg::read(&mut KernelMemory::new(&dump), vmcoreinfo)
        .map_err(|error| Failure::new(format!("the log cannot be read: {error}")))?;
    if matches.get_flag("json") {
        let document = json!({
            "lost": dmesg.lost,
            "defects": dmesg.defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        let records = dmesg.records.iter().map(record);
        return Ok(crate::json::print_long(&document, vec![("records", Box::new(records))])?);
    }
    print(&dmesg)?;
    // Limits first: they say that there is more than what is shown.
    let is_limit = |error: &&Error| matches!(error, Error::TooLarge { .. } | Error::OutOfMemory { .. });
    let (limits, others): (Vec<&Error>, Vec<&Error>) = dmesg.defects.iter().partition(is_limit);
    crate::terminal::tell_some("kdump dmesg", limits.into_iter().chain(others));
    if dmesg.lost > 0 {
        crate::terminal::tell!("kdump dmesg: {} records could not be read and are left out", dmesg.lost);
    }
    if dmesg.records.is_empty() {
        let cause = dmesg.defects.first().map(Error::to_string).unwrap_or_default();
        return Err(Failure::new(format!("the log holds no record {cause}")));
    }
    Ok(())
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

fn print(dmesg: &Dmesg) -> std::io::Result<()> {
    let mut out = crate::terminal::out();
    for record in &dmesg.records {
        let micros = record.ts_nsec / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        for line in record.lines() {
            writeln!(out, "[{seconds:5}.{micros:06}] {line}")?;
        }
    }
    out.flush()
}
