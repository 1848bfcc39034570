//! A Debian kernel package, unpacked but never installed.

use std::fs;
use std::path::{Path, PathBuf};

use super::options::Series;
use crate::error::{Context, Result};
use crate::progress::Clock;
use crate::{apt, repo};

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
        let shelf = repo::scratch("kernels")?;
        apt::with_fresh_lists(|| {
            // Resolved again after the lists were renewed: an old list names a package that the
            // archive no longer has.
            let package = apt::resolve(series.meta_package(), "linux-image-")?;
            let release = package.trim_start_matches("linux-image-").to_owned();
            let dir = shelf.join(&package);
            if !dir.exists() {
                clock.say(&format!("fetching {package}"));
                fetch_into(&package, &dir)?;
            }
            let image = dir.join("boot").join(format!("vmlinuz-{release}"));
            fs::metadata(&image).context(image.display())?;
            let modules = dir.join("lib/modules").join(&release);
            Ok(Self { release, image, modules })
        })
    }
}

/// Unpacks beside `dir` and renames, so that an interrupted run leaves nothing half done.
fn fetch_into(package: &str, dir: &Path) -> Result {
    let part = dir.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).context(part.display())?;
    }
    fs::create_dir_all(&part).context(part.display())?;
    apt::unpack(package, &part)?;
    fs::rename(&part, dir).context(dir.display())
}
