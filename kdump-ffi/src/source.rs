//! What a dump is read from when it is a function of the caller.

use kdump_ffi_core::{CallbackReader, Fail};
use kdump_vmcore::{Error, IoError, ReadAt};

/// The bytes a function gives.
#[derive(Debug)]
pub(crate) struct Source {
    /// Fills buffers from an offset on.
    pub(crate) reader: CallbackReader,
    /// Bytes there are.
    pub(crate) size: u64,
}

impl ReadAt for Source {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let rest = self.size.saturating_sub(offset);
        let count = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..count).filter(|buf| !buf.is_empty()) else { return Ok(0) };
        let failed = |failure: kdump_ffi_core::Failure| {
            let cause = IoError::from_errno(failure.place().os_errno);
            Error::Io { offset, cause }
        };
        self.reader.read(offset, buf).map_err(failed)?;
        Ok(count)
    }
}
