//! snappy through the crate snap.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Codec, CodecError};

#[derive(Debug, Default)]
pub(crate) struct Decompressor(snap::raw::Decoder);

impl Decompressor {
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let result = self.0.decompress(input, output);
        result.map_err(|error| match error {
            snap::Error::BufferTooSmall { given: _, min: _ } => {
                CodecError::TooLong { codec, at: 0, room: output.len() }
            }
            other => CodecError::Refused { codec, len: input.len(), reason: reason(&other) },
        })
    }
}

fn reason(error: &snap::Error) -> &'static str {
    match error {
        snap::Error::Empty => "it is empty",
        snap::Error::Header => "the length in front is not a number",
        snap::Error::HeaderMismatch { .. } => "it holds another length than it says in front",
        snap::Error::Literal { .. } => "literals go beyond its end or that of the page",
        snap::Error::CopyRead { .. } => "it ends inside a copy",
        snap::Error::CopyWrite { .. } => "a copy goes beyond the page",
        snap::Error::Offset { .. } => "a copy begins before the page",
        snap::Error::TooBig { .. } => "it is for more than 4 GiB",
        _ => "it is not a raw block",
    }
}

/// The encoder, and room for what does not fit the caller's buffer: snap wants room for the
/// worst case.
#[derive(Debug)]
pub(crate) struct Compressor {
    encoder: Box<snap::raw::Encoder>,
    room: Vec<u8>,
}

impl Compressor {
    pub(crate) fn new(_: Codec, _: i32) -> Result<Self, CodecError> {
        Ok(Self { encoder: Box::new(snap::raw::Encoder::new()), room: Vec::new() })
    }

    pub(crate) fn encode(
        &mut self,
        codec: Codec,
        page: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let bound = codec.bound(page.len());
        let failed = |_| CodecError::Failed { codec, reason: "the page has more than 4 GiB" };
        if output.len() >= bound {
            return self.encoder.compress(page, output).map_err(failed);
        }
        if self.room.len() < bound {
            let more = bound.saturating_sub(self.room.len());
            self.room.try_reserve_exact(more).map_err(|_| CodecError::OutOfMemory { codec })?;
            self.room.resize(bound, 0);
        }
        let len = self.encoder.compress(page, &mut self.room).map_err(failed)?;
        let full = CodecError::OutputFull { codec, room: output.len() };
        let (Some(from), Some(to)) = (self.room.get(..len), output.get_mut(..len)) else { return Err(full) };
        to.copy_from_slice(from);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page is packed where it is wanted, without a copy, as long as there is room for any.
    #[test]
    fn only_a_small_output_costs_room() {
        let (mut compressor, page) = (Compressor::new(Codec::Snappy, 1).unwrap(), [7; 4096]);
        let mut output = alloc::vec![0; Codec::Snappy.bound(page.len())];
        let len = compressor.encode(Codec::Snappy, &page, &mut output).unwrap();
        assert!(compressor.room.is_empty());
        let less = output.len() - 1;
        assert_eq!(compressor.encode(Codec::Snappy, &page, &mut output[..less]), Ok(len));
        assert!(!compressor.room.is_empty());
    }
}
