//! Receives the block stream and puts the file together.
//!
//! The format is described in `examples/rust-kernel/src/stream.rs`; this reader shares no code
//! with the writer.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Context, Result, failed};

const HEAD: usize = 28;
const LARGEST: usize = 4096;

/// What a complete stream held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) blocks: u32,
    /// Bytes that came over the line as content.
    pub(crate) bytes: u64,
    pub(crate) file_size: u64,
}

/// One block that is as it was sent.
struct Block<'a> {
    kind: u32,
    number: u32,
    offset: u64,
    content: &'a [u8],
}

/// Writes the file that the stream in `from` describes; any damage is an error that says where.
pub(crate) fn receive(from: &Path, to: &Path) -> Result<Received> {
    let line = fs::read(from).context(from.display())?;
    let file = File::create(to).context(to.display())?;
    let received = decode(&line, |offset, content| file.write_all_at(content, offset).context(to.display()));
    let received = received.context(from.display())?;
    file.set_len(received.file_size).context(to.display())?;
    Ok(received)
}

/// Reads all blocks and hands their content to `write`.
pub(crate) fn decode(line: &[u8], mut write: impl FnMut(u64, &[u8]) -> Result) -> Result<Received> {
    let mut received = Received { blocks: 0, bytes: 0, file_size: 0 };
    let mut rest = line;
    loop {
        let at = line.len().saturating_sub(rest.len());
        let (block, behind) = block(rest).context(format!("block {} at byte {at}", received.blocks))?;
        if block.number != received.blocks {
            return Err(failed(format!("block {} follows {}", block.number, received.blocks)));
        }
        received.blocks = received.blocks.saturating_add(1);
        match (block.kind, block.number) {
            (0, 0) => received.file_size = block.offset,
            (1, 1..) => {
                received.bytes = received.bytes.saturating_add(block.content.len() as u64);
                write(block.offset, block.content)?;
            }
            (2, 1..) if behind.is_empty() && block.offset == received.file_size => return Ok(received),
            (kind, number) => return Err(failed(format!("block {number} of kind {kind} out of place"))),
        }
        rest = behind;
    }
}

fn block(line: &[u8]) -> Result<(Block<'_>, &[u8])> {
    let (head, rest) = line.split_at_checked(HEAD).context("the stream ends in a header")?;
    let word = |at: usize| {
        let bytes = head.get(at..).and_then(|tail| tail.first_chunk::<4>()).copied();
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    if !head.starts_with(b"kds1") {
        return Err(failed("no block begins here"));
    }
    let len = usize::try_from(word(12)).ok().filter(|&len| len <= LARGEST).context("absurd length")?;
    let (content, behind) = rest.split_at_checked(len).context("the stream ends in a block")?;
    let covered = head.get(..24).unwrap_or_default().iter().chain(content);
    if crc32(covered) != word(24) {
        return Err(failed("wrong checksum"));
    }
    let offset = u64::from(word(20)) << 32 | u64::from(word(16));
    Ok((Block { kind: word(4), number: word(8), offset, content }, behind))
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| match crc & 1 {
            1 => crc >> 1 ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    })
}

/// Copies the first `len` bytes of a file.
pub(crate) fn copy_prefix(from: &Path, to: &Path, len: u64) -> Result {
    let mut bytes = Vec::new();
    let file = File::open(from).context(from.display())?;
    file.take(len).read_to_end(&mut bytes).context(from.display())?;
    File::create(to).and_then(|mut file| file.write_all(&bytes)).context(to.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(kind: u32, number: u32, offset: u64, content: &[u8]) -> Vec<u8> {
        let mut out = b"kds1".to_vec();
        for word in [kind, number, u32::try_from(content.len()).unwrap()] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&offset.to_le_bytes());
        let crc = crc32(out.iter().chain(content));
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(content);
        out
    }

    fn sample() -> Vec<Vec<u8>> {
        vec![
            encode(0, 0, 100, &[]),
            encode(1, 1, 0, b"head"),
            encode(1, 2, 40, b"tail"),
            encode(2, 3, 100, &[]),
        ]
    }

    #[test]
    fn crc_is_the_known_one() {
        assert_eq!(crc32(b"123456789".iter()), 0xcbf4_3926);
    }

    #[test]
    fn a_whole_stream_is_a_file() {
        let mut file = [0; 100];
        let received = decode(&sample().concat(), |offset, content| {
            let at = usize::try_from(offset).unwrap();
            file[at..at + content.len()].copy_from_slice(content);
            Ok(())
        });
        assert_eq!(received.unwrap().bytes, 8);
        assert_eq!((&file[..4], &file[40..44]), (&b"head"[..], &b"tail"[..]));
    }

    #[test]
    fn no_damage_goes_unnoticed() {
        let whole = sample().concat();
        for at in 0..whole.len() {
            let mut line = whole.clone();
            line[at] ^= 0x10;
            assert!(decode(&line, |_, _| Ok(())).is_err(), "byte {at} changed");
            line.remove(at);
            assert!(decode(&line, |_, _| Ok(())).is_err(), "byte {at} lost");
            assert!(decode(&whole[..at], |_, _| Ok(())).is_err(), "cut at {at}");
        }
        let mut blocks = sample();
        blocks.swap(1, 2);
        assert!(decode(&blocks.concat(), |_, _| Ok(())).is_err());
        blocks.remove(1);
        assert!(decode(&blocks.concat(), |_, _| Ok(())).is_err());
    }
}
