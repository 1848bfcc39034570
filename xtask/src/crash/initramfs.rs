//! The initramfs of both kernels: one base archive, and for the first kernel a second archive
//! behind it that brings the capture kernel and the base archive as files.

use std::fs;
use std::path::{Path, PathBuf};

use super::cpio::Cpio;
use super::kernel::Kernel;
use super::modules::Module;
use super::programs::{Programs, stripped};
use crate::consumers::GuestFile;
use crate::error::{Context, Result};
use crate::shell;

/// The script that is process 1 of both kernels.
const INIT: &str = include_str!("../../guest/init");

/// Writes the initramfs of the first kernel into `dir` and returns its path.
///
/// `loader` is what loads the capture kernel beside `kdump`; the capture kernel itself goes without.
pub(crate) fn write(
    dir: &Path,
    kernel: &Kernel,
    modules: &[Module],
    programs: &Programs,
    loader: &[GuestFile],
) -> Result<PathBuf> {
    let base = base(dir, modules, programs)?;
    let image = fs::read(&kernel.image).context(kernel.image.display())?;
    let mut extra = Cpio::default();
    extra.directory("boot");
    extra.file("boot/vmlinuz", &image);
    extra.file("boot/initrd", &base);
    extra.directory("lib64");
    for file in loader {
        extra.program(&file.path, &stripped(&file.host, dir)?);
    }
    let path = dir.join("initramfs.cpio");
    let whole = [base, extra.finish()].concat();
    fs::write(&path, whole).context(path.display())?;
    Ok(path)
}

fn base(dir: &Path, modules: &[Module], programs: &Programs) -> Result<Vec<u8>> {
    let busybox = shell::find("busybox").context("busybox: no such program")?;
    let mut cpio = Cpio::default();
    for path in ["bin", "lib", "lib/modules", "dev", "proc", "sys", "run", "mnt"] {
        cpio.directory(path);
    }
    cpio.program("init", INIT.as_bytes());
    cpio.program("bin/busybox", &fs::read(&busybox).context(busybox.display())?);
    cpio.program("bin/kdump", &stripped(&programs.kdump, dir)?);
    cpio.program("bin/kdump-witness", &stripped(&programs.witness, dir)?);
    for (order, module) in modules.iter().enumerate() {
        // The script inserts them in the order of their names.
        cpio.file(&format!("lib/modules/{order:02}-{}.ko", module.name), &module.bytes);
    }
    Ok(cpio.finish())
}
