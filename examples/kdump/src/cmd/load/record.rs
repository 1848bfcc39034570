//! What is noted of a load for `kdump status`, and what the user is warned of.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use kdump_segments::Machine;
use kdump_segments::capture_need::{CaptureNeed, Fit};
use kdump_segments::load::{FileLoad, LoadRecord};

use crate::hint;

/// Warns of a region that is too small, and writes the note. The load has happened: nothing here
/// may make it look as if it had not.
pub(super) fn note(matches: &ArgMatches, need: Option<&CaptureNeed>, reserved: u64) {
    let root = Path::new("/");
    let path = |name: &str| matches.get_one::<PathBuf>(name).map(|path| path.display().to_string());
    let written = match need {
        Some(need) => {
            if need.fit() == Fit::Unlikely {
                crate::terminal::tell!("kdump load: warning: {need}; {}", hint::SUGGEST);
            }
            let kernel = path("kernel").unwrap_or_default();
            LoadRecord::new(need, reserved, kernel).initrd(path("initrd")).write(root)
        }
        // An earlier load's note would be believed.
        None => LoadRecord::remove(root),
    };
    if let Err(error) = written {
        crate::terminal::tell!(
            "kdump load: warning: {error}: kdump status will not know what the capture kernel needs"
        );
    }
}

/// The need of what the running kernel placed itself.
pub(super) fn of_files(load: &FileLoad, machine: &Machine) -> Option<CaptureNeed> {
    let limit = machine.load_region()?.size();
    let kernel = load.kernel().read_kernel(limit).ok()?;
    let initrd = load.initrd().map(|file| file.read(limit)).transpose().ok()?;
    CaptureNeed::of_images(machine, &kernel, initrd.as_deref(), load.cmdline()).ok().flatten()
}
