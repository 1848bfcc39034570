//! A field of `struct page`, as VMCOREINFO tells where it is.

/// Bytes that are loaded at once.
const WORD: usize = 8;

/// Where a field is: a word of the record, and what of it is the field. Millions of records are looked at,
/// and a word is loaded faster than so many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    at: usize,
    shift: u32,
    mask: u64,
    /// Where its first byte is, and how many it has.
    start: usize,
    len: usize,
}

impl Field {
    /// The field of `len` bytes, 1 to 8, at `at` of a record of `size` bytes, 8 or more; `None` where it is
    /// not inside.
    pub(super) fn new(at: u64, len: usize, size: u64) -> Option<Self> {
        let (start, size) = (usize::try_from(at).ok()?, usize::try_from(size).ok()?);
        start.checked_add(len).filter(|end| *end <= size)?;
        let at = start.min(size.checked_sub(WORD)?);
        let bits = |bytes: usize| u32::try_from(bytes.saturating_mul(8)).ok();
        let mask = u64::MAX.checked_shr(bits(WORD.checked_sub(len)?)?)?;
        Some(Self { at, shift: bits(start.saturating_sub(at))?, mask, start, len })
    }

    /// Whether it stands where a compiler puts it.
    pub(super) fn is_aligned(self) -> bool {
        self.start.checked_rem(self.len) == Some(0)
    }

    /// Whether both have a byte in common.
    pub(super) fn overlaps(self, other: Self) -> bool {
        let ends = |field: Self| field.start.saturating_add(field.len);
        self.start < ends(other) && other.start < ends(self)
    }

    /// The little-endian number in `record`; 0 where that is too short.
    #[inline(always)]
    pub(super) fn get(self, record: &[u8]) -> u64 {
        let word = record.get(self.at..).and_then(|rest| rest.first_chunk::<WORD>());
        let word = word.map_or(0, |word| u64::from_le_bytes(*word));
        word.checked_shr(self.shift).unwrap_or(0) & self.mask
    }
}

/// The lowest 32 bits.
pub(super) fn low32(value: i64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn every_field_of_a_record_is_read_and_none_beyond_it() {
        let record: Vec<u8> = (1..=56).collect();
        for len in 1..=8_usize {
            for at in 0..=56_usize {
                let field = Field::new(at as u64, len, 56);
                assert_eq!(field.is_some(), at + len <= 56, "{at} {len}");
                let Some(field) = field else { continue };
                let mut number = [0; 8];
                number[..len].copy_from_slice(&record[at..at + len]);
                assert_eq!(field.get(&record), u64::from_le_bytes(number), "{at} {len}");
                assert_eq!(field.get(&[]), 0);
            }
        }
        assert!(Field::new(u64::MAX, 8, 56).is_none());
        assert!(Field::new(0, 4, 7).is_none());
    }
}
