//! A bitmap of pages, kept as the file has it, with the number of bits before each part.
//!
//! Page N is bit N % 8, the lowest first, of byte N / 8.

use alloc::vec::Vec;

use super::header::told;
use crate::error::Error;
use crate::room::zeroed;
use crate::source::ReadAt;

/// Bits of a part: 16 MiB of memory in pages of 4 KiB.
const PART: u64 = 4096;
const PART_WORDS: usize = 64;
const EMPTY: [u8; PART_WORDS * 8] = [0; PART_WORDS * 8];
const FULL: [u8; PART_WORDS * 8] = [0xff; PART_WORDS * 8];
/// Words after which the bits before are noted again.
const STEP: usize = 8;
const STEPS: usize = PART_WORDS / STEP;
/// Bytes read at once.
const CHUNK: u64 = 1 << 18;

/// The words of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// All zero.
    None,
    /// All one.
    All,
    /// At this index of [`Bitmap::words`].
    At(u32),
}

#[derive(Clone, Copy, Debug)]
struct Part {
    /// Bits set in the parts before.
    before: u64,
    words: Words,
}

/// A bitmap with rank: how many bits are set before any place.
#[derive(Clone, Debug, Default)]
pub(super) struct Bitmap {
    parts: Vec<Part>,
    /// Words of the parts that are neither empty nor full, one part after the other.
    words: Vec<u64>,
    /// For each of these parts, how many of its bits are set before each eighth of it.
    before: Vec<[u16; STEPS]>,
    /// Bits that the file has.
    len: u64,
    ones: u64,
}

impl Bitmap {
    /// Reads `bits` bits at `offset`, or those the source has. The reason why there are not all
    /// is given back.
    pub(super) fn read(source: &dyn ReadAt, offset: u64, bits: u64) -> Result<(Self, Option<Error>), Error> {
        let mut bitmap = Self::default();
        let bytes = bits.div_ceil(8);
        // The number of bits is the file's word: room is taken for what is there to be read.
        let have = source.size()?.saturating_sub(offset).min(bytes);
        let mut chunk = zeroed("a part of the bitmap", CHUNK.min(have))?;
        let parts = have.div_ceil(PART / 8);
        let need = parts.saturating_mul(size_of::<Part>() as u64);
        let failed = Error::OutOfMemory { what: "the bitmap of pages", need };
        let room = usize::try_from(parts).map_err(|_| failed)?;
        bitmap.parts.try_reserve_exact(room).map_err(|_| failed)?;
        let mut at = 0;
        let mut reason =
            (have < bytes).then_some(Error::Truncated { what: "bitmap", offset, need: bytes, have });
        while at < have {
            let count = CHUNK.min(have.saturating_sub(at));
            let place = chunk.get_mut(..usize::try_from(count).unwrap_or(0)).unwrap_or_default();
            let left = bits.saturating_sub(at.saturating_mul(8));
            let from = offset.saturating_add(at);
            if let Err(stopped) = source.read_full_at(from, place) {
                // Pages whose bits are in front of what cannot be read are as good as any.
                bitmap.push(place.get(..stopped.read).unwrap_or_default(), left)?;
                reason = Some(told("bitmap", from, count, stopped));
                break;
            }
            bitmap.push(place, left)?;
            at = at.saturating_add(count);
        }
        Ok((bitmap, reason))
    }

    /// Appends the bits of `bytes`, `left` of them at most. All calls but the last one have
    /// whole parts.
    fn push(&mut self, bytes: &[u8], left: u64) -> Result<(), Error> {
        let mut left = left;
        for bytes in bytes.chunks(PART_WORDS.saturating_mul(8)) {
            let bits = (bytes.len() as u64).saturating_mul(8).min(left);
            left = left.saturating_sub(bits);
            // Most parts of a large machine's bitmap are all of one kind.
            let uniform = match bits {
                PART if bytes == EMPTY => Some(Words::None),
                PART if bytes == FULL => Some(Words::All),
                _ => None,
            };
            if let Some(words) = uniform {
                self.append(words, bits)?;
                continue;
            }
            let mut words = [0_u64; PART_WORDS];
            for (word, bytes) in words.iter_mut().zip(bytes.chunks(8)) {
                *word = match bytes.first_chunk() {
                    Some(bytes) => u64::from_le_bytes(*bytes),
                    None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
                };
            }
            mask(&mut words, bits);
            let index = u32::try_from(self.words.len() / PART_WORDS).unwrap_or(u32::MAX);
            self.words.try_reserve(PART_WORDS).map_err(no_memory)?;
            self.words.extend_from_slice(&words);
            self.before.try_reserve(1).map_err(no_memory)?;
            self.before.push(sums(&words));
            self.append(Words::At(index), bits)?;
        }
        Ok(())
    }

    /// Appends a part of `bits` bits.
    fn append(&mut self, words: Words, bits: u64) -> Result<(), Error> {
        let ones = match words {
            Words::None => 0,
            Words::All => bits,
            Words::At(at) => {
                let start = (at as usize).saturating_mul(PART_WORDS);
                let words = self.words.get(start..).unwrap_or_default();
                words.iter().map(|word| u64::from(word.count_ones())).fold(0, u64::wrapping_add)
            }
        };
        self.parts.try_reserve(1).map_err(no_memory)?;
        self.parts.push(Part { before: self.ones, words });
        self.ones = self.ones.saturating_add(ones);
        self.len = self.len.saturating_add(bits);
        Ok(())
    }

    /// Bits that the file has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bits that are set.
    pub(super) fn ones(&self) -> u64 {
        self.ones
    }

    /// The first bit that is set here and not in `other`, of those that both have.
    pub(super) fn beyond(&self, other: &Self) -> Option<u64> {
        let len = self.len.min(other.len);
        for (index, (part, others)) in (0_u64..).zip(self.parts.iter().zip(&other.parts)) {
            // Most parts are alike, or empty here: their words are not looked at.
            if part.words == Words::None || others.words == Words::All {
                continue;
            }
            for word in 0..PART_WORDS as u64 {
                let more = self.word(part, word) & !other.word(others, word);
                if more != 0 {
                    let place = word.saturating_mul(64).saturating_add(more.trailing_zeros().into());
                    let bit = index.saturating_mul(PART).saturating_add(place);
                    return (bit < len).then_some(bit);
                }
            }
        }
        None
    }

    fn part(&self, index: u64) -> Option<&Part> {
        self.parts.get(usize::try_from(index).ok()?)
    }

    fn word(&self, part: &Part, index: u64) -> u64 {
        match part.words {
            Words::None => 0,
            Words::All => u64::MAX,
            Words::At(at) => {
                let start = (at as usize).saturating_mul(PART_WORDS);
                let index = start.saturating_add(usize::try_from(index).unwrap_or(usize::MAX));
                self.words.get(index).copied().unwrap_or(0)
            }
        }
    }

    /// Whether a bit is set; bits behind the end are not.
    pub(super) fn get(&self, bit: u64) -> bool {
        let Some(part) = self.part(bit / PART) else { return false };
        self.word(part, bit % PART / 64) >> (bit % 64) & 1 != 0
    }

    /// Bits set before `bit`.
    pub(super) fn rank(&self, bit: u64) -> u64 {
        let Some(part) = self.part(bit / PART) else { return self.ones };
        let within = bit % PART;
        let inside = match part.words {
            Words::None => 0,
            Words::All => within,
            Words::At(at) => {
                let start = (at as usize).saturating_mul(PART_WORDS);
                let words = self.words.get(start..).unwrap_or_default();
                let whole = usize::try_from(within / 64).unwrap_or(0);
                let step = whole / STEP;
                let noted = self.before.get(at as usize).and_then(|noted| noted.get(step));
                let (before, from) = words.split_at_checked(whole).unwrap_or_default();
                let near = before.get(step.saturating_mul(STEP)..).unwrap_or_default();
                let rest = from.first().map_or(0, |word| word & low_bits(within % 64));
                let near = near.iter().chain([&rest]).map(|word| u64::from(word.count_ones()));
                noted.map_or(0, |noted| u64::from(*noted)).saturating_add(near.fold(0, u64::wrapping_add))
            }
        };
        part.before.saturating_add(inside)
    }

    /// The word that `bit` is in, turned over where needed for `bit` to be set.
    fn alike(&self, bit: u64) -> u64 {
        let word = self.part(bit / PART).map_or(0, |part| self.word(part, bit % PART / 64));
        if word >> (bit % 64) & 1 != 0 { word } else { !word }
    }

    /// The ends of the run that `bit` is in, as far as they are in the same word: most runs of a
    /// fragmented memory end there. The first bit of it, and the first one behind.
    pub(super) fn near(&self, bit: u64) -> (Option<u64>, Option<u64>) {
        let (alike, place) = (self.alike(bit), bit % 64);
        let back = u64::from((alike << 63_u64.saturating_sub(place)).leading_ones());
        let on = u64::from((alike >> place).trailing_ones());
        let start = (back <= place).then(|| bit.saturating_add(1).saturating_sub(back));
        // What the file does not have ends every run.
        let last = bit.saturating_sub(place).saturating_add(64) > self.len;
        let end =
            (last || place.saturating_add(on) < 64).then(|| bit.saturating_add(on).min(self.len.max(bit)));
        (start, end)
    }

    /// First bit behind `bit` and up to `limit` that is not as `bit` is; `limit`, or the end, when
    /// there is none.
    pub(super) fn run_end(&self, bit: u64, limit: u64) -> u64 {
        let limit = limit.min(self.len);
        if let (_, Some(end)) = self.near(bit) {
            return end.min(limit.max(bit));
        }
        // All of the word from `bit` on is alike.
        if limit <= (bit | 63) {
            return limit.max(bit);
        }
        let (set, start) = (self.get(bit), self.rank(bit));
        // Between equal bits the rank grows by the distance, or not at all.
        let same = |end: u64| {
            let grown = self.rank(end).saturating_sub(start);
            grown == if set { end.saturating_sub(bit) } else { 0 }
        };
        partition(bit, limit, same)
    }

    /// First bit, from `limit` on, of the run that `bit` is in.
    pub(super) fn run_start(&self, bit: u64, limit: u64) -> u64 {
        if let (Some(start), _) = self.near(bit) {
            return start.max(limit.min(bit));
        }
        if limit >= bit & !63 {
            return limit.min(bit);
        }
        let (set, end) = (self.get(bit), self.rank(bit));
        let same = |back: u64| {
            let start = bit.saturating_sub(back);
            let grown = end.saturating_sub(self.rank(start));
            grown == if set { back } else { 0 }
        };
        bit.saturating_sub(partition(0, bit.saturating_sub(limit), same))
    }
}

/// Bits set before each eighth of a part.
fn sums(words: &[u64; PART_WORDS]) -> [u16; STEPS] {
    let mut sums = [0; STEPS];
    let mut sum = 0_u16;
    for (place, step) in sums.iter_mut().zip(words.chunks(STEP)) {
        *place = sum;
        let ones = step.iter().map(|word| word.count_ones()).fold(0, u32::wrapping_add);
        // A part has 4096 bits.
        sum = sum.saturating_add(u16::try_from(ones).unwrap_or(u16::MAX));
    }
    sums
}

fn no_memory<E>(_: E) -> Error {
    Error::OutOfMemory { what: "the bitmap of pages", need: CHUNK }
}

/// The largest number from `low` to `high` for which `holds`, which holds up to some number
/// and not behind it, and for `low`. Cheap when that number is near.
fn partition(low: u64, high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut step) = (low, 1_u64);
    let mut beyond = high.saturating_add(1);
    while low.saturating_add(step) < beyond {
        let next = low.saturating_add(step);
        if !holds(next) {
            beyond = next;
            break;
        }
        low = next;
        step = step.saturating_mul(2);
    }
    while beyond.saturating_sub(low) > 1 {
        let middle = low.midpoint(beyond);
        if holds(middle) {
            low = middle;
        } else {
            beyond = middle;
        }
    }
    low
}

/// Ones in the lowest `count` bits, fewer than 64.
fn low_bits(count: u64) -> u64 {
    1_u64.checked_shl(u32::try_from(count).unwrap_or(64)).unwrap_or(0).wrapping_sub(1)
}

/// Clears all bits from `bits` on.
fn mask(words: &mut [u64], bits: u64) {
    let mut left = bits;
    for word in words {
        if left < 64 {
            *word &= low_bits(left);
        }
        left = left.saturating_sub(64);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn bitmap(bytes: &[u8], bits: u64) -> Bitmap {
        let (bitmap, reason) = Bitmap::read(&bytes, 0, bits).unwrap();
        assert_eq!(reason.is_some(), (bytes.len() as u64) < bits.div_ceil(8));
        bitmap
    }

    /// The same questions, answered bit by bit.
    fn check(bytes: &[u8], bits: u64, probes: impl Iterator<Item = u64>) {
        let made = bitmap(bytes, bits);
        let len = bits.min(bytes.len() as u64 * 8);
        let get = |bit: u64| bit < len && bytes[(bit / 8) as usize] >> (bit % 8) & 1 == 1;
        let mut rank = vec![0];
        (0..len).for_each(|bit| rank.push(rank[bit as usize] + u64::from(get(bit))));
        assert_eq!((made.len(), made.ones()), (len, rank[len as usize]));
        for bit in probes {
            assert_eq!(made.get(bit), get(bit), "{bit}");
            assert_eq!(made.rank(bit), rank[bit.min(len) as usize], "{bit}");
            if bit < len {
                let end = (bit..len).find(|other| get(*other) != get(bit)).unwrap_or(len);
                assert_eq!(made.run_end(bit, u64::MAX), end, "{bit}");
                let start =
                    (0..=bit).rev().find(|other| get(*other) != get(bit)).map_or(0, |other| other + 1);
                assert_eq!(made.run_start(bit, 0), start, "{bit}");
                for near in [0, 1, 2, 63, 64, 65, 200] {
                    let limit = bit + near;
                    assert_eq!(made.run_end(bit, limit), end.min(limit), "{bit} {limit}");
                    let limit = bit.saturating_sub(near);
                    assert_eq!(made.run_start(bit, limit), start.max(limit), "{bit} {limit}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn rank_and_runs_are_those_of_the_bits(
            runs in proptest::collection::vec((0_usize..900, proptest::prelude::any::<bool>(), proptest::prelude::any::<u8>()), 0..6),
            cut in 0_u64..20,
            probes in proptest::collection::vec(0_u64..40_000, 20),
        ) {
            let mut bytes = vec![];
            for (len, full, odd) in runs {
                bytes.resize(bytes.len() + len, if full { 0xff } else { 0 });
                bytes.push(odd);
            }
            let bits = (bytes.len() as u64 * 8).saturating_sub(cut);
            check(&bytes, bits, probes.into_iter());
        }
    }

    #[test]
    fn ends_inside_parts_words_and_bytes() {
        for bits in [0, 1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 8192, 8195] {
            check(&[0xff; 1100], bits, 0..bits + 70);
            check(&[0; 1100], bits, (0..bits + 70).step_by(13));
            // The file ends before the bitmap does.
            check(&[0xff; 3], bits, 0..70);
        }
    }

    #[test]
    fn the_first_bit_that_another_lacks() {
        let of = |bytes: &[u8]| bitmap(bytes, bytes.len() as u64 * 8);
        let (full, none) = (of(&[0xff; 1100]), of(&[0; 1100]));
        assert_eq!((none.beyond(&full), full.beyond(&full), none.beyond(&none)), (None, None, None));
        assert_eq!((full.beyond(&none), full.beyond(&of(&[]))), (Some(0), None));
        for bit in [0, 7, 63, 64, 4095, 4096, 8191, 8192, 8799] {
            let mut bytes = [0; 1100];
            bytes[bit / 8] |= 1 << (bit % 8);
            let one = of(&bytes);
            assert_eq!(
                (one.beyond(&none), one.beyond(&full), none.beyond(&one)),
                (Some(bit as u64), None, None)
            );
            let rest = of(&bytes.map(|byte| !byte));
            assert_eq!((full.beyond(&rest), one.beyond(&rest)), (Some(bit as u64), Some(bit as u64)));
            // What the other does not have is not known.
            assert_eq!(one.beyond(&of(&bytes[..bit / 8])), None);
        }
    }

    #[test]
    fn what_is_full_or_empty_takes_no_words() {
        let made = bitmap(&[[0xff; 512].as_slice(), &[0; 5120], &[0xff; 512]].concat(), 49152);
        assert_eq!((made.words.len(), made.parts.len()), (0, 12));
    }
}
