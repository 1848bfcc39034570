//! An image file: opened, looked at, and only then read, once and with a bound.
//!
//! Files are read, not mapped: one that shrinks while it is used is an error here and would be a
//! signal there.

use std::fs::{File, OpenOptions};
use std::io::{Error as IoError, ErrorKind};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::image::elf_extent;
use crate::{Error, room};

/// What is looked at before a kernel image is read: boot sector, real-mode code and the program
/// headers of an ELF kernel are in it.
const HEAD: u64 = 64 << 10;

/// A regular file, open for reading, and the size it had when it was opened.
#[derive(Debug)]
pub struct ImageFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl ImageFile {
    /// Opens a regular file. Nothing else is opened: reading a device may never end, and
    /// opening a pipe may wait for ever.
    ///
    /// # Errors
    /// [`Error::NotAFile`] for a directory, device, pipe or socket; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.display().to_string(), source };
        refuse_other(path, path.metadata().map_err(io)?.file_type())?;
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        refuse_other(path, metadata.file_type())?;
        Ok(Self { path: path.to_owned(), file, size: metadata.len() })
    }

    /// Opens an initial ramdisk: as [`ImageFile::open`], but not an empty file. It is what a full
    /// disk leaves behind, and a capture kernel without its ramdisk saves no dump.
    ///
    /// # Errors
    /// Those of [`ImageFile::open`]; [`Error::Conflict`] for an empty file.
    pub fn open_ramdisk(path: &Path) -> Result<Self, Error> {
        let file = Self::open(path)?;
        if file.size == 0 {
            let name = path.display();
            let reason = alloc::format!("{name} is empty: make it again, or name none to load without one");
            return Err(Error::Conflict { what: "initial ramdisk", reason });
        }
        Ok(file)
    }

    /// The name it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes it had when it was opened.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The open file.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The whole content, at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::ImageTooLarge`] before anything is read, [`Error::ImageChanged`], [`Error::Io`].
    pub fn read(&self, limit: u64) -> Result<Vec<u8>, Error> {
        self.check_size(self.size, limit)?;
        let bytes = self.read_to(self.size)?;
        if self.file.read_at(&mut [0], self.size).map_err(|source| self.io(source))? != 0 {
            return Err(self.changed("more"));
        }
        Ok(bytes)
    }

    /// What a plan needs of a kernel image, at most `limit` bytes: all of a bzImage, and an ELF
    /// kernel up to its last PT_LOAD, which leaves out its debugging information.
    ///
    /// # Errors
    /// As [`ImageFile::read`]; for an ELF file as [`elf_extent`].
    pub fn read_kernel(&self, limit: u64) -> Result<Vec<u8>, Error> {
        let head = self.head()?;
        if !head.starts_with(b"\x7fELF") {
            return self.read(limit);
        }
        let extent = elf_extent(&head, self.size)?;
        self.check_size(extent, limit)?;
        self.read_to(extent)
    }

    /// The first 64 KiB, or all of a smaller file.
    ///
    /// # Errors
    /// [`Error::ImageChanged`] and [`Error::Io`].
    pub fn head(&self) -> Result<Vec<u8>, Error> {
        self.read_to(self.size.min(HEAD))
    }

    /// Reads the last byte: a file whose size promises more than can be read is noticed without
    /// reading it.
    ///
    /// # Errors
    /// [`Error::ImageChanged`] and [`Error::Io`].
    pub fn check_end(&self) -> Result<(), Error> {
        let Some(last) = self.size.checked_sub(1) else { return Ok(()) };
        match self.file.read_at(&mut [0], last).map_err(|source| self.io(source))? {
            0 => Err(self.changed("fewer")),
            _ => Ok(()),
        }
    }

    fn check_size(&self, size: u64, limit: u64) -> Result<(), Error> {
        if size <= limit {
            return Ok(());
        }
        Err(Error::ImageTooLarge { path: self.name(), size, limit })
    }

    /// The first `size` bytes.
    fn read_to(&self, size: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = room::zeroed("image file", usize::try_from(size).unwrap_or(usize::MAX))?;
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.changed("fewer")),
            Err(source) => Err(self.io(source)),
        }
    }

    fn changed(&self, read: &'static str) -> Error {
        Error::ImageChanged { path: self.name(), size: self.size, read }
    }

    fn io(&self, source: IoError) -> Error {
        Error::Io { path: self.name(), source }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn refuse_other(path: &Path, kind: std::fs::FileType) -> Result<(), Error> {
    if kind.is_file() {
        return Ok(());
    }
    let kind = match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_char_device() => "a character device",
        kind if kind.is_block_device() => "a block device",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "no regular file",
    };
    Err(Error::NotAFile { path: path.display().to_string(), kind })
}
