//! Whether a dump that is saved might not fit.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use kdump_vmcore::{Classes, Dump, OnFull, SaveFormat, SaveOptions};

use super::info;
use crate::failure::{CommandResult, Failure};

/// Refuses room that is to stay free where there is no file system.
pub(super) fn check(options: SaveOptions, destination: &Path) -> CommandResult {
    let device = destination.metadata().is_ok_and(|found| found.file_type().is_block_device());
    if device && options.min_free > 0 {
        let place = destination.display();
        return Err(Failure::usage(format!("--min-free is of a file system: {place} is a block device")));
    }
    Ok(())
}

/// What to say when the file might not fit; saving goes on: most dumps compress well, and what fits is worth having.
/// Whoever asked that nothing be written then is told so by the failure.
pub(super) fn warning(dump: &Dump<'_>, options: SaveOptions, destination: &Path) -> Option<String> {
    let found = destination.metadata().ok();
    let device = found.as_ref().is_some_and(|found| found.file_type().is_block_device());
    if options.on_full == OnFull::Stop || found.is_some_and(|found| !found.is_file() && !device) {
        return None;
    }
    let format = options.format;
    let free = kdump_vmcore::free_space(destination)?;
    let free = free.saturating_sub(options.min_free);
    // Looking at every page is for those only who might need to know.
    if kdump_vmcore::estimate(dump, unfiltered(format)).is_ok_and(|most| most.max_size <= free) {
        return None;
    }
    let estimate = kdump_vmcore::estimate(dump, format).ok()?;
    space_warning(estimate.max_size, free, device)
}

/// The same format with nothing left out.
fn unfiltered(format: SaveFormat) -> SaveFormat {
    match format {
        SaveFormat::Elf(options) => SaveFormat::Elf(options.exclude(Classes::NONE)),
        SaveFormat::FlattenedElf(options) => SaveFormat::FlattenedElf(options.exclude(Classes::NONE)),
        SaveFormat::Kdump(options) => SaveFormat::Kdump(options.exclude(Classes::NONE)),
        SaveFormat::Flattened(options) => SaveFormat::Flattened(options.exclude(Classes::NONE)),
        other => other,
    }
}

/// What to say of a file that may need so many bytes where so many are free.
fn space_warning(need: u64, free: u64, device: bool) -> Option<String> {
    let (most, there) = (info::human_size(need), info::human_size(free));
    let text = if device {
        format!(
            "the dump may need {most} and the device has {there}; if that is too little, what was saved until \
             then is on it, and what it held is lost"
        )
    } else {
        format!(
            "the file may need {most} and the file system has {there} free for it; if that is too little, what \
             was saved until then is kept as .incomplete"
        )
    };
    (need > free).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_told_before() {
        assert_eq!(space_warning(4096, 4096, false), None);
        let warning = space_warning(8 << 20, 3 << 20, false).unwrap();
        assert!(warning.contains("8.0 MiB") && warning.contains("3.0 MiB"), "{warning}");
    }
}
