//! Writes a plan to a directory: plan.json, plan.txt and one file per segment.

use std::fs;
use std::path::{Path, PathBuf};

use kdump_segments::plan::Plan;
use serde_json::Value;

use crate::failure::{CommandResult, Failure};
use crate::files;
use crate::new_file::{self, NewFile};

/// Files are numbered in the order of the system call. Segment files of an earlier plan are
/// removed, so that the directory shows one plan; that happens when all of the new one is on the
/// disk, and not to any of `inputs`.
pub(super) fn write(
    dir: &Path,
    plan: &Plan<'_>,
    document: &Value,
    text: &str,
    inputs: &[&Path],
) -> CommandResult {
    new_file::directory(dir)?;
    let old = old_segments(dir)?;
    for path in &old {
        inputs.iter().try_for_each(|input| files::refuse_same(path, input))?;
    }
    let mut drafts = Vec::new();
    let mut draft = |name: String, bytes: &[u8]| -> CommandResult {
        let mut file = NewFile::create(&dir.join(name), inputs)?;
        file.write(bytes)?;
        drafts.push(file);
        Ok(())
    };
    for (index, segment) in plan.segments.iter().enumerate() {
        draft(format!("{index:02}-{}.bin", segment.kind.name()), &segment.data)?;
    }
    draft("plan.txt".to_owned(), text.as_bytes())?;
    // Last, for it describes the others.
    let place = dir.join("plan.json");
    let file = NewFile::create(&place, inputs)?;
    crate::json::write(document, file.file()).map_err(|error| failure(&place, &error))?;
    drafts.push(file);
    for path in old {
        fs::remove_file(&path).map_err(|error| failure(&path, &error))?;
    }
    drafts.into_iter().try_for_each(NewFile::keep)
}

/// The segment files of an earlier plan.
fn old_segments(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut old = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| failure(dir, &error))? {
        let path = entry.map_err(|error| failure(dir, &error))?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_segment) {
            old.push(path);
        }
    }
    Ok(old)
}

/// `NN-KIND.bin`
fn is_segment(name: &str) -> bool {
    let Some((number, kind)) = name.split_once('-') else { return false };
    let kind = kind.strip_suffix(".bin").unwrap_or_default();
    let kinds = ["backup", "elfcorehdr", "purgatory", "bootparams", "kernel", "initrd", "setup_data", "dtb"];
    number.len() == 2 && number.bytes().all(|digit| digit.is_ascii_digit()) && kinds.contains(&kind)
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
