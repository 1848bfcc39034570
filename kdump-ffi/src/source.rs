//! What a dump is read from: a file, or a function of the caller.

use std::fs::File;

use kdump_ffi_core::{Fail, Reader};
use kdump_vmcore::{Error, IoError, ReadAt};

/// Bytes of a dump.
#[derive(Debug)]
pub(crate) enum Source {
    /// A file or device.
    File(File),
    /// A function that fills buffers from an offset on.
    Callback {
        /// The function.
        reader: Reader,
        /// Bytes there are.
        size: u64,
    },
}

impl ReadAt for Source {
    fn size(&self) -> Result<u64, Error> {
        match self {
            Self::File(file) => file.size(),
            Self::Callback { size, .. } => Ok(*size),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::File(file) => ReadAt::read_at(file, offset, buf),
            Self::Callback { reader, size } => {
                let rest = size.saturating_sub(offset);
                let count = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
                let Some(buf) = buf.get_mut(..count).filter(|buf| !buf.is_empty()) else { return Ok(0) };
                let failed = |failure: kdump_ffi_core::Failure| {
                    let cause = IoError::from_errno(failure.place().os_errno);
                    Error::Io { offset, cause }
                };
                reader.read(offset, buf).map_err(failed)?;
                Ok(count)
            }
        }
    }
}
