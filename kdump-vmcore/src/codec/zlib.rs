//! Writing zlib: pages at the lowest level by [`deflate`](super::deflate), at others through miniz_oxide.
//! zlib-rs is faster at its lowest level than miniz_oxide, but its pages are a fifth larger there than
//! zlib's; with its other levels it is the slower one.

use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};

use super::deflate::Deflate;
use super::{Codec, CodecError};

pub(crate) use super::inflate::Decompressor;

/// The largest window of zlib (RFC 1950, CINFO), as a power of two.
const WINDOW_BITS: u8 = 15;

/// What the library allocates for itself without a way to say that there is none: the window and its
/// chains, the output and the tables, in all less than this.
const INNER: usize = 320 << 10;

/// One compressor, in a list because that is what is allocated fallibly.
pub(crate) enum Compressor {
    Lowest(Vec<Deflate>),
    Other(Vec<CompressorOxide>),
}

impl Compressor {
    pub(crate) fn new(codec: Codec, level: i32) -> Result<Self, CodecError> {
        if level == 1 {
            return Ok(Self::Lowest(one(codec, Deflate::new)?));
        }
        let flags = create_comp_flags_from_zip_params(level, i32::from(WINDOW_BITS), 0);
        // Asked for in one piece and given back: where that is to be had the library's pieces are.
        let mut probe = Vec::<u8>::new();
        probe.try_reserve_exact(INNER).map_err(|_| CodecError::OutOfMemory { codec })?;
        drop(probe);
        Ok(Self::Other(one(codec, || CompressorOxide::new(flags))?))
    }

    pub(crate) fn encode(
        &mut self,
        codec: Codec,
        page: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let full = CodecError::OutputFull { codec, room: output.len() };
        let compressor = match self {
            Self::Lowest(list) => {
                let len = list.first_mut().and_then(|deflate| deflate.compress(page, output));
                return len.ok_or(full);
            }
            Self::Other(list) => list.first_mut(),
        };
        let Some(compressor) = compressor else {
            return Err(CodecError::Failed { codec, reason: "there is no compressor" });
        };
        compressor.reset();
        let (status, _, len) = compress(compressor, page, output, TDEFLFlush::Finish);
        match status {
            TDEFLStatus::Done => Ok(len),
            TDEFLStatus::Okay => Err(full),
            _ => Err(CodecError::Failed { codec, reason: "miniz_oxide refuses its parameters" }),
        }
    }
}

fn one<T>(codec: Codec, make: impl FnOnce() -> T) -> Result<Vec<T>, CodecError> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).map_err(|_| CodecError::OutOfMemory { codec })?;
    one.push(make());
    Ok(one)
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}
