//! Stands in for a codec that is not built in.

use super::{Codec, CodecError};

// `zstd-decode` alone reads and does not write.
#[cfg(not(all(feature = "lzo", feature = "zlib", feature = "snappy", feature = "zstd-decode")))]
#[derive(Debug, Default)]
pub(crate) struct Decompressor;

#[cfg(not(all(feature = "lzo", feature = "zlib", feature = "snappy", feature = "zstd-decode")))]
impl Decompressor {
    pub(crate) fn decode(&mut self, codec: Codec, _: &[u8], _: &mut [u8]) -> Result<usize, CodecError> {
        Err(CodecError::NotBuilt { codec, action: "read" })
    }
}

#[derive(Debug)]
pub(crate) struct Compressor;

impl Compressor {
    pub(crate) fn new(codec: Codec, _: i32) -> Result<Self, CodecError> {
        Err(CodecError::NotBuilt { codec, action: "write" })
    }

    pub(crate) fn encode(&mut self, codec: Codec, _: &[u8], _: &mut [u8]) -> Result<usize, CodecError> {
        Err(CodecError::NotBuilt { codec, action: "write" })
    }
}
