//! A source of bytes that can be read at any offset: a dump file, a device, a buffer.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::error::{Error, Stopped};

/// A file or block device of the running system, whatever its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Whether it is a device; `inode` is 0 then.
    pub is_device: bool,
    /// Number of the device, or of the one the file is on.
    pub device: u64,
    /// Number of the file on it.
    pub inode: u64,
}

/// Bytes that can be read at any offset, by many threads at once.
///
/// Reading keeps no state: what has to be remembered between reads is the matter of each thread's
/// [`Reader`](crate::Reader).
pub trait ReadAt: Send + Sync {
    /// The number of bytes there are.
    ///
    /// # Errors
    /// [`Error::Io`] when the system does not tell.
    fn size(&self) -> Result<u64, Error>;

    /// Reads at `offset` into the start of `buf` and returns how many bytes that were: 0 only
    /// at the end or for an empty buffer, fewer than asked for whenever the source likes.
    ///
    /// # Errors
    /// Why not even the first byte could be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error>;

    /// Which file of the system this is, so that it is not written over while it is read;
    /// `None` when it is none, or that is not known.
    fn file_id(&self) -> Option<FileId> {
        None
    }

    /// Whether a small read costs as much as one of a few KiB, and gives the same bytes each time:
    /// a reader may then keep more than it was asked for. Not of memory, which costs nothing to read,
    /// and not of what changes, as /proc/kcore does.
    fn is_cacheable(&self) -> bool {
        false
    }

    /// The first bytes of `range` that are zeros for want of any others, as where no record of a
    /// flattened stream gives them; `None` when there are none, or that is not known.
    fn hole(&self, _range: Range<u64>) -> Option<Range<u64>> {
        None
    }

    /// Fills all of `buf` from `offset` on.
    ///
    /// # Errors
    /// [`Stopped`] with the bytes that were read; [`Error::Truncated`] when the source ended.
    fn read_full_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), Stopped> {
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(read as u64);
            let need = rest.len() as u64;
            match self.read_at(at, rest) {
                Ok(0) => {
                    let error = Error::Truncated { what: "data", offset: at, need, have: 0 };
                    return Err(Stopped::new(offset, read, error));
                }
                Ok(count) => read = read.saturating_add(count),
                Err(error) => return Err(Stopped::new(offset, read, error)),
            }
        }
        Ok(())
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(from), Some(to)) = (rest.get(..count), buf.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> Result<u64, Error> {
        self.as_slice().size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.as_slice().read_at(offset, buf)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: ReadAt + ?Sized> ReadAt for $pointer {
            fn size(&self) -> Result<u64, Error> {
                (**self).size()
            }

            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
                (**self).read_at(offset, buf)
            }

            fn file_id(&self) -> Option<FileId> {
                (**self).file_id()
            }

            fn is_cacheable(&self) -> bool {
                (**self).is_cacheable()
            }

            fn hole(&self, range: Range<u64>) -> Option<Range<u64>> {
                (**self).hole(range)
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most 3 bytes at a time.
    struct Short(Vec<u8>);

    impl ReadAt for Short {
        fn size(&self) -> Result<u64, Error> {
            self.0.size()
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
            let count = buf.len().min(3);
            self.0.read_at(offset, &mut buf[..count])
        }
    }

    #[test]
    fn short_reads_are_continued() {
        let source = Short((0..20).collect());
        let mut buf = [0; 17];
        source.read_full_at(2, &mut buf).unwrap();
        assert_eq!(buf.to_vec(), (2..19).collect::<Vec<u8>>());
    }

    #[test]
    fn the_end_is_an_error_not_zeros() {
        let stopped = Short((0..20).collect()).read_full_at(15, &mut [0; 17]).unwrap_err();
        assert_eq!((stopped.read, stopped.at), (5, 20));
        assert!(matches!(stopped.error, Error::Truncated { offset: 20, need: 12, have: 0, .. }));
        assert_eq!([1_u8, 2].as_slice().read_at(u64::MAX, &mut [0; 4]), Ok(0));
    }
}
