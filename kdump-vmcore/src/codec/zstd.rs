//! zstd through its C library, with contexts that are kept.

use core::fmt;

use zstd_safe::{CCtx, DCtx, get_error_name};

use super::{Codec, CodecError};

/// How the library says that the output is too small: the negative of its `ZSTD_ErrorCode`
/// (zstd_errors.h, `ZSTD_error_dstSize_tooSmall`).
const DST_SIZE_TOO_SMALL: usize = 70_usize.wrapping_neg();

#[derive(Default)]
pub(crate) struct Decompressor(Option<DCtx<'static>>);

impl Decompressor {
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        if self.0.is_none() {
            self.0 = DCtx::try_create();
        }
        let context = self.0.as_mut().ok_or(CodecError::OutOfMemory { codec })?;
        context.decompress(output, input).map_err(|code| match code {
            DST_SIZE_TOO_SMALL => CodecError::TooLong { codec, at: 0, room: output.len() },
            _ => CodecError::Refused { codec, len: input.len(), reason: get_error_name(code) },
        })
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("used", &self.0.is_some()).finish()
    }
}

pub(crate) struct Compressor {
    context: CCtx<'static>,
    level: i32,
}

impl Compressor {
    pub(crate) fn new(codec: Codec, level: i32) -> Result<Self, CodecError> {
        let context = CCtx::try_create().ok_or(CodecError::OutOfMemory { codec })?;
        Ok(Self { context, level })
    }

    pub(crate) fn encode(
        &mut self,
        codec: Codec,
        page: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        self.context.compress(output, page, self.level).map_err(|code| match code {
            DST_SIZE_TOO_SMALL => CodecError::OutputFull { codec, room: output.len() },
            _ => CodecError::Failed { codec, reason: get_error_name(code) },
        })
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}
