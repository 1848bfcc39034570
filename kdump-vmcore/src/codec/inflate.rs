//! Reading zlib through miniz_oxide, which needs an allocator only.

use alloc::boxed::Box;
use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::{Codec, CodecError};

/// A zlib stream whose checksum is verified, all of it in one slice.
const FLAGS: u32 = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
    | inflate_flags::TINFL_FLAG_COMPUTE_ADLER32
    | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

#[derive(Default)]
pub(crate) struct Decompressor(Option<Box<DecompressorOxide>>);

impl Decompressor {
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let state = self.0.get_or_insert_with(Box::default);
        state.init();
        let (status, at, got) = decompress(state, input, output, 0, FLAGS);
        match status {
            TINFLStatus::Done => match input.len().saturating_sub(at) {
                0 => Ok(got),
                len => Err(CodecError::Trailing { codec, at, len }),
            },
            TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => {
                Err(CodecError::Truncated { codec, at, len: input.len() })
            }
            TINFLStatus::HasMoreOutput => Err(CodecError::TooLong { codec, at, room: output.len() }),
            TINFLStatus::Adler32Mismatch => {
                Err(CodecError::Corrupt { codec, at, reason: "the checksum does not match" })
            }
            _ => Err(CodecError::Corrupt { codec, at, reason: "this is no zlib stream" }),
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("used", &self.0.is_some()).finish()
    }
}
