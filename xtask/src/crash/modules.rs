//! The kernel modules a guest needs, in the order in which they must be inserted.
//!
//! An unpacked package has no modules.dep (depmod makes it at installation), so dependencies are
//! read from the `depends=` entry of each module's .modinfo section.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::kernel::Kernel;
use crate::error::{Context, Result, failed};
use crate::shell;

/// What the guest mounts its disk with. ext4 asks for crc32c by a soft dependency only.
const WANTED: &[&str] = &["virtio_pci", "virtio_blk", "crc32c_generic", "ext4"];

/// One module: its name and its uncompressed file.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Module {
    /// As an initramfs has it.
    pub(crate) fn named(&self) -> (&str, &[u8]) {
        (&self.name, &self.bytes)
    }
}

/// The modules the lab wants that are not built in, each after those it depends on.
pub(crate) fn collect(kernel: &Kernel) -> Result<Vec<Module>> {
    collect_of(kernel, WANTED)
}

/// As [`collect`], for other modules.
pub(crate) fn collect_of(kernel: &Kernel, names: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    walk(&kernel.modules.join("kernel"), &mut files)?;
    let path = kernel.modules.join("modules.builtin");
    let text = fs::read_to_string(&path).context(path.display())?;
    let builtin: Vec<String> = text.lines().filter_map(|line| name(Path::new(line))).collect();
    let mut chosen = Vec::new();
    for wanted in names {
        insert(wanted, &files, &builtin, &mut chosen)?;
    }
    Ok(chosen)
}

fn insert(
    wanted: &str,
    files: &BTreeMap<String, PathBuf>,
    builtin: &[String],
    chosen: &mut Vec<Module>,
) -> Result {
    let known = chosen.iter().any(|module| module.name == wanted);
    if known || builtin.iter().any(|name| name == wanted) {
        return Ok(());
    }
    let file = files.get(wanted).context(format!("module {wanted}: neither a file nor built in"))?;
    let bytes = read(file)?;
    for dependency in depends(&bytes).context(file.display())? {
        // A cycle would have kept the module from ever being inserted on any machine.
        insert(&dependency, files, builtin, chosen)?;
    }
    chosen.push(Module { name: wanted.to_owned(), bytes });
    Ok(())
}

fn walk(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result {
    for entry in fs::read_dir(dir).context(dir.display())? {
        let path = entry.context(dir.display())?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if let Some(name) = name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `virtio_pci` of `…/virtio-pci.ko.xz`; the kernel treats both dashes as one.
fn name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let stem = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"))?;
    Some(stem.replace('-', "_"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|end| end == "xz") {
        return shell::stdout(shell::tool("xz")?.arg("-dc").arg(file));
    }
    fs::read(file).context(file.display())
}

/// The names in the `depends=` entry. .modinfo is a run of strings that end in a zero byte.
fn depends(module: &[u8]) -> Result<Vec<String>> {
    const KEY: &[u8] = b"\0depends=";
    let at = module.windows(KEY.len()).position(|window| window == KEY);
    let rest = at.and_then(|at| module.get(at..)).and_then(|rest| rest.strip_prefix(KEY));
    let Some(rest) = rest else { return Err(failed("no depends= in .modinfo")) };
    let value = rest.split(|&byte| byte == 0).next().unwrap_or_default();
    let value = core::str::from_utf8(value).context("depends=")?;
    Ok(value.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{depends, name};

    #[test]
    fn names_of_files() {
        assert_eq!(name(Path::new("a/virtio-pci.ko.xz")).unwrap(), "virtio_pci");
        assert_eq!(name(Path::new("kernel/lib/crc32.ko")).unwrap(), "crc32");
        assert!(name(Path::new("modules.order")).is_none());
    }

    #[test]
    fn dependencies_from_modinfo() {
        let module = b"license=GPL\0depends=jbd2,crc16,mb-cache\0name=ext4\0";
        assert_eq!(depends(module).unwrap(), ["jbd2", "crc16", "mb_cache"]);
        assert!(depends(b"x\0depends=\0name=x\0").unwrap().is_empty());
        assert!(depends(b"no entry").is_err());
    }
}
