//! The disk of the guest: a sparse ext4 image that the host makes and reads without mounting it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, failed};
use crate::shell;

const MIB: u64 = 1 << 20;
/// What the disk holds beside the dump.
const SLACK_MIB: u64 = 256;

#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// An empty file system with room for a dump of `mem_mib` MiB.
    pub(crate) fn create(dir: &Path, mem_mib: u64) -> Result<Self> {
        let path = dir.join("disk.img");
        let file = File::create(&path).context(path.display())?;
        let size = mem_mib.saturating_add(SLACK_MIB).saturating_mul(MIB);
        file.set_len(size).context(path.display())?;
        shell::stdout(shell::tool("mkfs.ext4")?.args(["-q", "-F"]).arg(&path))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Copies one file out. The guest must have unmounted the disk.
    pub(crate) fn file(&self, name: &str, to: &Path) -> Result {
        // debugfs parses its request; a path with a space would be two arguments.
        let request = format!("dump {name} \"{}\"", to.display());
        // debugfs exits 0 when a request fails; the missing file tells.
        shell::stdout(shell::tool("debugfs")?.args(["-R", &request]).arg(&self.0))?;
        if fs::metadata(to).is_ok() {
            return Ok(());
        }
        Err(failed(format!("{name}: not on the disk of the guest")))
    }

    /// Copies everything out, into the existing directory `to`.
    pub(crate) fn everything(&self, to: &Path) -> Result {
        let request = format!("rdump / \"{}\"", to.display());
        shell::stdout(shell::tool("debugfs")?.args(["-R", &request]).arg(&self.0))?;
        Ok(())
    }
}
