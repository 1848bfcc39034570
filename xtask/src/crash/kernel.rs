//! A Debian kernel package, unpacked but never installed.

use std::fs;
use std::path::PathBuf;

use super::options::Series;
use crate::apt::Archive;
use crate::error::{Context, Result};
use crate::progress::Clock;
use crate::repo;

#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// What `uname -r` prints.
    pub(crate) release: String,
    /// The bzImage.
    pub(crate) image: PathBuf,
    /// The directory that holds `kernel/` and `modules.builtin`.
    pub(crate) modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of `series` that apt offers; fetched unless an earlier run did.
    pub(crate) fn fetch(series: Series, clock: Clock) -> Result<Self> {
        Self::of(&Archive::HOST, series.meta_package(), clock)
    }

    /// The newest kernel that `meta` depends on; fetched unless an earlier run did.
    pub(crate) fn of(archive: &Archive, meta: &str, clock: Clock) -> Result<Self> {
        let shelf = repo::scratch("kernels")?;
        archive.with_fresh_lists(|| {
            // Resolved again after the lists were renewed: an old list names a package that the
            // archive no longer has.
            let package = archive.resolve(meta, "linux-image-")?;
            let release = package.trim_start_matches("linux-image-").to_owned();
            if !shelf.join(&package).exists() {
                clock.say(&format!("fetching {package}"));
            }
            let dir = archive.shelved(&package, &shelf)?;
            // What Debian installs on ppc64el is the ELF file itself.
            let names = ["vmlinuz", "vmlinux"].map(|name| dir.join("boot").join(format!("{name}-{release}")));
            let [usual, elf] = names;
            let image = if usual.exists() { usual } else { elf };
            fs::metadata(&image).context(image.display())?;
            let modules = dir.join("lib/modules").join(&release);
            Ok(Self { release, image, modules })
        })
    }
}
