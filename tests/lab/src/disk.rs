//! The disk of the guest: a sparse ext4 image that the host makes and reads without mounting it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, failed};
use crate::shell;

const MIB: u64 = 1 << 20;
/// What the disk holds beside the dump.
const SLACK_MIB: u64 = 256;

/// An image, as long as its guest does not run.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// An empty file system with room for a dump of `mem_mib` MiB.
    pub fn create(dir: &Path, mem_mib: u64) -> Result<Self> {
        Self::make(dir, mem_mib, None)
    }

    /// As [`create`](Self::create), with a copy of the directory `tree`, which belongs to root.
    pub fn of_tree(dir: &Path, mem_mib: u64, tree: &Path) -> Result<Self> {
        Self::make(dir, mem_mib, Some(tree))
    }

    fn make(dir: &Path, mem_mib: u64, tree: Option<&Path>) -> Result<Self> {
        let path = dir.join("disk.img");
        let file = File::create(&path).context(path.display())?;
        let size = mem_mib.saturating_add(SLACK_MIB).saturating_mul(MIB);
        file.set_len(size).context(path.display())?;
        let mut mkfs = shell::tool("mkfs.ext4")?;
        mkfs.args(["-q", "-F", "-E", "root_owner=0:0"]);
        if let Some(tree) = tree {
            mkfs.arg("-d").arg(tree);
        }
        shell::stdout(mkfs.arg(&path))?;
        Ok(Self(path))
    }

    /// Where the image is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Does what the next mount would: a guest that was reset left the journal full.
    pub fn recover(&self) -> Result {
        let mut command = shell::tool("e2fsck")?;
        let output = shell::capture(command.args(["-f", "-y"]).arg(&self.0))?;
        // 1: something was repaired (e2fsck(8), "EXIT CODE").
        match output.status.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(failed(format!("e2fsck: {}", String::from_utf8_lossy(&output.stdout)))),
        }
    }

    /// Copies one file out. The guest must have unmounted the disk.
    pub fn file(&self, name: &str, to: &Path) -> Result {
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
    pub fn everything(&self, to: &Path) -> Result {
        let request = format!("rdump / \"{}\"", to.display());
        shell::stdout(shell::tool("debugfs")?.args(["-R", &request]).arg(&self.0))?;
        Ok(())
    }
}
