//! A dynamically linked program as files of a guest's initramfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context, Result, failed};
use crate::install::{self, Places};
use crate::shell;

/// A file of the host and where it goes in the guest, without leading slash.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GuestFile {
    pub(crate) path: String,
    pub(crate) host: PathBuf,
}

/// The program at `path` in the guest, with every shared library it needs in /lib, which any
/// dynamic linker searches.
pub(super) fn closure(path: &str, program: &Path, places: &Places) -> Result<Vec<GuestFile>> {
    closure_by(install::with_library(shell::tool("ldd")?, places), path, program)
}

/// The same of a program that is linked with what is installed.
pub(crate) fn installed(path: &str, program: &Path) -> Result<Vec<GuestFile>> {
    closure_by(shell::tool("ldd")?, path, program)
}

fn closure_by(mut ldd: Command, path: &str, program: &Path) -> Result<Vec<GuestFile>> {
    let mut files = libraries(&shell::text(ldd.arg(program))?)?;
    for file in &mut files {
        file.host = fs::canonicalize(&file.host).context(file.host.display())?;
    }
    files.push(GuestFile { path: path.to_owned(), host: program.to_owned() });
    Ok(files)
}

/// Reads lines such as `libc.so.6 => /lib/libc.so.6 (0x7f…)`. The dynamic linker is listed by
/// its path alone and must keep it; the vDSO is listed by a name alone and is no file.
fn libraries(text: &str) -> Result<Vec<GuestFile>> {
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = line.split(" (0x").next().unwrap_or(line);
        match line.split_once(" => ") {
            Some((name, "not found")) => return Err(failed(format!("{name}: not found"))),
            Some((name, host)) if !name.starts_with('/') => {
                files.push(GuestFile { path: format!("lib/{name}"), host: PathBuf::from(host) });
            }
            Some((path, _)) => files.extend(at_its_path(path)),
            None => files.extend(at_its_path(line)),
        }
    }
    Ok(files)
}

fn at_its_path(path: &str) -> Option<GuestFile> {
    let inside = path.strip_prefix('/')?;
    Some(GuestFile { path: inside.to_owned(), host: PathBuf::from(path) })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{GuestFile, libraries};

    #[test]
    fn libraries_and_linker() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\
            \tlibkdump.so.0 => /p/lib/libkdump.so.0 (0x00007f08)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f09)\n";
        let file = |path: &str, host: &str| GuestFile { path: path.to_owned(), host: PathBuf::from(host) };
        let expected = [
            file("lib/libkdump.so.0", "/p/lib/libkdump.so.0"),
            file("lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2"),
        ];
        assert_eq!(libraries(text).unwrap(), expected);
        assert!(libraries("\tlibx.so => not found\n").is_err());
    }
}
