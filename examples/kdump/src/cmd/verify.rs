//! `kdump verify`: reads everything a dump claims to have and reports damage by pfn.

use std::io::Write;

use clap::{ArgMatches, Command};
use kdump_vmcore::{Dump, UnreadableRange, Verification, verify};
use serde_json::{Value, json};

use super::info;
use crate::failure::{CommandResult, Failure};
use crate::json::hex;
use crate::progress::{self, Reporter};

const EXAMPLES: &str = "\
Exit status 3 when anything is damaged or missing, 1 when the dump cannot be opened.

Examples:
  kdump verify /var/crash/vmcore
  kdump verify --json --progress none /var/crash/vmcore";

pub(crate) fn command() -> Command {
    Command::new("verify")
        .about("Read every page; report damage by pfn")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(info::raw_arg())
        .arg(info::mmap_arg())
        .arg(info::json_arg())
        .arg(progress::arg())
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = info::open(matches)?;
    let (page_size, _) = info::page_size(&dump);
    let mut reporter = Reporter::new(matches);
    let result = verify(&dump, &mut |state| reporter.show(state));
    reporter.finish();
    let found = result?;
    if matches.get_flag("json") {
        crate::json::print(&document(&dump, &found, page_size))?;
    } else {
        print(&dump, &found, page_size)?;
    }
    if found.is_sound() {
        return Ok(());
    }
    let (bytes, defects) = (found.unreadable.bytes, found.defects.len());
    Err(Failure::lacking(format!("{bytes} bytes of memory cannot be read, {defects} other defects")))
}

/// First and last page frame number, both inclusive.
fn pfns(bad: &UnreadableRange, page_size: u64) -> (u64, u64) {
    let pfn = |paddr: u64| paddr.checked_div(page_size).unwrap_or(0);
    (pfn(bad.range.start()), pfn(bad.range.last()))
}

/// What Xen means for this dump: that all of its memory can be read is not all that a user of it wants.
fn xen<'d>(dump: &'d Dump<'_>) -> Option<&'d str> {
    let mut details = dump.facts().details.iter();
    details.find(|(name, _)| *name == "xen").map(|(_, text)| text.as_str())
}

fn document(dump: &Dump<'_>, found: &Verification, page_size: u64) -> Value {
    let damage = found.unreadable.ranges.iter().map(|bad| {
        let (first, last) = pfns(bad, page_size);
        json!({
            "pfn_first": first, "pfn_last": last, "start": hex(bad.range.start()), "size": bad.range.size(),
            "cause": bad.error.to_string(),
        })
    });
    json!({
        "sound": found.is_sound(),
        "xen": xen(dump),
        "memory": found.memory,
        "unreadable": found.unreadable.bytes,
        "damage": damage.collect::<Vec<_>>(),
        "damage_unlisted": found.unreadable.unlisted,
        "defects": found.defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn print(dump: &Dump<'_>, found: &Verification, page_size: u64) -> std::io::Result<()> {
    let mut out = crate::terminal::out();
    writeln!(out, "{} bytes of memory read", found.memory.saturating_sub(found.unreadable.bytes))?;
    for bad in &found.unreadable.ranges {
        let (first, last) = pfns(bad, page_size);
        writeln!(out, "pfn {first:#x} to {last:#x} ({} bytes): {}", bad.range.size(), bad.error)?;
    }
    if found.unreadable.unlisted > 0 {
        writeln!(out, "{} more damaged ranges", found.unreadable.unlisted)?;
    }
    for defect in &found.defects {
        writeln!(out, "damaged: {defect}")?;
    }
    if let Some(text) = xen(dump) {
        writeln!(out, "xen: {text}")?;
    }
    if found.is_sound() {
        writeln!(out, "sound")?;
    }
    out.flush()
}
