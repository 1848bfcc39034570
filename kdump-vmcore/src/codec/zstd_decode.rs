//! zstd through ruzstd, which reads only: for builds without std or without a C compiler.

use core::fmt;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::io::Read;

use super::{Codec, CodecError};

/// The largest window accepted, which is what zstd's own fast level asks for at most; ruzstd
/// would allocate whatever a damaged header says.
const MAX_WINDOW: u64 = 1 << 19;
/// RFC 8878, 3.1.1.
const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

#[derive(Default)]
pub(crate) struct Decompressor(Option<FrameDecoder>);

impl Decompressor {
    pub(crate) fn decode(
        &mut self,
        codec: Codec,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CodecError> {
        let refused = |reason| CodecError::Refused { codec, len: input.len(), reason };
        match window(input) {
            None => return Err(refused("it does not begin with the header of a frame")),
            Some(window) if window > MAX_WINDOW.max(output.len() as u64) => {
                return Err(refused("its window is larger than 512 KiB and than the page"));
            }
            Some(_) => {}
        }
        let decoder = self.0.get_or_insert_with(FrameDecoder::new);
        let mut rest = input;
        decoder.init(&mut rest).map_err(|_| refused("the header of the frame is damaged"))?;
        let mut got = 0_usize;
        loop {
            let one = BlockDecodingStrategy::UptoBlocks(1);
            decoder.decode_blocks(&mut rest, one).map_err(|_| refused("a block is damaged or cut off"))?;
            let room = output.get_mut(got..).unwrap_or_default();
            let len = decoder.read(room).map_err(|_| refused("what was decompressed cannot be taken"))?;
            got = got.saturating_add(len);
            let at = input.len().saturating_sub(rest.len());
            if decoder.can_collect() > 0 {
                return Err(CodecError::TooLong { codec, at, room: output.len() });
            }
            if decoder.is_finished() {
                if decoder
                    .get_checksum_from_data()
                    .is_some_and(|sum| decoder.get_calculated_checksum() != Some(sum))
                {
                    return Err(refused("the checksum does not match"));
                }
                let len = rest.len();
                return if len == 0 { Ok(got) } else { Err(CodecError::Trailing { codec, at, len }) };
            }
        }
    }
}

/// The bytes a frame wants to be kept for later copies (RFC 8878, 3.1.1.1); `None` when this is
/// not the header of a frame.
fn window(input: &[u8]) -> Option<u64> {
    let rest = input.strip_prefix(&MAGIC)?;
    let (&descriptor, rest) = rest.split_first()?;
    let (&first, _) = rest.split_first()?;
    if descriptor & 0x20 == 0 {
        let base = 1_u64 << (10_u32.saturating_add(u32::from(first >> 3)));
        return Some(base.saturating_add((base >> 3).saturating_mul(u64::from(first & 7))));
    }
    // A frame of a single segment: its window is its content, whose size is behind the number
    // of the dictionary.
    let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3)).copied()?;
    let size = rest.get(dictionary..)?;
    Some(match descriptor >> 6 {
        0 => u64::from(*size.first()?),
        1 => u64::from(u16::from_le_bytes(*size.first_chunk()?)).saturating_add(256),
        2 => u64::from(u32::from_le_bytes(*size.first_chunk()?)),
        _ => u64::from_le_bytes(*size.first_chunk()?),
    })
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("used", &self.0.is_some()).finish()
    }
}

/// Nothing writes zstd in this build.
pub(crate) use super::absent::Compressor;
