//! The initramfs of both kernels: one base archive, and for the first kernel a second archive
//! behind it that brings the capture kernel and the base archive as files.

use std::fs;
use std::path::{Path, PathBuf};

use super::kernel::Kernel;
use super::lab::{self, Lab};
use super::modules::Module;
use super::programs::{Programs, stripped_by};
use crate::consumers::GuestFile;
use crate::error::{Context, Result};
use crate::shell;
use ::lab::cpio::Cpio;

/// The script that is process 1 of both kernels.
const INIT: &str = include_str!("../../guest/init");

/// Writes the initramfs of the first kernel into `dir` and returns its path.
///
/// `loader` is what loads the capture kernel beside `kdump`; the capture kernel itself goes without.
pub(crate) fn write(
    dir: &Path,
    lab: &Lab,
    kernel: &Kernel,
    modules: &[Module],
    programs: &Programs,
    loader: &[GuestFile],
) -> Result<PathBuf> {
    let base = base(dir, lab, modules, programs, None)?;
    let image = fs::read(&kernel.image).context(kernel.image.display())?;
    let mut extra = Cpio::default();
    extra.directory("boot");
    extra.file("boot/vmlinuz", &image);
    extra.file("boot/initrd", &base);
    extra.directory("lib64");
    for file in loader {
        extra.program(&file.path, &stripped_by(lab.strip.what, &file.host, dir)?);
    }
    let path = dir.join("initramfs.cpio");
    let whole = [base, extra.finish()].concat();
    fs::write(&path, whole).context(path.display())?;
    Ok(path)
}

/// An initramfs for both kernels, which find everything else on the disk; `script` is sourced by
/// /init from there.
pub(crate) fn write_small(
    dir: &Path,
    modules: &[Module],
    programs: &Programs,
    script: (&str, &str),
) -> Result<PathBuf> {
    let mut extra = Cpio::default();
    extra.file(script.0, script.1.as_bytes());
    let path = dir.join("initramfs.cpio");
    let whole = [base(dir, &lab::X86_64, modules, programs, None)?, extra.finish()].concat();
    fs::write(&path, whole).context(path.display())?;
    Ok(path)
}

/// As [`write()`], but the capture kernel gets an initramfs compressed by `compressor`, with a file
/// of `ballast` bytes that cannot be compressed. Returns its size as well.
pub(crate) fn write_compressed(
    dir: &Path,
    kernel: &Kernel,
    modules: &[Module],
    programs: &Programs,
    compressor: &str,
    ballast: usize,
) -> Result<(PathBuf, u64)> {
    let capture = base(dir, &lab::X86_64, modules, programs, Some(ballast))?;
    write_around(dir, kernel, modules, programs, (compressor, capture), None)
}

/// As [`write_small()`], but the capture kernel gets an initramfs of its own, compressed by zstd: busybox, the
/// modules, the script and `files`. Returns its size as well.
pub(crate) fn write_of(
    dir: &Path,
    kernel: &Kernel,
    modules: &[Module],
    programs: &Programs,
    script: (&str, &str),
    files: &[(String, Vec<u8>)],
) -> Result<(PathBuf, u64)> {
    let busybox = lab::X86_64.busybox()?;
    let directories = ["bin", "lib", "lib64", "lib/modules", "dev", "proc", "sys", "run", "tmp", "mnt"];
    let mut cpio = Cpio::of_guest(&directories, INIT, &busybox)?;
    cpio.modules(modules.iter().map(Module::named));
    cpio.file(script.0, script.1.as_bytes());
    files.iter().for_each(|(path, bytes)| cpio.program(path, bytes));
    write_around(dir, kernel, modules, programs, ("zstd", cpio.finish()), Some(script))
}

/// The initramfs of the first kernel around that of the capture kernel, which is compressed here.
fn write_around(
    dir: &Path,
    kernel: &Kernel,
    modules: &[Module],
    programs: &Programs,
    (compressor, capture): (&str, Vec<u8>),
    script: Option<(&str, &str)>,
) -> Result<(PathBuf, u64)> {
    let plain = dir.join("capture.cpio");
    fs::write(&plain, capture).context(plain.display())?;
    let capture = match compressor {
        "none" => fs::read(&plain).context(plain.display())?,
        // The kernel knows no other check of xz than CRC-32.
        "xz" => shell::stdout(shell::tool("xz")?.args(["--check=crc32", "-c"]).arg(&plain))?,
        // Nor another frame of LZ4 than the legacy one.
        "lz4" => shell::stdout(shell::tool("lz4")?.args(["-l", "-c"]).arg(&plain))?,
        other => shell::stdout(shell::tool(other)?.arg("-c").arg(&plain))?,
    };
    let mut extra = Cpio::default();
    extra.directory("boot");
    extra.file("boot/vmlinuz", &fs::read(&kernel.image).context(kernel.image.display())?);
    extra.file("boot/initrd", &capture);
    if let Some((name, text)) = script {
        extra.file(name, text.as_bytes());
    }
    let path = dir.join("initramfs.cpio");
    let whole = [base(dir, &lab::X86_64, modules, programs, None)?, extra.finish()].concat();
    fs::write(&path, whole).context(path.display())?;
    Ok((path, capture.len() as u64))
}

fn base(
    dir: &Path,
    lab: &Lab,
    modules: &[Module],
    programs: &Programs,
    ballast: Option<usize>,
) -> Result<Vec<u8>> {
    let busybox = lab.busybox()?;
    let stripped = |program| stripped_by(lab.strip.what, program, dir);
    let directories = ["bin", "lib", "lib/modules", "dev", "proc", "sys", "run", "mnt"];
    let mut cpio = Cpio::of_guest(&directories, INIT, &busybox)?;
    cpio.program("bin/kdump", &stripped(&programs.kdump)?);
    cpio.program("bin/kdump-witness", &stripped(&programs.witness)?);
    cpio.modules(modules.iter().map(Module::named));
    if let Some(size) = ballast.filter(|&size| size != 0) {
        cpio.file("lib/ballast", &noise(size));
    }
    Ok(cpio.finish())
}

/// Bytes that no compressor makes shorter (xorshift64), the same each time.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    core::iter::repeat_with(&mut next).flatten().take(size).collect()
}
