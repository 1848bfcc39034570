//! Whether a dump that is saved might not fit.

use std::path::Path;

use kdump_vmcore::{Classes, Dump, OnFull, SaveFormat, SaveOptions};

use super::info;

/// Says when the file might not fit, and goes on: most dumps compress well, and what fits is worth having.
/// Whoever asked that nothing be written then is told so by the failure.
pub(super) fn warn(dump: &Dump<'_>, options: SaveOptions, destination: &Path) {
    if options.on_full == OnFull::Stop || destination.metadata().is_ok_and(|found| !found.is_file()) {
        return;
    }
    let format = options.format;
    let Some(free) = kdump_vmcore::free_space(destination) else { return };
    let free = free.saturating_sub(options.min_free);
    // Looking at every page is for those only who might need to know.
    if kdump_vmcore::estimate(dump, unfiltered(format)).is_ok_and(|most| most.max_size <= free) {
        return;
    }
    let Ok(estimate) = kdump_vmcore::estimate(dump, format) else { return };
    if let Some(warning) = space_warning(estimate.max_size, free) {
        crate::terminal::tell!("kdump save: {warning}");
    }
}

/// The same format with nothing left out.
fn unfiltered(format: SaveFormat) -> SaveFormat {
    match format {
        SaveFormat::Elf(_) => SaveFormat::default(),
        SaveFormat::Kdump(options) => SaveFormat::Kdump(options.exclude(Classes::NONE)),
        SaveFormat::Flattened(options) => SaveFormat::Flattened(options.exclude(Classes::NONE)),
        other => other,
    }
}

/// What to say of a file that may need so many bytes where so many are free.
fn space_warning(need: u64, free: u64) -> Option<String> {
    let (most, there) = (info::human_size(need), info::human_size(free));
    let text = format!(
        "the file may need {most} and the file system has {there} free for it; if that is too little, what was \
         saved until then is kept as .incomplete"
    );
    (need > free).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_told_before() {
        assert_eq!(space_warning(4096, 4096), None);
        let warning = space_warning(8 << 20, 3 << 20).unwrap();
        assert!(warning.contains("8.0 MiB") && warning.contains("3.0 MiB"), "{warning}");
    }
}
