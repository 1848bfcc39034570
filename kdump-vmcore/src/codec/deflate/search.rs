//! What a window has twice.

/// Input that is searched as one: no copy can reach farther back (RFC 1951, 2).
pub(super) const WINDOW: usize = 1 << 15;
/// The longest copy.
const LONGEST: u32 = 258;
/// Places the table has room for, as a power of two.
const TABLE_BITS: u32 = 13;
/// Windows up to this length, a page of most architectures, use only part of the table.
const SMALL: usize = 4096;
const SMALL_BITS: u32 = 12;
/// After so many places without a copy, as a power of two, one place more is left out each time.
const STRIDE_BITS: u32 = 8;
/// A copy of so many bytes is taken at once.
const ENOUGH: u32 = 32;

/// Literals, and the copy behind them, of no bytes at the end.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) literals: u16,
    pub(super) len: u16,
    pub(super) distance: u16,
}

/// The two places where four bytes were seen last, and what was found.
pub(super) struct Search {
    /// The last place in the upper half, the one before it in the lower.
    table: [u32; 1 << TABLE_BITS],
    found: [Found; WINDOW / 4 + 1],
}

impl Search {
    pub(super) const fn new() -> Self {
        let none = Found { literals: 0, len: 0, distance: 0 };
        Self { table: [0; 1 << TABLE_BITS], found: [none; WINDOW / 4 + 1] }
    }

    /// What the last run found.
    pub(super) fn found(&self, count: usize) -> Option<&[Found]> {
        self.found.get(..count)
    }

    /// Searches `window` and returns how many there are in [`Search::found`].
    pub(super) fn run(&mut self, window: &[u8]) -> Option<usize> {
        // A short input leaves most of a large table empty, and clearing it would cost more.
        if window.len() <= SMALL {
            self.search::<SMALL_BITS>(window)
        } else {
            self.search::<TABLE_BITS>(window)
        }
    }

    fn search<const BITS: u32>(&mut self, window: &[u8]) -> Option<usize> {
        let Self { table, found } = self;
        table.get_mut(..1 << BITS)?.fill(0);
        // The cleared table says that everything was seen at the start; so that one is done.
        let (mut at, mut tries, mut anchor, mut count) = (1_u32, 1_u32 << STRIDE_BITS, 0_u32, 0_usize);
        while let Some(here) = load_word(window, at) {
            let slot = table.get_mut(hash::<BITS>(here))?;
            let (last, before) = (*slot >> 16, *slot & 0xFFFF);
            *slot = at << 16 | last;
            let mut seen = last;
            let mut len = same(window, seen, at, here)?;
            if len < ENOUGH {
                let other = same(window, before, at, here)?;
                if other > len {
                    (seen, len) = (before, other);
                }
            }
            if len < 4 {
                at = at.wrapping_add(tries >> STRIDE_BITS);
                tries = tries.wrapping_add(1);
                continue;
            }
            let (literals, distance) = (at.wrapping_sub(anchor) as u16, at.wrapping_sub(seen) as u16);
            *found.get_mut(count)? = Found { literals, len: len as u16, distance };
            count = count.wrapping_add(1);
            at = at.wrapping_add(len);
            // What comes next was often seen behind this very copy.
            let place = at.wrapping_sub(1);
            if let Some(word) = load_word(window, place) {
                let slot = table.get_mut(hash::<BITS>(word))?;
                *slot = place << 16 | *slot >> 16;
            }
            tries = 1 << STRIDE_BITS;
            anchor = at;
        }
        let literals = (window.len() as u32).wrapping_sub(anchor) as u16;
        *found.get_mut(count)? = Found { literals, len: 0, distance: 0 };
        Some(count.wrapping_add(1))
    }
}

/// How many bytes from `seen` on are the same as those from `at` on, the first of which are `here`.
#[inline(always)]
fn same(window: &[u8], seen: u32, at: u32, here: u64) -> Option<u32> {
    Some(match here ^ load_word(window, seen)? {
        0 => common(window, seen, at),
        differing => differing.trailing_zeros() >> 3,
    })
}

#[inline(always)]
fn hash<const BITS: u32>(word: u64) -> usize {
    ((word as u32).wrapping_mul(0x9E37_79B1) >> const { 32 - BITS }) as usize
}

/// How many bytes from `a` on are the same as those from `b` on, which is behind it, as many as a copy can
/// have; the first eight are known to be.
#[inline(always)]
fn common(window: &[u8], a: u32, b: u32) -> u32 {
    let mut len = 8;
    while let (Some(left), Some(right)) =
        (load_word(window, a.wrapping_add(len)), load_word(window, b.wrapping_add(len)))
    {
        let differing = left ^ right;
        if differing != 0 {
            return len.wrapping_add(differing.trailing_zeros() >> 3).min(LONGEST);
        }
        len = len.wrapping_add(8);
        if len >= LONGEST {
            return LONGEST;
        }
    }
    let rest = |at: u32| window.get(at.wrapping_add(len) as usize..).unwrap_or_default();
    let same = rest(a).iter().zip(rest(b)).take_while(|(left, right)| left == right);
    len.wrapping_add(same.count() as u32).min(LONGEST)
}

#[inline(always)]
fn load_word(window: &[u8], at: u32) -> Option<u64> {
    let at = at as usize;
    window.get(at..at.wrapping_add(8))?.first_chunk().copied().map(u64::from_le_bytes)
}
