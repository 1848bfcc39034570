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

/// What is armed now that the kernel was asked.
fn state(shown: Option<&str>) -> &'static str {
    match shown {
        Some("1") => "the capture kernel that was loaded before still is",
        Some(_) => "no capture kernel is loaded now: a panic will not end in a dump",
        None => "whether a capture kernel is still loaded is unknown: /sys does not show it",
    }
}

/// A load that failed, and what that means for the machine when the kernel was asked.
pub(super) fn state_after(error: Error) -> Failure {
    let asked = matches!(error, Error::Syscall { .. });
    let failure = Failure::from(error);
    if asked { with_state(failure, shown().map(|(_, text)| text).as_deref()) } else { failure }
}

/// `failure` of a second attempt, when the first ended in `error`.
pub(super) fn with_state_after(error: &Error, failure: Failure) -> Failure {
    if !matches!(error, Error::Syscall { .. }) {
        return failure;
    }
    with_state(failure, shown().map(|(_, text)| text).as_deref())
}

/// Says once what is armed.
fn with_state(failure: Failure, shown: Option<&str>) -> Failure {
    let state = state(shown);
    if failure.to_string().ends_with(state) { failure } else { failure.and_says(state) }
}

/// The failure of the load, whether or not the plan could be told: standard output that is full must
/// not hide what became of the machine.
pub(super) fn tell_first(told: CommandResult, failure: Failure) -> Failure {
    match told {
        Err(telling) if telling.is_worth_telling() => {
            failure.and_says(&format!("and not all was told: {telling}"))
        }
        _ => failure,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn syscall() -> Error {
        let (call, name, cause) = ("kexec_load", "EINVAL", "no");
        Error::Syscall { call, errno: 22, name, cause, advice: "none".into() }
    }

    /// kexec_load(2) drops what is armed before it says no, and kexec_file_load(2) may not even be
    /// tried after it.
    #[test]
    fn what_the_first_of_two_calls_has_done_is_said() {
        let second = || Failure::usage("--out: not possible with kexec_file_load");
        let told = with_state_after(&syscall(), second()).to_string();
        assert!(told.contains("--out") && told.contains("capture kernel"), "{told}");
        let told = with_state(second(), Some("0")).to_string();
        assert!(told.ends_with("no capture kernel is loaded now: a panic will not end in a dump"), "{told}");
        let twice = with_state(with_state(second(), Some("0")), Some("0")).to_string();
        assert_eq!(twice, told);
        let early = Error::Preflight { rule: "lockdown", detail: "no".into() };
        assert_eq!(with_state_after(&early, second()).to_string(), second().to_string());
        assert_eq!(
            format!("{:?}", with_state(second(), None).exit_code()),
            format!("{:?}", second().exit_code())
        );
    }

    #[test]
    fn a_full_terminal_does_not_hide_why_the_load_failed() {
        let full = || Err(Failure::from(std::io::Error::from_raw_os_error(28)));
        let told = tell_first(full(), Failure::new("refused")).to_string();
        assert!(told.starts_with("refused") && told.contains("No space left"), "{told}");
        let gone = Err(Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
        let failure = tell_first(gone, Failure::new("refused"));
        assert_eq!((failure.to_string().as_str(), failure.is_worth_telling()), ("refused", true));
    }
}
