//! Prefix codes of limited length (RFC 1951, 3.2.2).

/// Longest code there is, and one more.
const LENGTHS: usize = 16;
/// A code without a limit is no longer than this: the counts of a block have a sum below 2^16, and a
/// code of so many bits takes a Fibonacci number of that order.
const DEEPEST: usize = 32;
/// Counts below this are sorted by counting.
const COMMON: u32 = 128;

/// How often each of `N` symbols is there, and its code.
pub(super) struct Code<const N: usize> {
    counts: [u16; N],
    /// Zero has a symbol that is not there.
    lens: [u8; N],
    /// As they are written: the first bit is the lowest.
    codes: [(u16, u8); N],
    /// Symbols that are told, which are those up to the last one that is there.
    told: usize,
}

impl<const N: usize> Code<N> {
    pub(super) const fn new() -> Self {
        Self { counts: [0; N], lens: [0; N], codes: [(0, 0); N], told: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// Counts a symbol.
    #[inline(always)]
    pub(super) fn count(&mut self, symbol: u32) -> Option<()> {
        let count = self.counts.get_mut(symbol as usize)?;
        *count = count.wrapping_add(1);
        Some(())
    }

    /// Counts symbols that are bytes.
    #[inline(always)]
    pub(super) fn count_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(count) = self.counts.get_mut(usize::from(*byte)) {
                *count = count.wrapping_add(1);
            }
        }
    }

    /// The lengths of all codes that are told.
    pub(super) fn lens(&self) -> &[u8] {
        self.lens.get(..self.told).unwrap_or_default()
    }

    pub(super) fn len_of(&self, symbol: usize) -> u8 {
        self.lens.get(symbol).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub(super) fn get(&self, symbol: u32) -> Option<(u16, u8)> {
        self.codes.get(symbol as usize).copied()
    }

    /// Bits that all symbols take.
    pub(super) fn cost(&self) -> u64 {
        let bits = self.counts.iter().zip(&self.lens);
        bits.map(|(count, len)| u32::from(*count).wrapping_mul((*len).into())).map(u64::from).sum()
    }

    /// Bits that the symbols from `first` on take, if each has `bits`.
    pub(super) fn sum(&self, first: usize, bits: impl Fn(u32) -> u32) -> u64 {
        let counts = self.counts.iter().enumerate().skip(first);
        counts.map(|(symbol, count)| u64::from(u32::from(*count).wrapping_mul(bits(symbol as u32)))).sum()
    }

    /// Makes the shortest code of at most `limit` bits. `least` symbols are told, also when they are
    /// not there.
    pub(super) fn build(&mut self, limit: u32, least: usize) -> Option<()> {
        self.lens.fill(0);
        let mut sorted = [(0_u16, 0_u16); N];
        let mut count = self.sort(&mut sorted)?;
        // A code of one symbol is not complete, and not every reader takes that.
        let mut unused = (0..N as u16).filter(|symbol| self.counts.get(usize::from(*symbol)) == Some(&0));
        while count < 2 {
            *sorted.get_mut(count)? = (0, unused.next()?);
            count = count.wrapping_add(1);
        }
        let lengths = lengths::<N>(sorted.get(..count)?, limit)?;
        // The rarest have the longest codes.
        let mut symbols = sorted.iter();
        for (len, number) in lengths.iter().enumerate().rev() {
            for (_, symbol) in symbols.by_ref().take((*number).into()) {
                *self.lens.get_mut(usize::from(*symbol))? = len as u8;
            }
        }
        self.told =
            self.lens.iter().rposition(|len| *len > 0).map_or(0, |last| last.wrapping_add(1)).max(least);
        self.assign(&lengths)
    }

    /// The fixed code with those lengths. What is not there has no part in it: the lengths tell where the
    /// codes of each begin only together with symbols that no block has, which follow all others.
    pub(super) fn fix(&mut self, len: impl Fn(u32) -> u8) -> Option<()> {
        let mut lengths = [0_u16; LENGTHS];
        for (symbol, place) in self.lens.iter_mut().enumerate() {
            *place = len(symbol as u32);
            let number = lengths.get_mut(usize::from(*place))?;
            *number = number.wrapping_add(1);
        }
        if N > 256 {
            // Symbols 286 and 287.
            let number = lengths.get_mut(8)?;
            *number = number.wrapping_add(2);
        }
        self.assign(&lengths)
    }

    /// Puts all symbols that are there into `sorted`, the rarest first and the lower of two equals, and returns
    /// how many they are.
    fn sort(&self, sorted: &mut [(u16, u16); N]) -> Option<usize> {
        let mut starts = [0_u16; COMMON as usize + 1];
        let slot = |count: u16| u32::from(count).min(COMMON) as usize;
        for count in self.counts {
            let start = starts.get_mut(slot(count))?;
            *start = start.wrapping_add(1);
        }
        let mut sum = 0_u16;
        for start in starts.iter_mut().skip(1) {
            let here = *start;
            *start = sum;
            sum = sum.wrapping_add(here);
        }
        for (symbol, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let place = starts.get_mut(slot(*count))?;
            *sorted.get_mut(usize::from(*place))? = (*count, symbol as u16);
            *place = place.wrapping_add(1);
        }
        let sum = usize::from(sum);
        let frequent = starts.get(const { COMMON as usize - 1 }).copied().unwrap_or(0);
        sorted.get_mut(usize::from(frequent)..sum)?.sort_unstable();
        Some(sum)
    }

    /// Gives codes by lengths, `lengths` of each (RFC 1951, 3.2.2).
    fn assign(&mut self, lengths: &[u16; LENGTHS]) -> Option<()> {
        let (mut next, mut code) = ([0_u16; LENGTHS], 0_u16);
        for (place, before) in next.iter_mut().zip([0].iter().chain(lengths)).skip(2) {
            code = code.wrapping_add(*before) << 1;
            *place = code;
        }
        for (len, place) in self.lens.iter().zip(&mut self.codes) {
            let next = next.get_mut(usize::from(*len))?;
            *place =
                (next.reverse_bits().checked_shr(u32::from(16_u8.wrapping_sub(*len))).unwrap_or(0), *len);
            *next = next.wrapping_add(1);
        }
        Some(())
    }
}

/// How many symbols get a code of each length, of two or more with ascending counts.
fn lengths<const N: usize>(sorted: &[(u16, u16)], limit: u32) -> Option<[u16; LENGTHS]> {
    // Two queues make the tree: the symbols, and the nodes in the order of their making, which is
    // that of their sums (J. van Leeuwen, "On the construction of Huffman trees", 1976).
    let nodes = sorted.len().checked_sub(1)?;
    let (mut sums, mut parents) = ([0_u32; N], [0_u16; N]);
    let (mut leaf, mut node) = (0_usize, 0_usize);
    for made in 0..nodes {
        let mut sum = 0_u32;
        for _ in 0..2 {
            let left = sorted.get(leaf).map(|(count, _)| u32::from(*count));
            let inner = sums.get(node).copied().filter(|_| node < made);
            sum = sum.wrapping_add(match (left, inner) {
                (Some(left), inner) if inner.is_none_or(|inner| left <= inner) => {
                    leaf = leaf.wrapping_add(1);
                    left
                }
                (_, inner) => {
                    *parents.get_mut(node)? = made as u16;
                    node = node.wrapping_add(1);
                    inner?
                }
            });
        }
        *sums.get_mut(made)? = sum;
    }
    let inner = depths::<N>(&parents, nodes)?;
    // What is below a node and no node is a symbol.
    let mut lengths = [0_u16; LENGTHS];
    let mut above = 0_u16;
    for (depth, nodes) in inner.iter().enumerate() {
        let leaves = above.wrapping_mul(2).wrapping_sub(if depth == 0 { 0 } else { *nodes });
        above = *nodes;
        let len = depth.min(limit as usize);
        let number = lengths.get_mut(len)?;
        *number = number.wrapping_add(leaves);
    }
    shorten(&mut lengths, limit)?;
    Some(lengths)
}

/// How many nodes are at each depth; the last one is the root.
fn depths<const N: usize>(parents: &[u16; N], nodes: usize) -> Option<[u16; DEEPEST]> {
    let (mut depths, mut inner) = ([0_u8; N], [0_u16; DEEPEST]);
    let root = nodes.checked_sub(1)?;
    *inner.first_mut()? = 1;
    for node in (0..root).rev() {
        let parent = usize::from(*parents.get(node)?);
        let depth = depths.get(parent)?.wrapping_add(1);
        *depths.get_mut(node)? = depth;
        let number = inner.get_mut(usize::from(depth))?;
        *number = number.wrapping_add(1);
    }
    Some(inner)
}

/// Makes room for codes that were cut to `limit` bits: as long as there are more of them than can be, a
/// shorter code becomes two longer ones.
fn shorten(lengths: &mut [u16; LENGTHS], limit: u32) -> Option<()> {
    let part = |len: usize, number: u16| u64::from(number) << (limit as usize).saturating_sub(len);
    let mut taken: u64 = lengths.iter().enumerate().skip(1).map(|(len, number)| part(len, *number)).sum();
    while taken > 1 << limit {
        let len = lengths.get(..limit as usize)?.iter().rposition(|number| *number > 0)?;
        for (at, change) in [(len, u16::MAX), (len.wrapping_add(1), 2), (limit as usize, u16::MAX)] {
            let number = lengths.get_mut(at)?;
            *number = number.wrapping_add(change);
        }
        taken = taken.wrapping_sub(1);
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Fibonacci numbers ask for the longest codes there are.
    #[test]
    fn no_code_is_longer_than_its_limit_and_all_are_complete() {
        for (symbols, limit) in [(20, 15), (22, 15), (19, 7), (2, 15), (3, 7), (1, 7), (0, 15)] {
            let mut code = Code::<286>::new();
            let (mut a, mut b) = (1_u16, 1_u16);
            for symbol in 0..symbols {
                code.counts[symbol * 7] = a;
                (a, b) = (b, a + b);
            }
            code.build(limit, 257).unwrap();
            let used = code.lens.iter().filter(|len| **len > 0);
            assert_eq!(used.clone().count(), symbols.max(2));
            let kraft: u32 = used.map(|len| 1 << (limit - u32::from(*len))).sum();
            assert_eq!(kraft, 1 << limit, "{symbols} {limit}");
            // What is more frequent has no longer code.
            let lens: Vec<u8> = (0..symbols).map(|symbol| code.lens[symbol * 7]).collect();
            assert!(lens.is_sorted_by(|rarer, other| rarer >= other), "{lens:?}");
        }
    }

    #[test]
    fn codes_of_the_rfc() {
        // RFC 1951, 3.2.2: lengths 3, 3, 3, 3, 3, 2, 4, 4.
        let mut code = Code::<8>::new();
        code.lens = [3, 3, 3, 3, 3, 2, 4, 4];
        code.assign(&[0, 0, 1, 5, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        let reversed = [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111];
        assert_eq!(code.codes.map(|(code, _)| code), reversed);
    }
}
