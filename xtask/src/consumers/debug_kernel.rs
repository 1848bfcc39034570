//! The vmlinux with debugging information of a Debian kernel, out of its -dbg package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::apt;
use crate::error::{Context, Result, failed};
use crate::progress::Clock;
use crate::{repo, shell};

/// The vmlinux of the kernel that died; fetched (about 850 MB) unless an earlier run did.
pub(super) fn vmlinux(dump: &Path, clock: Clock) -> Result<PathBuf> {
    let release = shell::text(shell::tool("crash")?.arg("--osrelease").arg(dump))?;
    let release = release.trim();
    if release.is_empty() || release.contains(['/', ' ']) {
        return Err(failed(format!("{}: its kernel release is {release:?}", dump.display())));
    }
    let shelf = repo::scratch("debug-kernels")?;
    let kept = shelf.join(format!("vmlinux-{release}"));
    if !kept.is_file() {
        clock.say(&format!("fetching the debugging symbols of Linux {release}, about 850 MB"));
        let dir = shelf.join("part");
        if dir.exists() {
            fs::remove_dir_all(&dir).context(dir.display())?;
        }
        fs::create_dir_all(&dir).context(dir.display())?;
        let found = fetch(release, &dir)?;
        fs::rename(&found, &kept).context(kept.display())?;
        fs::remove_dir_all(&dir).context(dir.display())?;
    }
    Ok(kept)
}

/// Downloads into `dir` and takes the one file out of the package.
fn fetch(release: &str, dir: &Path) -> Result<PathBuf> {
    let package = format!("linux-image-{release}-dbg");
    apt::with_fresh_lists(|| {
        let mut apt = shell::tool("apt-get")?;
        apt.env("LC_ALL", "C").args(["-q", "-o", "APT::Sandbox::User=root", "download", &package]);
        shell::stdout(apt.current_dir(dir))
    })?;
    let entries = fs::read_dir(dir).context(dir.display())?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let deb = paths.find(|path| path.extension().is_some_and(|end| end == "deb"));
    let deb = deb.context(format!("apt-get left no package in {}", dir.display()))?;
    let inside = format!("usr/lib/debug/boot/vmlinux-{release}");
    let mut dpkg = shell::tool("dpkg")?;
    dpkg.arg("--fsys-tarfile").arg(&deb).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut unpacker = dpkg.spawn().context("dpkg")?;
    let archive = unpacker.stdout.take().context("dpkg: no pipe")?;
    let mut tar = shell::tool("tar")?;
    tar.arg("-x").arg("-C").arg(dir).arg(format!("./{inside}")).stdin(archive);
    shell::run(&mut tar)?;
    // It ends when tar has read everything.
    let status = unpacker.wait().context("dpkg")?;
    if !status.success() {
        return Err(failed(format!("dpkg --fsys-tarfile {}: {status}", deb.display())));
    }
    Ok(dir.join(inside))
}
