//! Blocks of bytes that one thread keeps for its next reads: pages that were decompressed, and
//! pieces of files.

use alloc::vec::Vec;

use crate::room::zeroed;

/// Places a block can be in: few enough to be looked at all.
const WAYS: usize = 8;
/// Bytes taken at once to put blocks in.
const CHUNK: usize = 1 << 18;
/// The most numbers that are remembered of blocks that were asked for once.
const SEEN: usize = 1 << 16;
/// No block has this number.
const NONE: u64 = u64::MAX;

/// What is known of a place besides the number of its block.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Which block of the chunks it has, plus one; 0 before it needs one.
    at: u32,
    /// Whether it was used since the hand passed it.
    used: bool,
}

/// Blocks of one size by their number, at most so many. Finding one takes a look at [`WAYS`] places,
/// whatever the size; in a full set a clock's hand chooses the one that makes room.
///
/// Memory is taken piece by piece as blocks come; when there is none, the cache stays as large as it is.
#[derive(Debug, Default)]
pub(super) struct BlockCache {
    /// Bytes of a block.
    block: usize,
    /// Blocks of a chunk, as a power of two: no hit divides.
    per_chunk: u32,
    /// Blocks at most.
    limit: usize,
    /// Places of a set.
    ways: usize,
    /// Sets.
    sets: usize,
    /// Numbers of the blocks, set by set.
    numbers: Vec<u64>,
    places: Vec<Place>,
    /// Blocks that places have.
    taken: usize,
    chunks: Vec<Vec<u8>>,
    /// Moves on with every block that makes room.
    hand: usize,
    /// What is left of the numbers of blocks that were asked for once.
    seen: Vec<u16>,
}

impl BlockCache {
    /// For blocks of `block` bytes, as many as are in `bytes`, and in no case more than `most`.
    pub(super) fn new(block: usize, bytes: u64, most: u64) -> Self {
        let fits = bytes.checked_div(block as u64).unwrap_or(0).min(most).min(u32::MAX.into());
        let per_chunk = CHUNK.checked_div(block).and_then(usize::checked_ilog2).unwrap_or(0);
        Self { block, per_chunk, limit: usize::try_from(fits).unwrap_or(0), ..Self::default() }
    }

    /// Whether blocks have `block` bytes.
    pub(super) fn is_for(&self, block: usize) -> bool {
        self.block == block
    }

    /// Whether the block `number` was asked for before, as far as that is remembered: what is wanted
    /// once is not worth more than the bytes that are wanted.
    pub(super) fn is_wanted_again(&mut self, number: u64) -> bool {
        if self.seen.is_empty() {
            let count = self.limit.min(SEEN);
            if self.seen.try_reserve_exact(count).is_err() {
                return false;
            }
            self.seen.resize(count, 0);
        }
        let mixed = number.wrapping_mul(MIX);
        // One of 65 thousand is taken for another, which costs some time and no more.
        let rest = u16::try_from(mixed >> 16 & 0xffff).unwrap_or(0);
        let index = spread(number, self.seen.len());
        self.seen.get_mut(index).is_some_and(|seen| core::mem::replace(seen, rest) == rest)
    }

    /// The block `number`, when it is here.
    #[inline]
    pub(super) fn get(&mut self, number: u64) -> Option<&[u8]> {
        let first = self.set(number);
        let set = self.numbers.get(first..)?.get(..self.ways)?;
        let found = first.checked_add(set.iter().position(|&other| other == number)?)?;
        let place = self.places.get_mut(found)?;
        place.used = true;
        let at = place.at;
        self.bytes(at).map(|bytes| &*bytes)
    }

    /// Puts the block `number` here, which is not: `fill` is given its bytes. What `fill` fails with is
    /// given back, and the block is not kept. `None` when there is no room, and `fill` was not called.
    pub(super) fn put<E>(
        &mut self,
        number: u64,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Option<Result<&[u8], E>> {
        if number == NONE || !self.has_places() {
            return None;
        }
        let place = self.victim(self.set(number))?;
        let at = self.places.get(place)?.at;
        *self.numbers.get_mut(place)? = NONE;
        if let Err(error) = fill(self.bytes(at)?) {
            return Some(Err(error));
        }
        *self.numbers.get_mut(place)? = number;
        self.places.get_mut(place)?.used = true;
        self.bytes(at).map(|bytes| Ok(&*bytes))
    }

    /// The first place of the set that the block `number` belongs to.
    #[inline]
    fn set(&self, number: u64) -> usize {
        spread(number, self.sets).saturating_mul(self.ways)
    }

    /// Makes the places when they are needed first.
    fn has_places(&mut self) -> bool {
        if !self.numbers.is_empty() {
            return true;
        }
        let ways = self.limit.min(WAYS);
        let sets = self.limit.checked_div(ways).unwrap_or(0);
        let count = sets.saturating_mul(ways);
        let room = self.numbers.try_reserve_exact(count).and_then(|()| self.places.try_reserve_exact(count));
        if room.is_err() || count == 0 {
            return false;
        }
        (self.ways, self.sets) = (ways, sets);
        self.numbers.resize(count, NONE);
        self.places.resize(count, Place::default());
        true
    }

    /// A place of the set from `first` on that has bytes and can take another block.
    fn victim(&mut self, first: usize) -> Option<usize> {
        let set = first..first.checked_add(self.ways)?;
        let is_free = |place: &usize| self.numbers.get(*place) == Some(&NONE);
        if let Some(free) = set.clone().find(is_free) {
            if self.places.get(free)?.at != 0 || self.grow(free) {
                return Some(free);
            }
        }
        self.hand = self.hand.wrapping_add(1);
        let turn = self.hand.checked_rem(self.ways)?;
        let around = set.clone().cycle().skip(turn).take(self.ways.saturating_mul(2));
        for place in around {
            let place_now = self.places.get_mut(place)?;
            if place_now.at == 0 {
                continue;
            }
            if !core::mem::take(&mut place_now.used) {
                return Some(place);
            }
        }
        None
    }

    /// Gives the place a block of its own.
    fn grow(&mut self, place: usize) -> bool {
        let per_chunk = 1_usize.checked_shl(self.per_chunk).unwrap_or(1);
        let have = self.chunks.len().saturating_mul(per_chunk);
        if self.taken >= have {
            let left = self.limit.saturating_sub(self.taken).min(per_chunk);
            let Ok(bytes) = zeroed("kept pages", left.saturating_mul(self.block) as u64) else {
                return false;
            };
            if self.chunks.try_reserve(1).is_err() {
                return false;
            }
            self.chunks.push(bytes);
        }
        self.taken = self.taken.saturating_add(1);
        let Some(place) = self.places.get_mut(place) else { return false };
        place.at = u32::try_from(self.taken).unwrap_or(0);
        place.at != 0
    }

    #[inline]
    fn bytes(&mut self, at: u32) -> Option<&mut [u8]> {
        let index = at.checked_sub(1)?;
        let chunk = index.checked_shr(self.per_chunk)?;
        let inside = index ^ chunk.checked_shl(self.per_chunk)?;
        let chunk = self.chunks.get_mut(usize::try_from(chunk).ok()?)?;
        let start = usize::try_from(inside).ok()?.checked_mul(self.block)?;
        chunk.get_mut(start..start.checked_add(self.block)?)
    }
}

/// 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// A number below `limit` that neighbouring numbers share seldom.
#[inline]
fn spread(number: u64, limit: usize) -> usize {
    let mixed = number.wrapping_mul(MIX) >> 32;
    usize::try_from(mixed.wrapping_mul(limit as u64) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &mut BlockCache, number: u64) -> bool {
        let fill = |bytes: &mut [u8]| {
            bytes.fill(number as u8);
            Ok::<_, ()>(())
        };
        cache.put(number, fill).is_some()
    }

    fn bytes_of(cache: &BlockCache) -> usize {
        cache.chunks.iter().map(Vec::len).sum()
    }

    proptest::proptest! {
        #[test]
        fn blocks_are_their_own_and_memory_is_bounded(
            limit in 0_u64..40,
            numbers in proptest::collection::vec(0_u64..60, 0..400),
        ) {
            let mut cache = BlockCache::new(16, limit * 16 + 15, u64::MAX);
            for number in numbers {
                if let Some(bytes) = cache.get(number) {
                    proptest::prop_assert_eq!(bytes, &[number as u8; 16]);
                } else {
                    proptest::prop_assert_eq!(put(&mut cache, number), limit != 0);
                    proptest::prop_assert_eq!(cache.get(number).is_some(), limit != 0);
                }
                proptest::prop_assert!(bytes_of(&cache) as u64 <= limit * 16);
            }
        }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut cache = BlockCache::new(16, 8 * 16, u64::MAX);
        (0..8).for_each(|number| assert!(put(&mut cache, number)));
        assert!((0..8).all(|number| cache.get(number).is_some()), "all fit");
        for number in 8..2000 {
            assert!(put(&mut cache, number));
            for hot in 0..4 {
                // The hand passes a block that was used since.
                if cache.get(hot).is_none() {
                    assert!(put(&mut cache, hot));
                }
            }
        }
        assert!((0..4).filter(|hot| cache.get(*hot).is_some()).count() >= 3);
        assert!((4..1000).all(|number| cache.get(number).is_none()), "eight at most");
    }

    #[test]
    fn a_large_cache_keeps_a_set_of_half_its_size() {
        let mut cache = BlockCache::new(16, 4096 * 16, u64::MAX);
        (0..2048).for_each(|number| assert!(put(&mut cache, number * 7)));
        let kept = (0..2048).filter(|number| cache.get(number * 7).is_some()).count();
        assert!(kept > 2000, "{kept}");
    }

    #[test]
    fn what_fails_is_not_kept() {
        let mut cache = BlockCache::new(16, 160, u64::MAX);
        assert!(put(&mut cache, 3));
        let failed = cache.put(4, |bytes| {
            bytes.fill(9);
            Err("no")
        });
        assert_eq!(failed, Some(Err("no")));
        assert!(cache.get(4).is_none() && cache.get(3).is_some());
    }

    #[test]
    fn a_second_wish_is_told_from_the_first() {
        let mut cache = BlockCache::new(16, 160, u64::MAX);
        assert!(!cache.is_wanted_again(5));
        assert!(cache.is_wanted_again(5));
        assert!(!BlockCache::new(16, 15, u64::MAX).is_wanted_again(5));
    }

    #[test]
    fn a_small_dump_takes_a_small_cache() {
        let mut cache = BlockCache::new(16, 1 << 20, 10);
        (0..100).for_each(|number| assert!(put(&mut cache, number)));
        assert!(bytes_of(&cache) <= 160);
    }

    #[test]
    fn places_are_made_once() {
        let mut cache = BlockCache::new(16, 64 * 16, u64::MAX);
        assert!(put(&mut cache, 0));
        let room = (cache.numbers.capacity(), cache.places.capacity());
        (1..200).for_each(|number| assert!(put(&mut cache, number)));
        assert_eq!((cache.numbers.capacity(), cache.places.capacity()), room);
    }

    // Where a number of 32 bits is the highest there is, none is too high.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn where_there_is_no_memory_for_more_those_that_are_here_make_room() {
        let mut cache = BlockCache::new(16, 8 * 16, u64::MAX);
        assert!(put(&mut cache, 1));
        // As if there were: no block gets a number so high.
        cache.taken = usize::MAX;
        for number in 2..50 {
            assert!(put(&mut cache, number), "{number}");
            assert_eq!(cache.get(number), Some(&[number as u8; 16][..]));
            assert!(cache.get(number - 1).is_none());
        }
    }
}
