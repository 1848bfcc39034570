//! Writing zlib through miniz_oxide. zlib-rs is faster at its lowest level, but its pages are a
//! fifth larger there than zlib's; with its other levels it is the slower one.

use alloc::boxed::Box;
use core::fmt;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};

use super::{Codec, CodecError};

pub(crate) use super::inflate::Decompressor;

/// The largest window of zlib (RFC 1950, CINFO), as a power of two.
const WINDOW_BITS: u8 = 15;

pub(crate) struct Compressor(Box<CompressorOxide>);

impl Compressor {
    pub(crate) fn new(_: Codec, level: i32) -> Result<Self, CodecError> {
        let flags = create_comp_flags_from_zip_params(level, i32::from(WINDOW_BITS), 0);
        Ok(Self(Box::new(CompressorOxide::new(flags))))
    }

    pub(crate) fn encode(
        &mut self,
        codec: Codec,
        page: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        self.0.reset();
        let (status, _, len) = compress(&mut self.0, page, output, TDEFLFlush::Finish);
        match status {
            TDEFLStatus::Done => Ok(len),
            TDEFLStatus::Okay => Err(CodecError::OutputFull { codec, room: output.len() }),
            _ => Err(CodecError::Failed { codec, reason: "miniz_oxide refuses its parameters" }),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}
