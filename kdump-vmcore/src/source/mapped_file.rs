//! Files mapped into memory.
#![allow(unsafe_code, reason = "copies bytes out of a mapping")]

use std::fs::{File, Metadata};
use std::io::ErrorKind;

use memmap2::{MmapOptions, MmapRaw};

use crate::error::Error;
use crate::source::{FileId, ReadAt};

/// A regular file that is read without system calls: the fastest way, for who knows that the file
/// keeps its size.
///
/// When the file is made shorter while it is mapped, reading what was cut off ends the process with
/// SIGBUS (`mmap(2)`), as does a disk that fails; a [`File`] gives [`Error::Truncated`] and
/// [`Error::Io`] instead. A file that grows keeps the size it had.
#[derive(Debug)]
pub struct MappedFile {
    /// `None` for an empty file, which cannot be mapped.
    map: Option<MmapRaw>,
    id: FileId,
}

impl MappedFile {
    /// Maps all of a file that is open for reading. The file can be closed afterwards.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::InvalidInput`] for what is no regular file on a file system
    /// of disks, network or memory: devices, and /proc/vmcore and /proc/kcore, which a [`File`] reads.
    pub fn new(file: &File) -> std::io::Result<Self> {
        let found: Metadata = file.metadata()?;
        if !file.is_cacheable() || !found.is_file() {
            let text = "only regular files are mapped; open it without a mapping";
            return Err(std::io::Error::new(ErrorKind::InvalidInput, text));
        }
        let map = match found.len() {
            0 => None,
            _ => Some(MmapOptions::new().map_raw_read_only(file)?),
        };
        Ok(Self { map, id: FileId::of(&found) })
    }

    fn len(&self) -> usize {
        self.map.as_ref().map_or(0, MmapRaw::len)
    }
}

impl ReadAt for MappedFile {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.len() as u64)
    }

    fn file_id(&self) -> Option<FileId> {
        Some(self.id)
    }

    #[inline]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.map.as_ref().map_or(0, |map| copy_out(map, offset, buf)))
    }
}

/// Copies what a mapping has from `offset` on into the start of `buf`; returns how many bytes.
#[inline]
pub(super) fn copy_out(map: &MmapRaw, offset: u64, buf: &mut [u8]) -> usize {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let count = map.len().saturating_sub(start).min(buf.len());
    if count == 0 {
        return 0;
    }
    // SAFETY: `count` is not 0, so `start` is below the length of the mapping, which fits `isize`.
    let from = unsafe { map.as_ptr().add(start) };
    // SAFETY: `start + count` is at most the length of the mapping, which lives as long as `map` and
    // is read only; `buf` has room for `count` bytes and is no part of a mapping that only we know
    // of. Nothing but this copy looks at the mapped bytes and no reference to them is ever made, so
    // that whoever writes to the file meanwhile changes at most which bytes are copied, as with
    // pread(2).
    unsafe { core::ptr::copy_nonoverlapping(from, buf.as_mut_ptr(), count) };
    count
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let name = std::format!("kdump-mapped-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_mapping_gives_what_the_file_gives() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| (at % 251) as u8).collect();
        let file = file(&bytes);
        let mapped = MappedFile::new(&file).unwrap();
        assert_eq!((mapped.size(), mapped.file_id()), (ReadAt::size(&file), file.file_id()));
        for (offset, len) in [(0, 10_000), (0, 1), (9_999, 1), (9_990, 30), (10_000, 8), (1 << 40, 8), (5, 0)]
        {
            let (mut ours, mut theirs) = (std::vec![0xee; len], std::vec![0xee; len]);
            assert_eq!(mapped.read_at(offset, &mut ours), ReadAt::read_at(&file, offset, &mut theirs));
            assert_eq!(ours, theirs, "{offset} {len}");
        }
        assert!(!mapped.is_cacheable(), "it costs nothing to read again");
    }

    #[test]
    fn a_mapped_file_that_grows_keeps_its_size() {
        let mut file = file(&[1; 100]);
        let mapped = MappedFile::new(&file).unwrap();
        file.write_all(&[2; 5000]).unwrap();
        assert_eq!(mapped.size(), Ok(100));
        assert_eq!(mapped.read_at(90, &mut [0; 64]), Ok(10));
    }

    #[test]
    fn an_empty_file_is_empty_and_what_is_no_file_is_refused() {
        let mapped = MappedFile::new(&file(&[])).unwrap();
        assert_eq!((mapped.size(), mapped.read_at(0, &mut [0; 8])), (Ok(0), Ok(0)));
        for path in ["/proc/self/status", "/dev/zero", "/tmp"] {
            let error = MappedFile::new(&File::open(path).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
        }
    }
}
