//! The initramfs of a guest: newc cpio archives
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::fs;
use std::path::Path;

use crate::error::{Context, Result};

/// File types of st_mode, from `inode(7)`.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
/// Names and contents start and end at multiples of this.
const ALIGN: usize = 4;

/// An archive under construction. Archives may be concatenated into one initramfs.
#[derive(Debug, Default)]
pub struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    /// What every guest has: directories, the script that is process 1, and busybox.
    pub fn of_guest(directories: &[&str], init: &str, busybox: &Path) -> Result<Self> {
        let mut cpio = Self::default();
        directories.iter().for_each(|path| cpio.directory(path));
        cpio.program("init", init.as_bytes());
        cpio.program("bin/busybox", &fs::read(busybox).context(busybox.display())?);
        Ok(cpio)
    }

    /// Adds modules by name and content, which scripts insert in the order of their names.
    pub fn modules<'m>(&mut self, modules: impl Iterator<Item = (&'m str, &'m [u8])>) {
        for (order, (name, bytes)) in modules.enumerate() {
            self.file(&format!("lib/modules/{order:02}-{name}.ko"), bytes);
        }
    }

    /// Adds a directory, whose parent must be there.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    /// Adds a file that can be executed.
    pub fn program(&mut self, path: &str, content: &[u8]) {
        self.entry(path, REGULAR | 0o755, content);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, REGULAR | 0o644, content);
    }

    /// The finished archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries = self.entries.saturating_add(1);
        let name_size = path.len().saturating_add(1);
        // c_magic, then ino mode uid gid nlink mtime filesize, dev and rdev, namesize, check.
        let head = [u64::from(self.entries), u64::from(mode), 0, 0, 1, 0];
        let sizes = [content.len(), 0, 0, 0, 0, name_size, 0].map(|size| size as u64);
        self.bytes.extend_from_slice(b"070701");
        for field in head.into_iter().chain(sizes) {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Cpio;

    #[test]
    fn what_a_guest_has() {
        let me = std::env::current_exe().unwrap();
        let mut cpio = Cpio::of_guest(&["bin", "lib"], "#!/bin/sh", &me).unwrap();
        cpio.modules([("b", b"1".as_slice()), ("a", b"2")].into_iter());
        let text = String::from_utf8_lossy(&cpio.finish()).into_owned();
        let place = |name: &str| text.find(&format!("{name}\0")).unwrap_or_else(|| panic!("{name}"));
        assert!(place("bin") < place("init") && place("init") < place("bin/busybox"));
        assert!(place("lib/modules/00-b.ko") < place("lib/modules/01-a.ko"));
        assert!(Cpio::of_guest(&[], "", "/nonexistent".as_ref()).is_err());
    }

    #[test]
    fn one_file_by_the_byte() {
        let mut cpio = Cpio::default();
        cpio.file("a", b"hello");
        let bytes = cpio.finish();
        let text = String::from_utf8(bytes).unwrap();
        let head = "070701\
            00000001000081a40000000000000000000000010000000000000005\
            00000000000000000000000000000000\
            0000000200000000";
        assert!(text.starts_with(&format!("{head}a\0hello\0\0\0070701")), "{text:?}");
        assert!(text.contains("TRAILER!!!\0"));
        assert_eq!(text.len() % 4, 0);
    }
}
