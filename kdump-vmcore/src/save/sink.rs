//! Where a saved dump goes: bytes at offsets, in any order.

use alloc::vec::Vec;

use crate::error::Error;

/// Something bytes can be written to at any offset, in any order. A later write of the same
/// bytes replaces an earlier one.
///
/// [`SavePlan::copy`](crate::SavePlan::copy) uses less: the header is written in whole blocks of
/// 512 bytes at multiples of 512, some of them again later; behind it everything comes once and in
/// ascending order, without gaps unless the sink is sparse.
/// [`KdumpPlan::copy`](crate::KdumpPlan::copy) writes descriptors and pages in turns, each in ascending
/// order.
pub trait WriteAt {
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Why not all of them were written.
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Whether what was never written reads as zeros, so that zeros need not be written.
    fn is_sparse(&self) -> bool;

    /// Whether bytes may be written a second time. A sink that allows none gets every byte once: the
    /// file says from its first byte on that it is finished, and only its end can show that it is.
    fn rewrites(&self) -> bool {
        true
    }

    /// Makes what was written last, so that no later write is on the medium before it.
    ///
    /// # Errors
    /// Why that cannot be. Nothing is written after it: what is lost may not be known a second time.
    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Called before the file says that it is finished, which will have `size` bytes: what has no room for
    /// them, or may not have so many, says so while the file still tells that it is not finished.
    ///
    /// # Errors
    /// Why it cannot be as long as that.
    fn set_size(&mut self, _size: u64) -> Result<(), Error> {
        Ok(())
    }

    /// Called once, when everything is written: the file has `size` bytes, of which the last
    /// ones may never have been written because they are zero. Makes it as long as that.
    ///
    /// # Errors
    /// Why it could not be made whole.
    fn finish(&mut self, size: u64) -> Result<(), Error>;
}

/// A file in memory; grows as needed, what was skipped is zero.
impl WriteAt for Vec<u8> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let limit = isize::MAX.unsigned_abs() as u64;
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= limit);
        let range = end.and_then(|end| Some(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
        let range = range.ok_or(Error::TooLarge { what: "file offset", value: offset, limit })?;
        if self.len() < range.end {
            self.resize(range.end, 0);
        }
        if let Some(target) = self.get_mut(range) {
            target.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        let limit = isize::MAX.unsigned_abs();
        let len = usize::try_from(size).ok().filter(|&len| len <= limit);
        let too_large = Error::TooLarge { what: "size of the file", value: size, limit: limit as u64 };
        self.resize(len.ok_or(too_large)?, 0);
        Ok(())
    }
}

/// A regular file, not one opened with `O_APPEND`, which takes no offsets, and none the dump is read from
/// ([`Dump::files`](crate::Dump::files)), which would be lost: nothing here looks.
#[cfg(feature = "std")]
impl WriteAt for &std::fs::File {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        std::os::unix::fs::FileExt::write_all_at(*self, bytes, offset)
            .map_err(|error| Error::Io { offset, cause: (&error).into() })
    }

    /// A new regular file.
    fn is_sparse(&self) -> bool {
        true
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sync_data().map_err(|error| Error::File { action: "sync the file", cause: (&error).into() })
    }

    fn set_size(&mut self, size: u64) -> Result<(), Error> {
        self.set_len(size).map_err(|error| Error::Io { offset: size, cause: (&error).into() })
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.set_len(size).map_err(|error| Error::Io { offset: size, cause: (&error).into() })
    }
}
