//! Writing zlib through miniz_oxide. zlib-rs is faster at its lowest level, but its pages are a
//! fifth larger there than zlib's; with its other levels it is the slower one.

use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};

use super::{Codec, CodecError};

pub(crate) use super::inflate::Decompressor;

/// The largest window of zlib (RFC 1950, CINFO), as a power of two.
const WINDOW_BITS: u8 = 15;

/// What the library allocates for itself without a way to say that there is none: the window and its
/// chains, the output and the tables, in all less than this.
const INNER: usize = 320 << 10;

/// One compressor, in a list because that is what is allocated fallibly.
pub(crate) struct Compressor(Vec<CompressorOxide>);

impl Compressor {
    pub(crate) fn new(codec: Codec, level: i32) -> Result<Self, CodecError> {
        let flags = create_comp_flags_from_zip_params(level, i32::from(WINDOW_BITS), 0);
        let mut one = Vec::new();
        one.try_reserve_exact(1).map_err(|_| CodecError::OutOfMemory { codec })?;
        // Asked for in one piece and given back: where that is to be had the library's pieces are.
        let mut probe = Vec::<u8>::new();
        probe.try_reserve_exact(INNER).map_err(|_| CodecError::OutOfMemory { codec })?;
        drop(probe);
        one.push(CompressorOxide::new(flags));
        Ok(Self(one))
    }

    pub(crate) fn encode(
        &mut self,
        codec: Codec,
        page: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let Some(compressor) = self.0.first_mut() else {
            return Err(CodecError::Failed { codec, reason: "there is no compressor" });
        };
        compressor.reset();
        let (status, _, len) = compress(compressor, page, output, TDEFLFlush::Finish);
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
