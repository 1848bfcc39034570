//! Compression to zlib streams (RFC 1950, RFC 1951) at their lowest level, made for pages: one pass with
//! a table of the places where four bytes were seen last, then codes for what it found.
//!
//! General libraries keep a window that moves, and tables for inputs of any length, which for a page cost
//! more than the page itself.
#![allow(
    clippy::cast_possible_truncation,
    reason = "the low bits are what a hash, a code or a position in a window of 32 KiB takes"
)]

mod bits;
mod code;
mod search;

use bits::Bits;
use code::Code;
use search::{Found, Search, WINDOW};

/// What begins a stream: deflate with a window of 32 KiB, the lowest level (RFC 1950, 2.2).
const HEADER: [u8; 2] = [0x78, 0x01];
/// Literals, the end of a block, and lengths (RFC 1951, 3.2.5).
const SYMBOLS: usize = 286;
const END: usize = 256;
const DISTANCES: usize = 30;
/// The longest code of a literal, a length or a distance, and of the length of a code (RFC 1951, 3.2.7).
const LIMIT: u32 = 15;
const LIMIT_OF_LENGTHS: u32 = 7;
/// The order in which the lengths of the codes of lengths are told (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What is kept from page to page; its content does not matter.
pub(super) struct Deflate {
    search: Search,
    symbols: Code<SYMBOLS>,
    distances: Code<DISTANCES>,
    lengths: Code<19>,
    /// Symbols of the code of lengths with the value of their extra bits.
    told: [(u8, u8); SYMBOLS + DISTANCES],
}

impl Deflate {
    pub(super) const fn new() -> Self {
        Self {
            search: Search::new(),
            symbols: Code::new(),
            distances: Code::new(),
            lengths: Code::new(),
            told: [(0, 0); SYMBOLS + DISTANCES],
        }
    }

    /// Compresses `input` to the start of `output` and returns the length; `None` when there is no room.
    /// No block is longer than its bytes and five more.
    pub(super) fn compress(&mut self, input: &[u8], output: &mut [u8]) -> Option<usize> {
        let mut bits = Bits::new(output);
        bits.bytes(&HEADER)?;
        let last = input.len().saturating_sub(1) / WINDOW;
        let mut windows = input.chunks(WINDOW).enumerate();
        if input.is_empty() {
            self.block(&[], true, &mut bits)?;
        }
        windows.try_for_each(|(index, window)| self.block(window, index == last, &mut bits))?;
        bits.align()?;
        bits.bytes(&adler32(input).to_be_bytes())?;
        Some(bits.len())
    }

    /// Writes a block in the shortest of its three forms (RFC 1951, 3.2.3).
    fn block(&mut self, window: &[u8], last: bool, bits: &mut Bits<'_>) -> Option<()> {
        let found = self.search.run(window)?;
        self.count(window, found)?;
        self.symbols.build(LIMIT, 257)?;
        self.distances.build(LIMIT, 1)?;
        let told = self.tell()?;
        let extra = extra_bits(&self.symbols, &self.distances);
        let codes = self.symbols.cost().wrapping_add(self.distances.cost());
        let own = codes.wrapping_add(self.cost_of_lengths(told)).wrapping_add(extra);
        let fixed = fixed_cost(&self.symbols, &self.distances).wrapping_add(extra);
        let stored = (window.len() as u64).wrapping_mul(8).wrapping_add(32);
        if stored <= own.min(fixed) {
            return bits.stored(window, last);
        }
        // What is written is as long as was counted.
        bits.room(own.min(fixed).wrapping_add(3))?;
        bits.put(u64::from(last), 1);
        if fixed <= own {
            bits.put(1, 2);
            self.symbols.fix(fixed_symbol)?;
            self.distances.fix(|_| 5)?;
        } else {
            bits.put(2, 2);
            self.write_lengths(told, bits)?;
        }
        self.write(window, found, bits)
    }

    /// Counts what the block is made of.
    fn count(&mut self, window: &[u8], found: usize) -> Option<()> {
        self.symbols.clear();
        self.distances.clear();
        let mut rest = window;
        for copy in self.search.found(found)? {
            let (literals, behind) = rest.split_at_checked(copy.literals.into())?;
            self.symbols.count_bytes(literals);
            if copy.len > 0 {
                self.symbols.count(length(copy).symbol)?;
                self.distances.count(distance(copy).symbol)?;
            }
            rest = behind.get(copy.len.into()..)?;
        }
        self.symbols.count(END as u32)
    }

    /// Puts the lengths of both codes into `told`, with runs as one symbol (RFC 1951, 3.2.7), and
    /// returns how many there are.
    fn tell(&mut self) -> Option<usize> {
        self.lengths.clear();
        let mut count = 0;
        let mut lens = self.symbols.lens().iter().chain(self.distances.lens()).copied().peekable();
        while let Some(len) = lens.next() {
            let mut run = 1_u8;
            let most = if len == 0 { 138 } else { 7 };
            while run < most && lens.next_if_eq(&len).is_some() {
                run = run.wrapping_add(1);
            }
            let rest = match (len, run) {
                (0, 11..) => (18, run.wrapping_sub(11)),
                (0, 3..) => (17, run.wrapping_sub(3)),
                (0, 2) => {
                    put(&mut self.told, &mut count, (0, 0), &mut self.lengths)?;
                    (0, 0)
                }
                (_, 1) => (len, 0),
                (_, 4..) => {
                    put(&mut self.told, &mut count, (len, 0), &mut self.lengths)?;
                    (16, run.wrapping_sub(4))
                }
                _ => {
                    for _ in 1..run {
                        put(&mut self.told, &mut count, (len, 0), &mut self.lengths)?;
                    }
                    (len, 0)
                }
            };
            put(&mut self.told, &mut count, rest, &mut self.lengths)?;
        }
        self.lengths.build(LIMIT_OF_LENGTHS, 4)?;
        Some(count)
    }

    /// How many lengths of the code of lengths are told.
    fn told_lengths(&self) -> usize {
        let told = |symbol: &u8| self.lengths.len_of((*symbol).into()) > 0;
        ORDER.iter().rposition(told).map_or(4, |last| last.wrapping_add(1)).max(4)
    }

    fn cost_of_lengths(&self, told: usize) -> u64 {
        let told = self.told.get(..told).unwrap_or_default();
        let extra: u64 = told.iter().map(|(symbol, _)| u64::from(bits_of_run(*symbol))).sum();
        let counts = 14_u64.wrapping_add(3_u64.wrapping_mul(self.told_lengths() as u64));
        counts.wrapping_add(extra).wrapping_add(self.lengths.cost())
    }

    fn write_lengths(&self, told: usize, bits: &mut Bits<'_>) -> Option<()> {
        let lengths = self.told_lengths();
        bits.put((self.symbols.lens().len() as u64).wrapping_sub(257), 5);
        bits.put((self.distances.lens().len() as u64).wrapping_sub(1), 5);
        bits.put((lengths as u64).wrapping_sub(4), 4);
        bits.flush()?;
        for symbol in ORDER.iter().take(lengths) {
            bits.put(self.lengths.len_of((*symbol).into()).into(), 3);
            bits.flush()?;
        }
        for (symbol, value) in self.told.get(..told)? {
            bits.code(self.lengths.get((*symbol).into())?);
            bits.put((*value).into(), bits_of_run(*symbol));
            bits.flush()?;
        }
        Some(())
    }

    /// Writes literals and copies.
    fn write(&self, window: &[u8], found: usize, bits: &mut Bits<'_>) -> Option<()> {
        let mut rest = window;
        for copy in self.search.found(found)? {
            let (literals, behind) = rest.split_at_checked(copy.literals.into())?;
            // Three codes of 15 bits fit beside the seven that a flush may leave.
            for three in literals.chunks(3) {
                for literal in three {
                    bits.code(self.symbols.get((*literal).into())?);
                }
                bits.flush()?;
            }
            if copy.len > 0 {
                // 15 and 5 bits, 15 and 13.
                let (length, distance) = (length(copy), distance(copy));
                bits.code(self.symbols.get(length.symbol)?);
                bits.put(length.value.into(), length.bits);
                bits.code(self.distances.get(distance.symbol)?);
                bits.put(distance.value.into(), distance.bits);
                bits.flush()?;
            }
            rest = behind.get(copy.len.into()..)?;
        }
        bits.code(self.symbols.get(END as u32)?);
        bits.flush()
    }
}

fn put(told: &mut [(u8, u8)], count: &mut usize, what: (u8, u8), lengths: &mut Code<19>) -> Option<()> {
    *told.get_mut(*count)? = what;
    *count = count.wrapping_add(1);
    lengths.count(what.0.into())
}

/// The extra bits of a symbol of the code of lengths.
const fn bits_of_run(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// A length or a distance: symbol, and extra bits with their value.
#[derive(Clone, Copy)]
struct Extra {
    symbol: u32,
    value: u32,
    bits: u32,
}

/// 3 to 258 bytes: four symbols for each power of two, but a symbol of its own for the longest.
#[inline(always)]
fn length(copy: &Found) -> Extra {
    let value = u32::from(copy.len).wrapping_sub(3);
    match value {
        0..8 => Extra { symbol: value.wrapping_add(257), value: 0, bits: 0 },
        255.. => Extra { symbol: 285, value: 0, bits: 0 },
        _ => {
            let bits = value.ilog2().wrapping_sub(2);
            let symbol = bits.wrapping_mul(4).wrapping_add(257).wrapping_add(value >> bits);
            Extra { symbol, value: value & (1_u32 << bits).wrapping_sub(1), bits }
        }
    }
}

/// 1 to 32768 bytes back: two symbols for each power of two.
#[inline(always)]
fn distance(copy: &Found) -> Extra {
    let value = u32::from(copy.distance).wrapping_sub(1);
    if value < 4 {
        return Extra { symbol: value, value: 0, bits: 0 };
    }
    let bits = value.ilog2().wrapping_sub(1);
    let symbol = bits.wrapping_mul(2).wrapping_add(value >> bits);
    Extra { symbol, value: value & (1_u32 << bits).wrapping_sub(1), bits }
}

/// Bits behind the codes.
fn extra_bits(symbols: &Code<SYMBOLS>, distances: &Code<DISTANCES>) -> u64 {
    let of_length = |symbol: u32| match symbol {
        265..285 => symbol.wrapping_sub(261) / 4,
        _ => 0,
    };
    let of_distance = |symbol: u32| (symbol / 2).saturating_sub(1);
    symbols.sum(257, of_length).wrapping_add(distances.sum(0, of_distance))
}

fn fixed_cost(symbols: &Code<SYMBOLS>, distances: &Code<DISTANCES>) -> u64 {
    symbols.sum(0, |symbol| fixed_symbol(symbol).into()).wrapping_add(distances.sum(0, |_| 5))
}

/// The lengths of the fixed code (RFC 1951, 3.2.6).
const fn fixed_symbol(symbol: u32) -> u8 {
    match symbol {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    }
}

/// The checksum of RFC 1950, 2.2 and 9.
fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65521;
    // So many bytes of 255 do not overflow the second sum.
    const PIECE: usize = 5536;
    const STEP: usize = 32;
    let (mut a, mut b) = (1_u32, 0_u32);
    for piece in bytes.chunks(PIECE) {
        let mut steps = piece.chunks_exact(STEP);
        for step in steps.by_ref() {
            b = b.wrapping_add(a.wrapping_mul(STEP as u32));
            let weighed = |sum: u32, (index, byte): (usize, &u8)| {
                sum.wrapping_add(u32::from(*byte).wrapping_mul((STEP.wrapping_sub(index)) as u32))
            };
            b = step.iter().enumerate().fold(b, weighed);
            a = step.iter().fold(a, |sum, byte| sum.wrapping_add((*byte).into()));
        }
        for byte in steps.remainder() {
            a = a.wrapping_add((*byte).into());
            b = b.wrapping_add(a);
        }
        a %= BASE;
        b %= BASE;
    }
    b << 16 | a
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use alloc::vec::Vec;
    use alloc::{boxed::Box, vec};

    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// Each form of a block is taken where it is the shortest; the header of a block is behind two bytes.
    #[test]
    fn the_shortest_form_is_taken() {
        let mut deflate = Box::new(Deflate::new());
        let text: Vec<u8> = (0_u16..4000).flat_map(|at| [b'a' + (at % 7 * at % 5) as u8, b'.']).collect();
        for (page, form) in [(&noise(4096)[..], 0), (b"short", 1), (&[0; 40], 1), (&[0; 4096], 2), (&text, 2)]
        {
            let mut output = vec![0; page.len() + 100];
            let len = deflate.compress(page, &mut output).unwrap();
            assert_eq!(output[2] & 7, form << 1 | 1);
            assert!(form != 0 || len == page.len() + 5 + 6, "{len}");
            // As much room as is taken is enough, and less is not.
            assert_eq!(deflate.compress(page, &mut output[..len]), Some(len));
            assert_eq!(deflate.compress(page, &mut output[..len - 1]), None);
        }
    }

    /// Lengths and distances at the edges of their symbols (the tables of RFC 1951, 3.2.5).
    #[test]
    fn symbols_of_the_rfc() {
        let lengths = [(3, 257, 0, 0), (10, 264, 0, 0), (11, 265, 0, 1), (18, 268, 1, 1), (130, 280, 15, 4)];
        for (len, symbol, value, bits) in lengths.into_iter().chain([(257, 284, 30, 5), (258, 285, 0, 0)]) {
            let extra = length(&Found { literals: 0, len, distance: 1 });
            assert_eq!((extra.symbol, extra.value, extra.bits), (symbol, value, bits), "{len}");
        }
        let distances = [(1, 0, 0, 0), (4, 3, 0, 0), (5, 4, 0, 1), (24, 8, 7, 3), (1025, 20, 0, 9)];
        for (back, symbol, value, bits) in distances.into_iter().chain([(32767, 29, 8190, 13)]) {
            let extra = distance(&Found { literals: 0, len: 3, distance: back });
            assert_eq!((extra.symbol, extra.value, extra.bits), (symbol, value, bits), "{back}");
        }
    }

    #[test]
    fn checksums() {
        // By python3's zlib.adler32.
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
        assert_eq!(adler32(&[255; 20_000]), 0x9f51d664);
    }
}
