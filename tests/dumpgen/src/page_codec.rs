//! Compressed pages, made without a compressor: a page that repeats its first bytes is those
//! bytes and one long match, which is a dozen bytes in any of the formats.

/// How the bytes of a page are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageCodec {
    /// As they are.
    Raw,
    /// A zlib stream (RFC 1950) with one block of fixed Huffman codes (RFC 1951).
    Zlib,
    /// LZO1X (Documentation/staging/lzo.rst).
    Lzo,
    /// A raw snappy block (google/snappy, format_description.txt).
    Snappy,
    /// A zstd frame (RFC 8878) that states its content size.
    Zstd,
}

impl PageCodec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Zlib, Self::Lzo, Self::Snappy, Self::Zstd];

    /// The bit in a page's descriptor and in the header's status.
    #[must_use]
    pub fn flag(self) -> u32 {
        match self {
            Self::Raw => 0,
            Self::Zlib => 1,
            Self::Lzo => 2,
            Self::Snappy => 4,
            Self::Zstd => 0x20,
        }
    }

    /// A page in this format. Its bytes must repeat with a period of 4 to 60.
    #[must_use]
    pub fn encode(self, page: &[u8]) -> Vec<u8> {
        if self == Self::Raw {
            return page.to_vec();
        }
        let period = (4..=60).find(|&period| page.iter().zip(&page[period..]).all(|(a, b)| a == b));
        let period = period.unwrap_or_else(|| panic!("a page without a period cannot be compressed here"));
        match self {
            Self::Raw | Self::Zlib => zlib(page, period),
            Self::Lzo => lzo(page, period),
            Self::Snappy => snappy(page, period),
            Self::Zstd => zstd(page, period),
        }
    }
}

/// Bits, the first one lowest.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn push(&mut self, value: u32, count: usize) {
        for bit in 0..count {
            if self.used % 8 == 0 {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
    }

    /// A Huffman code, its highest bit first.
    fn code(&mut self, value: u32, count: usize) {
        (0..count).rev().for_each(|bit| self.push(value >> bit & 1, 1));
    }
}

fn zlib(page: &[u8], period: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.push(1, 1);
    bits.push(1, 2);
    let literal = |bits: &mut Bits, byte: u8| match byte {
        0..=143 => bits.code(0x30 + u32::from(byte), 8),
        _ => bits.code(0x190 + u32::from(byte) - 144, 9),
    };
    page[..period].iter().for_each(|&byte| literal(&mut bits, byte));
    let mut at = period;
    while at < page.len() {
        // Length 258 is symbol 285, without extra bits; what does not fill one is literals.
        if page.len() - at < 258 {
            literal(&mut bits, page[at]);
            at += 1;
            continue;
        }
        bits.code(0xc0 + 285 - 280, 8);
        let distances = [(4_usize, 1), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4), (49, 4)];
        let (symbol, (base, extra)) = (3..)
            .zip([(4, 0)].into_iter().chain(distances[1..].iter().copied()))
            .take_while(|(_, (base, _))| *base <= period)
            .last()
            .unwrap();
        bits.code(symbol, 5);
        bits.push((period - base) as u32, extra);
        at += 258;
    }
    bits.code(0, 7);
    let mut out = vec![0x78, 0x01];
    out.extend(bits.bytes);
    let (mut a, mut b) = (1_u32, 0_u32);
    for &byte in page {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}

fn lzo(page: &[u8], period: usize) -> Vec<u8> {
    let mut out = vec![17 + period as u8];
    out.extend(&page[..period]);
    // A match of up to 16 KiB back: 001L LLLL, more length, distance less one over two bits.
    out.push(0x20);
    let mut rest = page.len() - period - 33;
    while rest > 255 {
        out.push(0);
        rest -= 255;
    }
    out.push(rest as u8);
    out.extend((((period - 1) << 2) as u16).to_le_bytes());
    out.extend([0x11, 0, 0]);
    out
}

fn snappy(page: &[u8], period: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut len = page.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.push(((period - 1) << 2) as u8);
    out.extend(&page[..period]);
    let mut rest = page.len() - period;
    while rest > 0 {
        let piece = rest.min(64);
        out.push(((piece - 1) << 2 | 2) as u8);
        out.extend((period as u16).to_le_bytes());
        rest -= piece;
    }
    out
}

fn zstd(page: &[u8], period: usize) -> Vec<u8> {
    // Frame: magic; single segment with 4 bytes of content size.
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
    out.extend((page.len() as u32).to_le_bytes());
    // Literals: raw, length in 5 bits or 12.
    let mut block = match period {
        0..32 => vec![(period << 3) as u8],
        _ => ((period << 4 | 0b0100) as u16).to_le_bytes().to_vec(),
    };
    block.extend(&page[..period]);
    // One sequence; every code table has one symbol (RLE), so only extra bits remain.
    let literals: (u8, u32, usize) = match period {
        0..16 => (period as u8, 0, 0),
        16..24 => (16 + (period as u8 - 16) / 2, period as u32 % 2, 1),
        24..32 => (20 + (period as u8 - 24) / 4, period as u32 % 4, 2),
        32..48 => (22 + (period as u8 - 32) / 8, period as u32 % 8, 3),
        _ => (24, period as u32 - 48, 4),
    };
    let offset = period as u32 + 3;
    let offset_code = offset.ilog2();
    let len = (page.len() - period) as u32;
    // Code 43 has the baseline 131 and 7 bits, each further code the next power of two and 3.
    let len_bits = (len - 3).ilog2();
    block.extend([1, 0b0101_0100, literals.0, offset_code as u8, 36 + len_bits as u8]);
    // Read backwards: offset, length of the match, length of the literals; a one ends it.
    let mut bits = Bits::default();
    bits.push(literals.1, literals.2);
    bits.push(len - 3 - (1 << len_bits), len_bits as usize);
    bits.push(offset - (1 << offset_code), offset_code as usize);
    bits.push(1, 1);
    block.extend(bits.bytes);
    let header = (block.len() as u32) << 3 | 2 << 1 | 1;
    out.extend(&header.to_le_bytes()[..3]);
    out.extend(block);
    out
}
