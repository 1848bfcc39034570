//! What a load came to: what the kernel shows, and how the user is told.

use std::fs;
use std::io::Write;

use clap::ArgMatches;
use kdump_segments::Error;
use kdump_segments::load::FileLoad;
use kdump_segments::preflight::Report;
use serde_json::json;

use crate::failure::{CommandResult, Failure};

/// Where the kernel shows that a capture kernel is loaded, in Linux 6.19 and before.
const LOADED: [&str; 2] = ["/sys/kernel/kexec/crash_loaded", "/sys/kernel/kexec_crash_loaded"];

fn shown() -> Option<(&'static str, String)> {
    LOADED.iter().find_map(|path| Some((*path, fs::read_to_string(path).ok()?.trim().to_owned())))
}

/// The system call said yes; the kernel must show it.
pub(super) fn verify() -> CommandResult {
    match shown() {
        Some((_, text)) if text == "1" => Ok(()),
        Some((path, text)) => {
            Err(Failure::new(format!("the load succeeded, but {path} is {text:?} instead of 1")))
        }
        None => Err(Failure::new(format!(
            "the load succeeded, but neither {} can be read to see it (is /sys mounted?)",
            LOADED.join(" nor ")
        ))),
    }
}

/// A load that failed, and what that means for the machine when the kernel was asked.
pub(super) fn state_after(error: Error) -> Failure {
    if !matches!(error, Error::Syscall { .. }) {
        return error.into();
    }
    let state = match shown() {
        Some((_, text)) if text == "1" => "the capture kernel that was loaded before still is",
        Some(_) => "no capture kernel is loaded now: a panic will not end in a dump",
        None => "whether a capture kernel is still loaded is unknown: /sys does not show it",
    };
    Failure::new(format!("{error}; {state}"))
}

/// What went wrong behind the load must not look as if the load had.
pub(super) fn but_loaded(told: CommandResult) -> CommandResult {
    told.map_err(|failure| {
        Failure::new(format!("the capture kernel is loaded, but not all was told: {failure}"))
    })
}

pub(super) fn line(text: &str) -> CommandResult {
    let mut out = crate::terminal::out();
    writeln!(out, "{text}").and_then(|()| out.flush())?;
    Ok(())
}

/// One line, or what `--json` and `--verbose` ask for.
pub(super) fn tell_files(
    matches: &ArgMatches,
    load: &FileLoad,
    report: &Report,
    notes: &[String],
    loaded: bool,
) -> CommandResult {
    if matches.get_flag("json") {
        let findings = report.findings.iter().map(|finding| {
            json!({ "rule": finding.rule, "verdict": finding.verdict.name(), "detail": finding.detail })
        });
        let document = json!({
            "syscall": "kexec_file_load",
            "kernel": load.kernel().path().display().to_string(),
            "initrd": load.initrd().map(|initrd| initrd.path().display().to_string()),
            "cmdline": load.cmdline().as_str(),
            "preflight": findings.collect::<Vec<_>>(),
            "errno": report.errno.map(|errno| errno.name()),
            "notes": notes,
        });
        return Ok(crate::json::print(&document)?);
    }
    let mut text = String::new();
    if matches.get_flag("verbose") {
        for finding in &report.findings {
            text.push_str(&format!(
                "{:<7} {:<16} {}\n",
                finding.verdict.name(),
                finding.rule,
                finding.detail
            ));
        }
    }
    notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    if loaded {
        let sizes =
            [Some(load.kernel()), load.initrd()].into_iter().flatten().map(|file| file.size().div_ceil(1024));
        let sizes = sizes.map(|kib| format!("{kib} KiB")).collect::<Vec<_>>().join(" and ");
        text.push_str(&format!("capture kernel loaded by kexec_file_load: {sizes}\n"));
    }
    if text.is_empty() { Ok(()) } else { line(text.trim_end()) }
}
