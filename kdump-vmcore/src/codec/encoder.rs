//! Compresses pages, one after the other.

use super::{Codec, CodecError, lzo, snappy, zlib, zstd};

/// A codec at a level, with what it keeps from page to page; each thread has its own. The same
/// page gives the same bytes, whichever pages went before.
#[derive(Debug)]
pub struct Encoder {
    codec: Codec,
    level: i32,
    state: State,
}

#[derive(Debug)]
enum State {
    Zlib(zlib::Compressor),
    Lzo(lzo::Compressor),
    Snappy(snappy::Compressor),
    Zstd(zstd::Compressor),
}

impl Encoder {
    /// An encoder at the codec's default level, the one makedumpfile writes with.
    ///
    /// # Errors
    /// As [`Encoder::with_level`].
    pub fn new(codec: Codec) -> Result<Self, CodecError> {
        Self::with_level(codec, codec.levels().default)
    }

    /// An encoder at `level`, one of [`Codec::levels`].
    ///
    /// # Errors
    /// [`CodecError::NotBuilt`], [`CodecError::NoLevel`] or [`CodecError::OutOfMemory`].
    pub fn with_level(codec: Codec, level: i32) -> Result<Self, CodecError> {
        let levels = codec.levels();
        if level < levels.min || level > levels.max {
            return Err(CodecError::NoLevel { codec, level, min: levels.min, max: levels.max });
        }
        let state = match codec {
            Codec::Zlib => State::Zlib(zlib::Compressor::new(codec, level)?),
            Codec::Lzo => State::Lzo(lzo::Compressor::new(codec, level)?),
            Codec::Snappy => State::Snappy(snappy::Compressor::new(codec, level)?),
            Codec::Zstd => State::Zstd(zstd::Compressor::new(codec, level)?),
        };
        Ok(Self { codec, level, state })
    }

    /// The codec.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The level.
    #[must_use]
    pub const fn level(&self) -> i32 {
        self.level
    }

    /// Compresses `page` to the start of `output` and returns the length, or `None` when it
    /// does not fit. An output one byte shorter than the page thus tells that compressing does
    /// not pay; one of [`Codec::bound`] bytes always suffices. zstd asks for a few bytes more than
    /// its result has. Bytes of `output` behind the
    /// result are unspecified.
    ///
    /// # Errors
    /// [`CodecError::Failed`] when the codec's library fails for a reason of its own, and
    /// [`CodecError::OutOfMemory`].
    pub fn encode(&mut self, page: &[u8], output: &mut [u8]) -> Result<Option<usize>, CodecError> {
        let result = match &mut self.state {
            State::Zlib(state) => state.encode(self.codec, page, output),
            State::Lzo(state) => state.encode(self.codec, page, output),
            State::Snappy(state) => state.encode(self.codec, page, output),
            State::Zstd(state) => state.encode(self.codec, page, output),
        };
        match result {
            Ok(len) => Ok(Some(len)),
            Err(CodecError::OutputFull { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
