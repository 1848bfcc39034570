//! Files and block devices as sources of bytes.

use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, fstatfs};

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

/// `f_type` of procfs (include/uapi/linux/magic.h).
const PROC_SUPER_MAGIC: i128 = 0x9fa0;

/// Reads by `pread(2)`: a file that shrinks meanwhile gives an error, never a SIGBUS.
impl ReadAt for File {
    /// Of a regular file its length (that of /proc/vmcore too), of a block device its
    /// capacity. The offset that is shared with whoever else holds the file is not moved.
    fn size(&self) -> Result<u64, Error> {
        let failed = |error: std::io::Error| Error::Io { offset: 0, cause: (&error).into() };
        let facts = self.metadata().map_err(failed)?;
        if facts.file_type().is_block_device() { end_of(self) } else { Ok(facts.len()) }
    }

    fn file_id(&self) -> Option<FileId> {
        self.metadata().ok().map(|found| FileId::of(&found))
    }

    /// Files and disks; not those of procfs, which are what the kernel thinks at this moment.
    fn is_cacheable(&self) -> bool {
        let stays = |found: Metadata| found.is_file() || found.file_type().is_block_device();
        let made_up = || fstatfs(self).map_or(true, |system| i128::from(system.f_type) == PROC_SUPER_MAGIC);
        self.metadata().is_ok_and(stays) && !made_up()
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

/// Where a file ends, found by reading single bytes of it: a device tells its capacity only to
/// a seek, which moves what others share, or to a system call of its own. A byte that the medium has
/// lost is there all the same.
fn end_of(file: &File) -> Result<u64, Error> {
    let is_there = |offset: u64| match ReadAt::read_at(file, offset, &mut [0]) {
        Ok(count) => Ok(count != 0),
        Err(Error::Io { cause, .. }) if cause.errno() == EIO => Ok(true),
        Err(error) => Err(error),
    };
    // Whatever ends beyond has no end.
    let (mut low, mut high) = (0_u64, i64::MAX.unsigned_abs());
    let mut probe = 512_u64;
    while probe < high {
        if !is_there(probe)? {
            high = probe;
            break;
        }
        low = probe;
        probe = probe.saturating_mul(2);
    }
    if low == 0 && !is_there(0)? {
        return Ok(0);
    }
    // The byte at `low` is there, that at `high` is not.
    while let Some(half) = high.checked_sub(low).map(|gap| gap / 2).filter(|&half| half != 0) {
        let middle = low.saturating_add(half);
        if is_there(middle)? { low = middle } else { high = middle }
    }
    Ok(high)
}

/// Input/output error (include/uapi/asm-generic/errno-base.h).
const EIO: i32 = 5;

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn the_end_is_found_without_moving_the_offset() {
        for size in [0_usize, 1, 511, 512, 513, 4095, 4096, 1_000_003] {
            let mut file = tempfile();
            file.write_all(&std::vec![1; size]).unwrap();
            file.seek(SeekFrom::Start(7)).unwrap();
            assert_eq!(end_of(&file), Ok(size as u64));
            assert_eq!(ReadAt::size(&file), Ok(size as u64));
            assert_eq!(file.stream_position().unwrap(), 7);
        }
        let sparse = tempfile();
        sparse.set_len(3 << 40).unwrap();
        assert_eq!(end_of(&sparse), Ok(3 << 40));
    }

    #[test]
    fn what_changes_by_itself_is_not_cacheable() {
        assert!(tempfile().is_cacheable());
        assert!(!File::open("/proc/self/status").unwrap().is_cacheable());
        assert!(!File::open("/dev/zero").unwrap().is_cacheable());
    }

    fn tempfile() -> File {
        let name = std::format!("kdump-end-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }
}
