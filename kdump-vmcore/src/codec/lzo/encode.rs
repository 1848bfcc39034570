//! Compression to LZO1X, one pass with a table of the places where five bytes were seen last.
//!
//! Pages of a kernel are arrays of structures: where a copy ends because a few bytes differ from those so far back,
//! what follows is mostly the same again. That is looked at first and needs no table.
#![allow(
    clippy::cast_possible_truncation,
    reason = "the low bits are what a hash, a field or a position in a window of 64 KiB takes"
)]

use crate::codec::{Codec, CodecError};

/// Places the table has room for, as a power of two.
const TABLE_BITS: u32 = 13;
/// Inputs up to this length, a page of most architectures, use only part of the table.
const SMALL: usize = 4096;
const SMALL_BITS: u32 = 11;
/// Input that is searched as one; a position in it fits the table's `u16`.
const WINDOW: usize = 1 << 16;
/// The farthest a copy can reach back.
const MAX_DISTANCE: u32 = 0xBFFF;
/// After so many places without a copy, as a power of two, one place more is left out each time.
const STRIDE_BITS: u32 = 5;
/// Bytes that a place in the table stands for, and that it takes at least to copy from there. Copies of four gain
/// little, and each costs a branch that nobody can foretell.
const SEEN: u32 = 5;
const SEEN_SHIFT: u32 = 64 - 8 * SEEN;
/// Bytes that are moved at once.
const WIDE: usize = 16;

/// Memory the compressor needs and the caller gives; its content does not matter.
#[derive(Clone, Debug)]
pub struct LzoWork {
    table: [u16; 1 << TABLE_BITS],
}

impl LzoWork {
    /// Work memory for any number of blocks, one after the other.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: [0; 1 << TABLE_BITS] }
    }
}

impl Default for LzoWork {
    fn default() -> Self {
        Self::new()
    }
}

/// Compresses `input` to one LZO1X block at the start of `output` and returns its length; at
/// most [`Codec::bound`] bytes. The same input gives the same block whatever `work` held before.
///
/// # Errors
/// [`CodecError::OutputFull`] when the block does not fit.
pub fn compress(input: &[u8], output: &mut [u8], work: &mut LzoWork) -> Result<usize, CodecError> {
    let mut block = Block { output, op: 0 };
    let mut anchor = 0;
    for (index, window) in input.chunks(WINDOW).enumerate() {
        let base = index.wrapping_mul(WINDOW);
        // A short input leaves most of a large table empty, and clearing it would cost more.
        let search = if window.len() <= SMALL { search::<SMALL_BITS> } else { search::<TABLE_BITS> };
        anchor = search(input, base, window, anchor, &mut block, &mut work.table).ok_or(block.full())?;
    }
    let end = block.literals(input, anchor, input.len()).and_then(|()| block.put(&[0x11, 0, 0]));
    end.ok_or(block.full())?;
    Ok(block.op)
}

/// Writes the copies found in `window`, which is `input[base..]`, with the literals between
/// them, and returns where the literals behind the last copy begin; `None` when the output is
/// full. Positions in the window are small types, from which the compiler knows that a few
/// bytes more do not overflow.
fn search<const BITS: u32>(
    input: &[u8],
    base: usize,
    window: &[u8],
    mut anchor: usize,
    block: &mut Block<'_>,
    table: &mut [u16; 1 << TABLE_BITS],
) -> Option<usize> {
    table.get_mut(..1 << BITS)?.fill(0);
    // The cleared table says that everything was seen at the start; so that one is done.
    let (mut at, mut tries) = (1_u32, 1_u32 << STRIDE_BITS);
    while let Some(here) = load_word(window, at) {
        let hash = (here << SEEN_SHIFT).wrapping_mul(0x9E37_79B1_85EB_CA87) >> const { 64 - BITS };
        let slot = table.get_mut(hash as usize)?;
        let seen = u32::from(*slot);
        *slot = at as u16;
        let distance = at.wrapping_sub(seen);
        let differing = here ^ load_word(window, seen)?;
        if differing << SEEN_SHIFT != 0 || (const { BITS != SMALL_BITS } && distance > MAX_DISTANCE) {
            at = at.wrapping_add(tries >> STRIDE_BITS);
            tries = tries.wrapping_add(1);
            continue;
        }
        let len = same(window, seen, at, differing, 0);
        block.literals(input, anchor, base.wrapping_add(at as usize))?;
        block.copy(distance, len)?;
        at = at.wrapping_add(len);
        tries = 1 << STRIDE_BITS;
        anchor = base.wrapping_add(at as usize);
        while let Some((few, len)) = again(window, at, distance) {
            at = at.wrapping_add(few);
            block.literals(input, anchor, base.wrapping_add(at as usize))?;
            block.copy(distance, len)?;
            at = at.wrapping_add(len);
            anchor = base.wrapping_add(at as usize);
        }
    }
    Some(anchor)
}

/// Where a copy from `distance` back goes on after one to three bytes that differ: how many differ, and how many,
/// four or more, are the same behind them.
#[inline(always)]
fn again(window: &[u8], at: u32, distance: u32) -> Option<(u32, u32)> {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let before = at.wrapping_sub(distance);
    let differing = load_word(window, at)? ^ load_word(window, before)?;
    // The top bit of each byte that is zero; then of the first of four.
    let zero = !((differing & LOW).wrapping_add(LOW) | differing | LOW);
    let four = zero & zero >> 8 & zero >> 16 & zero >> 24 & 0x8080_8080;
    if four == 0 {
        return None;
    }
    let few = four.trailing_zeros() >> 3;
    let (a, b) = (before.wrapping_add(few), at.wrapping_add(few));
    Some((few, same(window, a, b, differing >> (few << 3), few)))
}

/// How many bytes from `a` on are the same as those from `b` on, which is behind it. What they differ in, of the first
/// eight but `less`, is `differing`.
#[inline(always)]
fn same(window: &[u8], a: u32, b: u32, differing: u64, less: u32) -> u32 {
    match differing {
        0 => common(window, a, b, 8_u32.wrapping_sub(less)),
        _ => differing.trailing_zeros() >> 3,
    }
}

/// How many bytes from `a` on are the same as those from `b` on, which is behind it; the first `len` are known to be.
#[inline(always)]
fn common(window: &[u8], a: u32, b: u32, mut len: u32) -> u32 {
    while let (Some(left), Some(right)) =
        (load_word(window, a.wrapping_add(len)), load_word(window, b.wrapping_add(len)))
    {
        let differing = left ^ right;
        if differing != 0 {
            return len.wrapping_add(differing.trailing_zeros() >> 3);
        }
        len = len.wrapping_add(8);
    }
    let rest = |at: u32| window.get(at.wrapping_add(len) as usize..).unwrap_or_default();
    let same = rest(a).iter().zip(rest(b)).take_while(|(left, right)| left == right);
    len.wrapping_add(same.count() as u32)
}

/// The block as far as it is written.
struct Block<'a> {
    output: &'a mut [u8],
    op: usize,
}

impl Block<'_> {
    #[cold]
    fn full(&self) -> CodecError {
        CodecError::OutputFull { codec: Codec::Lzo, room: self.output.len() }
    }

    /// Writes `bytes`.
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.output.get_mut(self.op..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.op = self.op.wrapping_add(bytes.len());
        Some(())
    }

    /// Writes the first `len` of four bytes.
    #[inline(always)]
    fn put_some(&mut self, bytes: u32, len: usize) -> Option<()> {
        let bytes = bytes.to_le_bytes();
        let room = self.output.get_mut(self.op..)?;
        match room.first_chunk_mut::<4>() {
            Some(room) => *room = bytes,
            None => room.get_mut(..len)?.copy_from_slice(bytes.get(..len)?),
        }
        self.op = self.op.wrapping_add(len);
        Some(())
    }

    /// A length that does not fit its field: zeros of 255 each and a rest that is not zero.
    #[inline(never)]
    fn long_length(&mut self, mut rest: usize) -> Option<()> {
        while rest > 255 {
            self.put(&[0])?;
            rest = rest.wrapping_sub(255);
        }
        self.put(&[rest as u8])
    }

    /// Writes `input[from..to]` as literals.
    #[inline(always)]
    fn literals(&mut self, input: &[u8], from: usize, to: usize) -> Option<()> {
        let len = to.wrapping_sub(from);
        if len > WIDE || self.op < 2 {
            return self.many_literals(input, from, to);
        }
        // Few literals are counted in the low bits of the copy before them, more have a byte.
        // Both are written, so that there is no branch to be mispredicted.
        let few = len <= 3;
        let before = self.output.get_mut(self.op.wrapping_sub(2))?;
        *before |= if few { len as u8 } else { 0 };
        let counted = self.op.wrapping_add(usize::from(!few));
        let bytes = load::<WIDE>(input, from);
        let room = self.output.get_mut(self.op..)?.first_chunk_mut::<{ WIDE + 1 }>();
        let (Some(bytes), Some(room)) = (bytes, room) else {
            // The few are counted already, and counting them again changes nothing.
            return self.many_literals(input, from, to);
        };
        room[0] = (len as u8).wrapping_sub(3);
        *self.output.get_mut(counted..)?.first_chunk_mut::<WIDE>()? = bytes;
        self.op = counted.wrapping_add(len);
        Some(())
    }

    #[inline(never)]
    fn many_literals(&mut self, input: &[u8], from: usize, to: usize) -> Option<()> {
        let len = to.wrapping_sub(from);
        match len {
            0 => return Some(()),
            _ if self.op == 0 && len <= 238 => self.put(&[(len as u8).wrapping_add(17)])?,
            1..=3 => *self.output.get_mut(self.op.wrapping_sub(2))? |= len as u8,
            4..=18 => self.put(&[(len as u8).wrapping_sub(3)])?,
            _ => {
                self.put(&[0])?;
                self.long_length(len.wrapping_sub(18))?;
            }
        }
        self.put(input.get(from..to)?)
    }

    /// Writes a copy of `len` bytes, four or more, from `distance` bytes back.
    #[inline(always)]
    fn copy(&mut self, distance: u32, len: u32) -> Option<()> {
        if len > 33 || distance > 1 << 14 {
            return self.large_copy(distance, len);
        }
        let back = distance.wrapping_sub(1);
        let near = len.wrapping_sub(1) << 5 | (back & 7) << 2 | back >> 3 << 8;
        let middle = 32 | len.wrapping_sub(2) | back << 10;
        let is_near = len <= 8 && distance <= 1 << 11;
        self.put_some(if is_near { near } else { middle }, if is_near { 2 } else { 3 })
    }

    #[inline(never)]
    fn large_copy(&mut self, distance: u32, len: u32) -> Option<()> {
        let (opcode, full, word) = if distance <= 1 << 14 {
            (32, 31, distance.wrapping_sub(1) << 2)
        } else {
            let beyond = distance.wrapping_sub(1 << 14);
            (16 | beyond >> 14 << 3, 7, (beyond & 0x3FFF) << 2)
        };
        let field = len.wrapping_sub(2);
        if field <= full {
            return self.put_some(opcode | field | word << 8, 3);
        }
        self.put(&[opcode as u8])?;
        self.long_length(field.wrapping_sub(full) as usize)?;
        self.put_some(word, 2)
    }
}

#[inline(always)]
fn load<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline(always)]
fn load_word(window: &[u8], at: u32) -> Option<u64> {
    let at = at as usize;
    window.get(at..at.wrapping_add(8))?.first_chunk().copied().map(u64::from_le_bytes)
}
