//! What the scripts must have done, and what their dump must show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kdump_witness::PAGE;
use serde_json::Value;

use super::command_lines;
use crate::consumers;
use crate::crash::checks::{Check, Evidence, cpus, is_one, log, pages, peers, read};
use crate::crash::drive::Sightings;
use crate::crash::lab::X86_64;
use crate::crash::options::{Loader, Series};
use crate::error::{Context, Result, failed};
use crate::formats::Maker;
use crate::progress::Row;
use crate::shell;

/// Pages of which crash reads a word.
const WORDS: usize = 64;

const LOAD: &[Check] = &[
    ("kdump-tools start", |evidence| said(evidence, "boot", 0, "loaded kdump kernel")),
    ("kexec --status, loaded", |evidence| said(evidence, "loaded-status", 1, "")),
    ("kdump-config unload", |evidence| said(evidence, "unload", 0, "unloaded kdump kernel")),
    ("kexec_crash_loaded then", |evidence| match evidence.text("crash_unloaded")?.trim() {
        "0" => Ok("0".to_owned()),
        other => Err(failed(format!("it is {other:?}"))),
    }),
    ("kexec --status, not loaded", |evidence| said(evidence, "unloaded-status", 0, "")),
    ("kdump-config load", |evidence| said(evidence, "load", 0, "loaded kdump kernel")),
    ("kdump-config show", |evidence| said(evidence, "show", 0, "ready to kdump")),
    ("kexec_crash_loaded", |evidence| is_one(&evidence.file("crash_loaded"))),
    ("makedumpfile --mem-usage", mem_usage),
];

const SAVED: &[Check] = &[
    ("saved in /var/crash", saved),
    ("dmesg in /var/crash", dmesg),
    ("complete", complete),
    ("witness pages", pages::witness),
    ("kdump notes", cpus::in_notes),
    ("kdump dmesg", log::kdump),
];

/// Of the stream that makedumpfile has put together.
const REARRANGED: &[Check] = &[
    ("witness pages, put together", pages::witness),
    ("libkdumpfile", peers::libkdumpfile),
    ("crash", in_crash),
    ("makedumpfile --dump-dmesg", peers::makedumpfile_dmesg),
];

pub(super) fn all(
    kdump: PathBuf,
    dir: PathBuf,
    files: PathBuf,
    sightings: Sightings,
    series: Series,
) -> Vec<Row> {
    let dump = dumped(&files);
    let found = dump.as_ref().map_or_else(|_| files.join("var/crash"), |(dump, _)| dump.clone());
    let whole = dir.join("rearranged");
    let maker = Maker::host().map_err(|_| "makedumpfile: no such program");
    let mut evidence =
        Evidence { lab: &X86_64, maker, kdump, loader: Loader::Kdump, dir, files, dump: found, sightings };
    let row = |evidence: &Evidence, (name, check): &Check| Row::of(name, check(evidence));
    let mut rows: Vec<Row> = LOAD.iter().chain(SAVED).map(|check| row(&evidence, check)).collect();
    rows.push(Row::of("makedumpfile -R, theirs and ours", rearranged(&evidence, &whole)));
    evidence.dump = whole;
    rows.extend(REARRANGED.iter().map(|check| row(&evidence, check)));
    rows.extend(command_lines::rows(&evidence.kdump, &evidence.dump, &evidence.dir, series));
    rows
}

/// A command of the guest ended with `code` and said `words`.
fn said(evidence: &Evidence, name: &str, code: i32, words: &str) -> Result<String> {
    let text = evidence.text(&format!("{name}.txt"))?;
    let found = evidence.text(&format!("{name}.rc"))?;
    if found.trim() == code.to_string() && text.contains(words) {
        return Ok(format!("exit code {code}, {}", if words.is_empty() { "as told" } else { words }));
    }
    Err(failed(format!("exit code {}, not {code} with {words:?}: {}", found.trim(), text.trim())))
}

/// Every kind of page must have been seen on a machine that runs.
fn mem_usage(evidence: &Evidence) -> Result<String> {
    let table = evidence.text("mem-usage.txt")?;
    let pages = |kind: &str| -> Option<u64> {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(kind))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let kinds = ["ZERO", "NON_PRI_CACHE", "USER", "FREE", "KERN_DATA"];
    let found: Vec<String> =
        kinds.iter().filter_map(|kind| Some(format!("{kind} {}", pages(kind).filter(|&n| n > 0)?))).collect();
    if found.len() != kinds.len() || evidence.text("mem-usage.rc")?.trim() != "0" {
        return Err(failed(table.trim()));
    }
    let total = kinds.iter().chain(&["PRI_CACHE"]).filter_map(|kind| pages(kind)).sum::<u64>();
    let iomem = evidence.text("iomem.first")?;
    let sum = |name: &str| iomem.lines().filter(|line| line.ends_with(name)).filter_map(size).sum::<u64>();
    let ram = sum(" : System RAM").saturating_sub(sum(" : Crash kernel")).div_ceil(PAGE as u64);
    if total > ram || total.saturating_mul(10) < ram.saturating_mul(9) {
        return Err(failed(format!("{total} pages of {ram} outside of the crash region:\n{}", table.trim())));
    }
    Ok(format!("{}; {total} of {ram} pages outside of the crash region", found.join(", ")))
}

/// Bytes of a line of /proc/iomem.
fn size(line: &str) -> Option<u64> {
    let (range, _) = line.trim().split_once(' ')?;
    let (first, last) = range.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    number(last)?.checked_sub(number(first)?)?.checked_add(1)
}

/// The dump in /var/crash/DATE and its date.
fn dumped(files: &Path) -> Result<(PathBuf, String)> {
    let crash = files.join("var/crash");
    let entries = fs::read_dir(&crash).context(crash.display())?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_date = |name: &String| name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit());
    let dates: Vec<String> = names.filter(is_date).collect();
    let [date] = dates.as_slice() else {
        return Err(failed(format!("/var/crash has {} directories of a date", dates.len())));
    };
    Ok((crash.join(date).join(format!("dump.{date}")), date.clone()))
}

/// The scripts have what they wanted: they fall back to `cp` without a word in the exit code.
fn saved(evidence: &Evidence) -> Result<String> {
    let (dump, date) = dumped(&evidence.files)?;
    let dir = dump.parent().context("no directory")?;
    let entries = fs::read_dir(dir).context(dir.display())?;
    let mut names: Vec<_> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    if names != [format!("dmesg.{date}"), format!("dump.{date}")] {
        return Err(failed(format!("/var/crash/{date} has {names:?}")));
    }
    let console = &evidence.sightings.console;
    let line = |text: &str| console.iter().any(|line| line.contains(text));
    for text in ["makedumpfile Completed.", &format!("saved vmcore in /var/crash/{date}")] {
        if !line(text) {
            return Err(failed(format!("the console never said {text:?}")));
        }
    }
    let size = fs::metadata(&dump).context(dump.display())?.len();
    Ok(format!("{date}/{{{}}}, {size} bytes", names.join(",")))
}

fn dmesg(evidence: &Evidence) -> Result<String> {
    let (dump, date) = dumped(&evidence.files)?;
    log::panic_at_end(&read(&dump.with_file_name(format!("dmesg.{date}")))?)
}

fn complete(evidence: &Evidence) -> Result<String> {
    let mut command = Command::new(&evidence.kdump);
    let json = shell::stdout(command.args(["info", "--json"]).arg(&evidence.dump))?;
    let info: Value = serde_json::from_slice(&json).context("kdump info --json")?;
    let state = info.get("completeness").and_then(|state| state.get("complete"));
    let text = |name: &str| info.get(name).map(Value::to_string).unwrap_or_default();
    match state {
        Some(Value::Bool(true)) => Ok(format!("{}, {}", text("format"), text("compression"))),
        other => Err(failed(format!("complete is {other:?}"))),
    }
}

/// The stream put together by the distribution's makedumpfile into `whole`, and by ours: the same file.
fn rearranged(evidence: &Evidence, whole: &Path) -> Result<String> {
    let ours = whole.with_extension("ours");
    let theirs = shell::tool("makedumpfile")?;
    let mut own = Command::new(&evidence.kdump);
    own.arg("makedumpfile");
    for (mut command, out) in [(theirs, whole), (own, ours.as_path())] {
        let stream = fs::File::open(&evidence.dump).context(evidence.dump.display())?;
        command.args(["-f", "-R"]).arg(out).stdin(stream);
        let line = shell::describe(&command);
        let output = command.output().context(&line)?;
        if !output.status.success() {
            return Err(failed(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim())));
        }
    }
    let (theirs, own) = (fs::read(whole).context(whole.display())?, fs::read(&ours).context(ours.display())?);
    fs::remove_file(&ours).context(ours.display())?;
    if theirs != own {
        return Err(failed("the files differ"));
    }
    Ok(format!("{} bytes, the same", own.len()))
}

/// crash reads the witness.
fn in_crash(evidence: &Evidence) -> Result<String> {
    let list = evidence.witness()?;
    let sample: Vec<_> = list.pages.iter().take(WORDS).copied().collect();
    let addresses: Vec<u64> = sample.iter().map(|witness| witness.paddr).collect();
    let found = consumers::words_in_crash(&evidence.dump, evidence.dir.clone(), &addresses)?;
    let word = |index| {
        let page = kdump_witness::page(list.seed, index);
        page.first_chunk().map(|word| u64::from_le_bytes(*word))
    };
    let expected: Vec<u64> = sample.iter().filter_map(|witness| word(witness.index)).collect();
    if found == expected && !found.is_empty() {
        return Ok(format!("{} words of as many witness pages", found.len()));
    }
    Err(failed(format!("crash has {found:x?} at {addresses:x?}, not {expected:x?}")))
}
