//! Decompresses pages, one after the other.

use super::{Codec, CodecError, lzo, snappy, zlib, zstd};

/// What decompressing pages needs and keeps; each thread has its own. Nothing is allocated
/// before the first page of a codec, and nothing more after it: at most about 150 KiB in all.
#[derive(Debug, Default)]
pub struct Decoder {
    zlib: zlib::Decompressor,
    lzo: lzo::Decompressor,
    snappy: snappy::Decompressor,
    zstd: zstd::Decompressor,
}

impl Decoder {
    /// A decoder for pages of all codecs of this build.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses `input` into `output`, which it must fill to its last byte; and all of
    /// `input` must be used, so that a wrong size is never taken for a good page.
    ///
    /// # Errors
    /// [`CodecError`]; the content of `output` is unspecified then.
    pub fn decode(&mut self, codec: Codec, input: &[u8], output: &mut [u8]) -> Result<(), CodecError> {
        let got = match codec {
            Codec::Zlib => self.zlib.decode(codec, input, output),
            Codec::Lzo => self.lzo.decode(codec, input, output),
            Codec::Snappy => self.snappy.decode(codec, input, output),
            Codec::Zstd => self.zstd.decode(codec, input, output),
        }?;
        let expected = output.len();
        if got == expected { Ok(()) } else { Err(CodecError::TooShort { codec, got, expected }) }
    }
}
