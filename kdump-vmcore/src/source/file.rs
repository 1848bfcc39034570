//! Files and block devices as sources of bytes.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::Error;
use crate::source::{FileId, ReadAt};

/// Opens a file or device to read a dump from it. Never waits for somebody to write.
///
/// # Errors
/// What the system says; [`ErrorKind::InvalidInput`] for what cannot be read at any offset: a
/// directory, a FIFO, a socket.
pub fn open_dump_file(path: &Path) -> std::io::Result<File> {
    let refuse = |reason: &str| Err(std::io::Error::new(ErrorKind::InvalidInput, reason));
    if path.as_os_str().is_empty() {
        return refuse("an empty name is no file");
    }
    let flags = custom(OFlags::NONBLOCK);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return refuse("is a directory; give a file in it");
    }
    if kind.is_fifo() || kind.is_socket() {
        return refuse(
            "is a FIFO or a socket, which can only be read in order; save what it gives as a file first",
        );
    }
    Ok(file)
}

/// Flags as the standard library takes them.
pub(crate) fn custom(flags: OFlags) -> i32 {
    i32::from_ne_bytes(flags.bits().to_ne_bytes())
}

impl FileId {
    /// Of what the system knows of a file.
    #[must_use]
    pub fn of(found: &Metadata) -> Self {
        match found.file_type().is_block_device() {
            true => Self { is_device: true, device: found.rdev(), inode: 0 },
            false => Self { is_device: false, device: found.dev(), inode: found.ino() },
        }
    }
}

/// Reads by `pread(2)`: a file that shrinks meanwhile gives an error, never a SIGBUS.
impl ReadAt for File {
    /// Of a regular file its length (that of /proc/vmcore too), of a block device its
    /// capacity.
    fn size(&self) -> Result<u64, Error> {
        let failed = |error: std::io::Error| Error::Io { offset: 0, cause: (&error).into() };
        match self.metadata().map_err(failed)?.len() {
            0 => {
                let mut file = self;
                file.seek(SeekFrom::End(0)).map_err(failed)
            }
            len => Ok(len),
        }
    }

    fn file_id(&self) -> Option<FileId> {
        self.metadata().ok().map(|found| FileId::of(&found))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        loop {
            match FileExt::read_at(self, buf, offset) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io { offset, cause: (&error).into() }),
            }
        }
    }
}
