//! Decompression of LZO1X. Which bits of an instruction mean what is told in [`super`].

use crate::codec::{Codec, CodecError};

/// Bytes that are moved at once; a shorter move spills over into room that is written later.
const WIDE: usize = 16;

/// Decompresses the LZO1X block `input` into the start of `output` and returns how many bytes
/// came out. Bytes of `output` behind those are unspecified; nothing is written outside it.
///
/// # Errors
/// [`CodecError::Truncated`], [`CodecError::Corrupt`], [`CodecError::Trailing`], or
/// [`CodecError::TooLong`] when `output` has no room; each with the offset in `input` of the
/// instruction that cannot be followed.
pub fn decompress(input: &[u8], output: &mut [u8]) -> Result<usize, CodecError> {
    let mut block = Block { input, output, ip: 0, op: 0, at: 0 };
    block.run()?;
    match input.len().checked_sub(block.ip) {
        Some(len) if len > 0 => Err(CodecError::Trailing { codec: Codec::Lzo, at: block.ip, len }),
        _ => Ok(block.op),
    }
}

/// How many literals the instruction before copied, which decides what a small opcode means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    None,
    UpToThree,
    More,
}

/// A block on its way. Positions only grow by lengths that were checked against a slice.
struct Block<'a> {
    input: &'a [u8],
    output: &'a mut [u8],
    /// The next byte of the input.
    ip: usize,
    /// Bytes of the output that are there.
    op: usize,
    /// Where the current instruction begins.
    at: usize,
}

/// A copy of `len` bytes from `distance` bytes back, with up to three literals behind it.
struct Match {
    distance: usize,
    len: usize,
    literals: usize,
}

impl Block<'_> {
    /// Follows all instructions up to the one that ends the block.
    fn run(&mut self) -> Result<(), CodecError> {
        let mut before = self.first()?;
        loop {
            self.at = self.ip;
            let opcode = usize::from(self.byte()?);
            let found = match opcode {
                64.. => self.near(opcode)?,
                32..64 => self.middle(opcode)?,
                16..32 => match self.far(opcode)? {
                    Some(found) => found,
                    None => return Ok(()),
                },
                _ if before == Before::None => {
                    let len = self.length(opcode, 15)?.saturating_add(3);
                    self.literals(len)?;
                    before = Before::More;
                    continue;
                }
                _ => self.short(opcode, before)?,
            };
            self.copy(&found)?;
            before = self.few_literals(found.literals)?;
        }
    }

    /// A first byte above 17 is a run of literals; any other is an ordinary instruction.
    fn first(&mut self) -> Result<Before, CodecError> {
        match self.input.first().map(|&byte| usize::from(byte).saturating_sub(17)) {
            None | Some(0) => Ok(Before::None),
            Some(len) => {
                self.ip = 1;
                self.literals(len)?;
                Ok(if len < 4 { Before::UpToThree } else { Before::More })
            }
        }
    }

    /// 3 to 8 bytes from up to 2 KiB back: `LLLDDDSS`, then the distance's upper byte.
    #[inline(always)]
    fn near(&mut self, opcode: usize) -> Result<Match, CodecError> {
        let high = usize::from(self.byte()?);
        let distance = (high << 3 | opcode >> 2 & 7).wrapping_add(1);
        Ok(Match { distance, len: (opcode >> 5).wrapping_add(1), literals: opcode & 3 })
    }

    /// 3 bytes or more from up to 16 KiB back: `001LLLLL`, lengths, then 16 bits.
    #[inline(always)]
    fn middle(&mut self, opcode: usize) -> Result<Match, CodecError> {
        let len = self.length(opcode & 31, 31)?.saturating_add(2);
        let word = self.word()?;
        Ok(Match { distance: (word >> 2).wrapping_add(1), len, literals: word & 3 })
    }

    /// 3 bytes or more from 16 to 48 KiB back: `0001HLLL`, lengths, then 16 bits; `None` is the
    /// end of the block, a copy from exactly 16 KiB.
    #[inline(always)]
    fn far(&mut self, opcode: usize) -> Result<Option<Match>, CodecError> {
        let len = self.length(opcode & 7, 7)?.saturating_add(2);
        let word = self.word()?;
        let beyond = (opcode & 8) << 11 | word >> 2;
        if beyond == 0 {
            // Compressors write a length of 3 here; liblzo2 2.10 ends at any, and so do we.
            return Ok(None);
        }
        Ok(Some(Match { distance: beyond.wrapping_add(1 << 14), len, literals: word & 3 }))
    }

    /// 2 bytes from up to 1 KiB behind few literals, 3 bytes from 2 to 3 KiB behind many.
    #[inline(always)]
    fn short(&mut self, opcode: usize, before: Before) -> Result<Match, CodecError> {
        let distance = usize::from(self.byte()?) << 2 | opcode >> 2;
        let (base, len) = if before == Before::More { (2049, 3) } else { (1, 2) };
        Ok(Match { distance: distance.wrapping_add(base), len, literals: opcode & 3 })
    }

    /// A length whose field holds `bits`: zero means `full` and more, in the bytes that follow.
    #[inline(always)]
    fn length(&mut self, bits: usize, full: usize) -> Result<usize, CodecError> {
        if bits == 0 { self.long_length(full) } else { Ok(bits) }
    }

    /// Every zero byte is 255, the first other byte is the rest.
    fn long_length(&mut self, full: usize) -> Result<usize, CodecError> {
        let mut len = full;
        loop {
            match self.byte()? {
                0 => len = len.saturating_add(255),
                rest => return Ok(len.saturating_add(usize::from(rest))),
            }
        }
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, CodecError> {
        let Some(&byte) = self.input.get(self.ip) else { return Err(self.truncated()) };
        self.ip = self.ip.wrapping_add(1);
        Ok(byte)
    }

    #[inline(always)]
    fn word(&mut self) -> Result<usize, CodecError> {
        let Some(bytes) = load::<2>(self.input, self.ip) else { return Err(self.truncated()) };
        self.ip = self.ip.wrapping_add(2);
        Ok(usize::from(u16::from_le_bytes(bytes)))
    }

    /// The literals of a match, none to three of them.
    #[inline(always)]
    fn few_literals(&mut self, len: usize) -> Result<Before, CodecError> {
        if len == 0 {
            return Ok(Before::None);
        }
        match (load::<4>(self.input, self.ip), room::<4>(self.output, self.op)) {
            (Some(bytes), Some(room)) => {
                *room = bytes;
                self.ip = self.ip.wrapping_add(len);
                self.op = self.op.wrapping_add(len);
            }
            _ => self.literals(len)?,
        }
        Ok(Before::UpToThree)
    }

    /// Copies `len` bytes from the input.
    #[inline(always)]
    fn literals(&mut self, len: usize) -> Result<(), CodecError> {
        if len <= WIDE {
            if let (Some(bytes), Some(room)) =
                (load::<WIDE>(self.input, self.ip), room::<WIDE>(self.output, self.op))
            {
                *room = bytes;
                self.ip = self.ip.wrapping_add(len);
                self.op = self.op.wrapping_add(len);
                return Ok(());
            }
        }
        self.many_literals(len)
    }

    fn many_literals(&mut self, len: usize) -> Result<(), CodecError> {
        let Some(bytes) = self.input.get(self.ip..).and_then(|rest| rest.get(..len)) else {
            return Err(self.truncated());
        };
        let Some(room) = self.output.get_mut(self.op..).and_then(|rest| rest.get_mut(..len)) else {
            return Err(self.too_long());
        };
        room.copy_from_slice(bytes);
        self.ip = self.ip.wrapping_add(len);
        self.op = self.op.wrapping_add(len);
        Ok(())
    }

    /// Copies what a match names from the output to its end.
    #[inline(always)]
    fn copy(&mut self, found: &Match) -> Result<(), CodecError> {
        let Some(from) = self.op.checked_sub(found.distance) else {
            return Err(self.corrupt("a copy begins before the output"));
        };
        let end = self.op.saturating_add(found.len);
        if end > self.output.len() {
            return Err(self.too_long());
        }
        let to = self.op;
        self.op = end;
        if found.distance >= WIDE {
            wide_copy(self.output, from, to, end);
        } else {
            pattern(self.output, found.distance, to, end);
        }
        Ok(())
    }

    #[cold]
    fn truncated(&self) -> CodecError {
        CodecError::Truncated { codec: Codec::Lzo, at: self.at, len: self.input.len() }
    }

    #[cold]
    fn too_long(&self) -> CodecError {
        CodecError::TooLong { codec: Codec::Lzo, at: self.at, room: self.output.len() }
    }

    #[cold]
    fn corrupt(&self, reason: &'static str) -> CodecError {
        CodecError::Corrupt { codec: Codec::Lzo, at: self.at, reason }
    }
}

/// Copies `from..` to `to..end`, at least [`WIDE`] bytes apart, and may write up to `WIDE - 1`
/// bytes behind `end` where the output goes on.
#[inline(always)]
fn wide_copy(output: &mut [u8], mut from: usize, mut to: usize, end: usize) {
    while to < end {
        let Some(bytes) = load::<WIDE>(output, from) else { break };
        let Some(room) = room::<WIDE>(output, to) else { break };
        *room = bytes;
        from = from.wrapping_add(WIDE);
        to = to.wrapping_add(WIDE);
    }
    single_bytes(output, to.wrapping_sub(from), to, end);
}

/// Repeats the last `distance` bytes before `to` up to `end`, and may write up to seven bytes
/// behind that where the output goes on.
#[inline(always)]
fn pattern(output: &mut [u8], distance: usize, to: usize, end: usize) {
    let Some(word) = to.checked_sub(distance).and_then(|from| load::<8>(output, from)) else {
        return single_bytes(output, distance, to, end);
    };
    match distance {
        8.. => eight_copy(output, distance, to, end),
        _ => repeat(output, distance, u64::from_le_bytes(word), to, end),
    }
}

#[inline(always)]
fn eight_copy(output: &mut [u8], distance: usize, mut to: usize, end: usize) {
    while to < end {
        let Some(bytes) = load::<8>(output, to.wrapping_sub(distance)) else { break };
        let Some(room) = room::<8>(output, to) else { break };
        *room = bytes;
        to = to.wrapping_add(8);
    }
    single_bytes(output, distance, to, end);
}

/// `word` begins with the `distance` bytes, fewer than eight, that are to be repeated.
#[inline(always)]
fn repeat(output: &mut [u8], distance: usize, word: u64, mut to: usize, end: usize) {
    if distance == 1 && end.wrapping_sub(to) > 64 {
        if let Some(room) = output.get_mut(to..end) {
            return room.fill(word.to_le_bytes()[0]);
        }
    }
    // As many whole repetitions as eight bytes hold.
    let (bits, step) = match distance {
        1 => (8, 8),
        2 => (16, 8),
        3 => (24, 6),
        4 => (32, 8),
        5 => (40, 5),
        6 => (48, 6),
        _ => (56, 7),
    };
    let mut word = word & !(u64::MAX << bits);
    let mut known = bits;
    while known < 64 {
        word |= word << known;
        known <<= 1;
    }
    while to < end {
        let Some(room) = room::<8>(output, to) else { break };
        *room = word.to_le_bytes();
        to = to.wrapping_add(step);
    }
    single_bytes(output, distance, to, end);
}

/// What is left when the end of the output is too near for more.
#[inline(always)]
fn single_bytes(output: &mut [u8], distance: usize, to: usize, end: usize) {
    if to < end {
        last_bytes(output, distance, to, end);
    }
}

#[inline(never)]
fn last_bytes(output: &mut [u8], distance: usize, to: usize, end: usize) {
    for at in to..end {
        let byte = output.get(at.wrapping_sub(distance)).copied();
        if let (Some(byte), Some(room)) = (byte, output.get_mut(at)) {
            *room = byte;
        }
    }
}

#[inline(always)]
fn load<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline(always)]
fn room<const N: usize>(bytes: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    bytes.get_mut(at..)?.first_chunk_mut()
}
