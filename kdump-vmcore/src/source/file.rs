//! Files and block devices as sources of bytes.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use crate::error::Error;
use crate::source::ReadAt;

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
