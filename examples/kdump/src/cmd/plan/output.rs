//! Writes a plan to a directory: plan.json, plan.txt and one file per segment.

use std::fs;
use std::path::Path;

use kdump_segments::plan::Plan;
use serde_json::Value;

use crate::failure::{CommandResult, Failure};

/// Files are numbered in the order of the system call. Segment files of an earlier plan are
/// removed, so that the directory shows one plan.
pub(super) fn write(dir: &Path, plan: &Plan<'_>, document: &Value, text: &str) -> CommandResult {
    fs::create_dir_all(dir).map_err(|error| failure(dir, &error))?;
    remove_old(dir)?;
    for (index, segment) in plan.segments.iter().enumerate() {
        file(&dir.join(format!("{index:02}-{}.bin", segment.kind.name())), &segment.data)?;
    }
    let mut json = serde_json::to_vec_pretty(document)?;
    json.push(b'\n');
    file(&dir.join("plan.json"), &json)?;
    file(&dir.join("plan.txt"), text.as_bytes())
}

fn remove_old(dir: &Path) -> CommandResult {
    for entry in fs::read_dir(dir).map_err(|error| failure(dir, &error))? {
        let path = entry.map_err(|error| failure(dir, &error))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_segment) {
            fs::remove_file(&path).map_err(|error| failure(&path, &error))?;
        }
    }
    Ok(())
}

/// `NN-KIND.bin`
fn is_segment(name: &str) -> bool {
    let Some((number, kind)) = name.split_once('-') else { return false };
    let kind = kind.strip_suffix(".bin").unwrap_or_default();
    let kinds = ["backup", "elfcorehdr", "purgatory", "bootparams", "kernel", "initrd", "setup_data", "dtb"];
    number.len() == 2 && number.bytes().all(|digit| digit.is_ascii_digit()) && kinds.contains(&kind)
}

fn file(path: &Path, bytes: &[u8]) -> CommandResult {
    fs::write(path, bytes).map_err(|error| failure(path, &error))
}

fn failure(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::is_segment;

    #[test]
    fn only_our_own_files_are_removed() {
        assert!(is_segment("00-setup_data.bin") && is_segment("12-kernel.bin"));
        for other in ["00-other.bin", "0-kernel.bin", "00-kernel.bin.bak", "plan.json", "notes-kernel.bin"] {
            assert!(!is_segment(other), "{other}");
        }
    }
}
