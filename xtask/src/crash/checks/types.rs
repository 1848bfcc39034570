//! The dead kernel's own types, in the place of what VMCOREINFO tells of `struct page`.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::Value;

use super::Evidence;
use crate::error::{Context, Result, failed};
use crate::shell;

/// Keys that are taken away.
const KEYS: [&str; 4] =
    ["SIZE(page)", "OFFSET(page.private)", "OFFSET(page.compound_head)", "NUMBER(PG_lru)"];
/// The notes are in the first bytes of a dump.
const NOTES: usize = 1 << 20;

/// Pages have the same classes when VMCOREINFO lacks these keys.
pub(super) fn tell_classes(evidence: &Evidence) -> Result<String> {
    let without = evidence.dir.join("without-keys.elf");
    fs::copy(evidence.dump(), &without).context(without.display())?;
    rename_keys(&without)?;
    let (whole, lacking) = (classes(evidence, &evidence.dump())?, classes(evidence, &without)?);
    fs::remove_file(&without).context(without.display())?;
    let keys = |map: &Value| map.get("from_btf").cloned().unwrap_or_default();
    if keys(&whole) != Value::Array(vec![]) || keys(&lacking) != Value::from(KEYS.as_slice()) {
        return Err(failed(format!("taken from BTF: {} and {}", keys(&whole), keys(&lacking))));
    }
    let ranges = |map: &Value| map.get("ranges").and_then(Value::as_array).map_or(0, Vec::len);
    if ranges(&whole) < 100 || whole.get("ranges") != lacking.get("ranges") {
        return Err(failed(format!("{} ranges, and others without {KEYS:?}", ranges(&whole))));
    }
    Ok(format!("{} ranges of pages are the same without {}", ranges(&whole), KEYS.join(", ")))
}

/// Gives the keys names that nobody looks for.
fn rename_keys(dump: &Path) -> Result {
    let file = fs::OpenOptions::new().read(true).write(true).open(dump).context(dump.display())?;
    let mut notes = vec![0; NOTES];
    file.read_exact_at(&mut notes, 0).context(dump.display())?;
    for key in KEYS {
        let line = format!("\n{key}=");
        let at = notes.windows(line.len()).position(|bytes| bytes == line.as_bytes()).context(key)?;
        file.write_all_at(b"x", (at as u64).saturating_add(1)).context(dump.display())?;
    }
    Ok(())
}

fn classes(evidence: &Evidence, dump: &Path) -> Result<Value> {
    let text = shell::stdout(evidence.kdump(&["map", "--classes", "--json"]).arg(dump))?;
    serde_json::from_slice(&text).context("kdump map --classes")
}
