// SPDX-License-Identifier: MIT OR Apache-2.0
//! Physical and virtual addresses and ranges of them.
//!
//! Text files of the kernel give inclusive ends, tables give lengths, loops want exclusive
//! ends. A [`PhysRange`] is made by a constructor that names what it takes and answers by
//! methods that name what they give, so the three never mix.

use core::fmt;

use crate::Error;

/// A physical address of the machine the dump is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Paddr(pub u64);

/// A virtual address of the kernel the dump is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vaddr(pub u64);

impl fmt::Display for Paddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Vaddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A non-empty range of physical addresses.
///
/// The byte at `u64::MAX` cannot be part of a range, so that both the exclusive end and the
/// length always fit a `u64`; no machine has memory there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysRange {
    start: u64,
    end: u64,
}

impl PhysRange {
    /// From the first and the last address, both part of the range (/proc/iomem style).
    ///
    /// # Errors
    /// [`Error::Range`] when `last < start` or `last` is `u64::MAX`.
    pub const fn from_inclusive(start: u64, last: u64) -> Result<Self, Error> {
        match last.checked_add(1) {
            Some(end) if start < end => Ok(Self { start, end }),
            _ => Err(Error::Range { start, last }),
        }
    }

    /// From the first address and the first one behind the range.
    ///
    /// # Errors
    /// [`Error::Range`] when `end <= start`.
    pub const fn from_half_open(start: u64, end: u64) -> Result<Self, Error> {
        if start < end {
            Ok(Self { start, end })
        } else {
            Err(Error::Range { start, last: end.wrapping_sub(1) })
        }
    }

    /// From the first address and a length in bytes.
    ///
    /// # Errors
    /// [`Error::Range`] when `len` is 0 or the range would pass `u64::MAX`.
    pub const fn from_len(start: u64, len: u64) -> Result<Self, Error> {
        match start.checked_add(len) {
            Some(end) if start < end => Ok(Self { start, end }),
            _ => Err(Error::Range { start, last: start.wrapping_add(len).wrapping_sub(1) }),
        }
    }

    /// The first address.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The last address, inclusive.
    #[must_use]
    pub const fn last(self) -> u64 {
        self.end.saturating_sub(1)
    }

    /// The first address behind the range, exclusive.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Length in bytes, never 0.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether `paddr` lies in the range.
    #[must_use]
    pub const fn contains(self, paddr: u64) -> bool {
        self.start <= paddr && paddr < self.end
    }

    /// Whether every address of `other` lies in this range.
    #[must_use]
    pub const fn contains_range(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two share at least one address.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The addresses in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end.min(other.end);
        (start < end).then_some(Self { start, end })
    }

    /// The smallest range of whole units of `align` bytes (a power of two) that covers this
    /// one; the end saturates at the highest multiple a `u64` holds.
    #[must_use]
    pub const fn align_outward(self, align: u64) -> Self {
        let mask = !align.saturating_sub(1);
        let end = match align_up(self.end, align) {
            Some(end) => end,
            None => mask,
        };
        Self { start: self.start & mask, end }
    }

    /// The largest range of whole units of `align` bytes (a power of two) inside this one;
    /// `None` when it holds no whole unit.
    #[must_use]
    pub fn align_inward(self, align: u64) -> Option<Self> {
        let start = align_up(self.start, align)?;
        let end = align_down(self.end, align);
        (start < end).then_some(Self { start, end })
    }
}

impl fmt::Display for PhysRange {
    /// Inclusive, as /proc/iomem prints it: `0x1000-0x1fff`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}-{:#x}", self.start, self.last())
    }
}

impl fmt::Debug for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `value` rounded up to a multiple of `align`, a power of two; `None` when it passes
/// `u64::MAX`.
#[must_use]
pub const fn align_up(value: u64, align: u64) -> Option<u64> {
    let low = align.saturating_sub(1);
    match value.checked_add(low) {
        Some(sum) => Some(sum & !low),
        None => None,
    }
}

/// `value` rounded down to a multiple of `align`, a power of two.
#[must_use]
pub const fn align_down(value: u64, align: u64) -> u64 {
    value & !align.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_kernels_show_them() {
        assert_eq!(
            std::format!("{} {}", Paddr(0x1000), Vaddr(0xffff_8880_0000_0000)),
            "0x1000 0xffff888000000000"
        );
    }

    #[test]
    fn constructors_agree() {
        let range = PhysRange::from_inclusive(0x1000, 0x1fff).unwrap();
        assert_eq!(range, PhysRange::from_half_open(0x1000, 0x2000).unwrap());
        assert_eq!(range, PhysRange::from_len(0x1000, 0x1000).unwrap());
        assert_eq!(
            (range.start(), range.last(), range.end(), range.size()),
            (0x1000, 0x1fff, 0x2000, 0x1000)
        );
        assert_eq!(PhysRange::from_inclusive(0, u64::MAX - 1).unwrap().size(), u64::MAX);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        for range in [
            PhysRange::from_inclusive(5, 4),
            PhysRange::from_inclusive(0, u64::MAX),
            PhysRange::from_half_open(7, 7),
            PhysRange::from_len(7, 0),
            PhysRange::from_len(u64::MAX, 1),
            PhysRange::from_len(2, u64::MAX),
        ] {
            assert!(matches!(range, Err(Error::Range { .. })), "{range:?}");
        }
    }

    #[test]
    fn rounding_stays_inside_u64() {
        let high = PhysRange::from_half_open(u64::MAX - 5, u64::MAX).unwrap();
        assert_eq!(high.align_outward(0x1000).end(), !0xfff);
        assert_eq!(high.align_inward(0x1000), None);
        let range = PhysRange::from_half_open(0x1001, 0x3fff).unwrap();
        assert_eq!(range.align_outward(0x1000), PhysRange::from_half_open(0x1000, 0x4000).unwrap());
        assert_eq!(range.align_inward(0x1000), PhysRange::from_half_open(0x2000, 0x3000).ok());
    }

    #[test]
    fn touching_ranges_do_not_overlap() {
        let low = PhysRange::from_half_open(0, 0x1000).unwrap();
        let high = PhysRange::from_half_open(0x1000, 0x2000).unwrap();
        assert!(!low.overlaps(high));
        assert_eq!(low.intersection(high), None);
        assert!(high.contains(0x1fff) && !high.contains(0x2000));
    }
}
