//! Why a page could not be decompressed or compressed.

use thiserror::Error;

use super::Codec;

/// A defect of compressed data, or something this build or the caller's buffers cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The data ends where more must follow.
    #[error("{codec} data is truncated: what begins at byte {at} goes on behind its {len} bytes")]
    Truncated {
        /// The codec of the page.
        codec: Codec,
        /// Offset in the data of the first element that is not whole.
        at: usize,
        /// Bytes of data there are.
        len: usize,
    },
    /// The data cannot be right.
    #[error("{codec} data is corrupt at byte {at}: {reason}")]
    Corrupt {
        /// The codec of the page.
        codec: Codec,
        /// Offset in the data.
        at: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The codec's library refused the data and does not say at which byte.
    #[error("{len} bytes of {codec} data are refused: {reason}")]
    Refused {
        /// The codec of the page.
        codec: Codec,
        /// Bytes of data there are.
        len: usize,
        /// What the library says.
        reason: &'static str,
    },
    /// The data is for a longer page.
    #[error("{codec} data holds more than the {room} bytes of the page, seen at its byte {at}")]
    TooLong {
        /// The codec of the page.
        codec: Codec,
        /// Offset in the data of the element that goes beyond the page; 0 when not known.
        at: usize,
        /// Bytes of the page.
        room: usize,
    },
    /// The data is for a shorter page.
    #[error("{codec} data holds {got} bytes, the page has {expected}")]
    TooShort {
        /// The codec of the page.
        codec: Codec,
        /// Bytes that came out.
        got: usize,
        /// Bytes of the page.
        expected: usize,
    },
    /// The data goes on behind its end mark.
    #[error("{codec} data ends at byte {at}, but {len} bytes follow")]
    Trailing {
        /// The codec of the page.
        codec: Codec,
        /// Where the data ends.
        at: usize,
        /// Bytes behind that.
        len: usize,
    },
    /// The compressed page does not fit into the buffer; a larger one or none at all is needed.
    #[error("{codec}: the compressed page does not fit into {room} bytes")]
    OutputFull {
        /// The codec asked for.
        codec: Codec,
        /// Bytes of the buffer.
        room: usize,
    },
    /// This build lacks the codec.
    #[error("this build cannot {action} {codec}: build it with the feature \"{codec}\"")]
    NotBuilt {
        /// The codec.
        codec: Codec,
        /// `read` or `write`.
        action: &'static str,
    },
    /// The flags of a page descriptor name no codec, or several.
    #[error(
        "page flags {flags:#x} name no single codec: expected 0 (stored), 1 (zlib), 2 (lzo), 4 (snappy) or 0x20 (zstd)"
    )]
    UnknownFlags {
        /// The flags.
        flags: u32,
    },
    /// The codec has no such level.
    #[error("{codec} has no level {level}: it has {min} to {max}")]
    NoLevel {
        /// The codec.
        codec: Codec,
        /// The level asked for.
        level: i32,
        /// The lowest there is.
        min: i32,
        /// The highest there is.
        max: i32,
    },
    /// There is no memory for what the codec keeps from page to page.
    #[error("no memory for the state of {codec}")]
    OutOfMemory {
        /// The codec.
        codec: Codec,
    },
    /// The codec's library could not compress.
    #[error("{codec} cannot compress: {reason}")]
    Failed {
        /// The codec.
        codec: Codec,
        /// What the library says.
        reason: &'static str,
    },
}
