//! Reading zlib through zlib-rs, which is faster than miniz_oxide but needs std.

use core::fmt;

use zlib_rs::{Inflate, InflateError, InflateFlush, Status};

use super::{Codec, CodecError};

/// The largest window of zlib (RFC 1950, CINFO), as a power of two.
const WINDOW_BITS: u8 = 15;

#[derive(Default)]
pub(crate) struct Decompressor(Option<Inflate>);

impl Decompressor {
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let inflate = self.0.get_or_insert_with(|| Inflate::new(true, WINDOW_BITS));
        inflate.reset(true);
        let status = inflate.decompress(input, output, InflateFlush::Finish);
        let used = usize::try_from(inflate.total_in()).unwrap_or(input.len());
        let got = usize::try_from(inflate.total_out()).unwrap_or(output.len());
        match status {
            Ok(Status::StreamEnd) => match input.len().saturating_sub(used) {
                0 => Ok(got),
                len => Err(CodecError::Trailing { codec, at: used, len }),
            },
            // Neither an end nor an error: it wants more input, or more room.
            Ok(_) if used >= input.len() => Err(CodecError::Truncated { codec, at: used, len: input.len() }),
            Ok(_) => Err(CodecError::TooLong { codec, at: used, room: output.len() }),
            Err(InflateError::MemError) => Err(CodecError::OutOfMemory { codec }),
            Err(error) => {
                let reason = inflate.error_message().unwrap_or(error.as_str());
                Err(CodecError::Corrupt { codec, at: used, reason })
            }
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("used", &self.0.is_some()).finish()
    }
}
