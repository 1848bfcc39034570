//! The plan was accepted, the purgatory let it pass, the capture kernel ran.

use std::path::Path;

use serde_json::Value;

use super::Evidence;
use crate::crash::drive::MATCHES;
use crate::crash::options::Loader;
use crate::error::{Context, Result, failed};

/// `path` is a copy of /sys/kernel/kexec_crash_loaded.
pub(crate) fn is_one(path: &Path) -> Result<String> {
    match super::read(path)?.trim() {
        "1" => Ok("1".to_owned()),
        other => Err(failed(format!("it is {other:?}"))),
    }
}

pub(super) fn status(evidence: &Evidence) -> Result<String> {
    let text = evidence.text("status.json")?;
    let status: Value = serde_json::from_str(&text).context("status.json")?;
    match status.get("crash_loaded") {
        Some(Value::Bool(true)) => Ok("says that a crash kernel is loaded".to_owned()),
        other => Err(failed(format!("crash_loaded is {other:?}"))),
    }
}

/// The purgatory of kexec-tools speaks before it verifies, and once more only when that fails.
pub(super) fn digest(evidence: &Evidence) -> Result<String> {
    let console = &evidence.sightings.console;
    let said = match evidence.loader {
        Loader::KexecTools => "I'm in purgatory",
        Loader::Kdump | Loader::C => MATCHES,
    };
    if let Some(line) = console.iter().find(|line| line.contains("digests do not match")) {
        return Err(failed(line.trim()));
    }
    let line = console.iter().find(|line| line.contains(said));
    line.map(|line| line.trim().to_owned()).context("the purgatory said nothing on the serial line")
}

pub(super) fn command_line(evidence: &Evidence) -> Result<String> {
    let text = evidence.text("cmdline.capture")?;
    let missing = evidence.lab.told.iter().find(|w| !text.contains(*w));
    match missing {
        Some(word) => Err(failed(format!("no {word} in {text:?}"))),
        None => Ok(text.trim().to_owned()),
    }
}

pub(super) fn saved(evidence: &Evidence) -> Result<String> {
    let code = evidence.text("save.rc")?;
    if code.trim() != "0" {
        let said = evidence.text("save.txt")?;
        return Err(failed(format!("exit code {}: {}", code.trim(), said.trim())));
    }
    let dump = evidence.dump();
    let len = std::fs::metadata(&dump).context(dump.display())?.len();
    Ok(format!("exit code 0, {len} bytes"))
}
