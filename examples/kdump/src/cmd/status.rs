//! `kdump status`: whether a panic would end in a dump.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command};
use kdump_segments::load::{LoadRecord, Status};
use serde_json::{Value, json};

use super::info;
use super::plan::root_arg;
use crate::failure::CommandResult;
use crate::hint;
use crate::json::hex;

const LONG: &str = "\
Show whether memory is reserved for a capture kernel, whether one is loaded, and what to do when a
panic would not end in a dump. Addresses of the reservation are shown to root only.

Of what is loaded the kernel shows nothing. kdump load therefore notes in /run/kdump/loaded what the
capture kernel needs; of a capture kernel loaded by other means that is not known.";

const EXAMPLES: &str = "\
Examples:
  kdump status
  kdump status --json | jq .crash_loaded";

pub(crate) fn command() -> Command {
    Command::new("status")
        .about("Show whether a panic would end in a dump")
        .long_about(LONG)
        .after_help(EXAMPLES)
        .arg(info::json_arg())
        .arg(root_arg("Look at the machine whose proc/ and sys/ are in DIR"))
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let root = matches.get_one::<PathBuf>("root").map_or(Path::new("/"), PathBuf::as_path);
    let status = Status::collect(root)?;
    if matches.get_flag("json") {
        return Ok(crate::json::print(&document(&status))?);
    }
    Ok(print(&status)?)
}

fn document(status: &Status) -> Value {
    let regions =
        status.regions.iter().map(|region| json!({ "start": hex(region.start()), "size": region.size() }));
    json!({
        "loaded": status.kexec.loaded,
        "crash_loaded": status.kexec.crash_loaded,
        "crash_size": status.kexec.crash_size,
        "regions": regions.collect::<Vec<_>>(),
        "cpu_hotplug": status.kexec.cpu_hotplug,
        "memory_hotplug": status.kexec.memory_hotplug,
        "capture_need": status.record.as_ref().map(record),
        "advice": status.advice.iter().map(hint::advised).collect::<Vec<_>>(),
    })
}

fn record(record: &LoadRecord) -> Value {
    json!({
        "kernel": record.kernel,
        "initrd": record.initrd,
        "total": record.need,
        "room": record.room,
        "verdict": record.fit().name(),
    })
}

/// What the kernel that is loaded needs, as far as that is known.
fn need(status: &Status) -> String {
    match &status.record {
        Some(record) => {
            let (need, room) = (record.need.div_ceil(1 << 20), record.room >> 20);
            format!("about {need} MiB; the region has {room} MiB: {}", record.fit().name())
        }
        None => "not known: it was not loaded by kdump load".to_owned(),
    }
}

fn print(status: &Status) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = crate::terminal::out();
    let yes_no = |value: Option<bool>| value.map_or("not shown", |value| if value { "yes" } else { "no" });
    writeln!(out, "capture kernel loaded   {}", yes_no(status.kexec.crash_loaded))?;
    let size =
        status.kexec.crash_size.map_or_else(|| "not shown".to_owned(), |size| format!("{} MiB", size >> 20));
    writeln!(out, "reserved                {size}")?;
    for region in &status.regions {
        writeln!(out, "  {region}")?;
    }
    if status.kexec.crash_loaded == Some(true) {
        writeln!(out, "capture kernel needs    {}", need(status))?;
    }
    writeln!(out, "next kernel loaded      {}", yes_no(status.kexec.loaded))?;
    status.advice.iter().try_for_each(|advice| writeln!(out, "{}", hint::advised(advice)))?;
    out.flush()
}
