//! What one thread remembers of walks through page tables.

use alloc::vec::Vec;

use kdump_elf::{Endian, Paddr};

use crate::error::Error;
use crate::source::PhysMemory;

/// Pages remembered; a power of two.
const PAGES: usize = 1024;
/// Pieces of tables remembered; a power of two.
const PIECES: usize = 64;
/// Bytes of a piece: the entries of neighbouring pages are read together.
const PIECE: usize = 512;
/// Spreads keys over slots (the golden ratio in 64 bits).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Remembers pages and pieces of page tables, so that neighbours of an address that was
/// translated cost no further reads. Belongs to one thread and to one dump; 56 KiB once it is
/// used, nothing before. Only what was read and found is kept, never a failure.
#[derive(Clone, Debug, Default)]
pub struct TranslationCache {
    /// Of the tables that everything here is from.
    root: u64,
    /// A bit for each page size seen, by its shift.
    shifts: u64,
    pages: Vec<Page>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Page {
    /// Virtual page number and shift, with bit 63 set; 0 where there is none.
    key: u64,
    base: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    /// Physical address; `None` while there is none.
    at: Option<u64>,
    bytes: [u8; PIECE],
}

impl TranslationCache {
    /// Where the page of `vaddr` in the tables below `root` lies and its size as a shift, when it is remembered.
    pub(super) fn page(&mut self, root: u64, vaddr: u64) -> Option<(u64, u32)> {
        if self.root != root {
            *self = Self { root, ..Self::default() };
        }
        let mut left = self.shifts;
        while left != 0 {
            let shift = left.trailing_zeros();
            let key = key(vaddr, shift);
            if let Some(page) = self.pages.get(slot(key, PAGES)).filter(|page| page.key == key) {
                return Some((page.base, shift));
            }
            left &= left.wrapping_sub(1);
        }
        None
    }

    /// Remembers that the page of `1 << shift` bytes with `vaddr` lies at `base`.
    pub(super) fn keep(&mut self, vaddr: u64, shift: u32, base: u64) {
        if self.pages.is_empty() && self.pages.try_reserve_exact(PAGES).is_ok() {
            self.pages.resize(PAGES, Page::default());
        }
        let key = key(vaddr, shift);
        if let Some(page) = self.pages.get_mut(slot(key, PAGES)) {
            *page = Page { key, base };
            self.shifts |= 1_u64.checked_shl(shift).unwrap_or(0);
        }
    }

    /// The entry of `size` bytes at `at`, with its neighbours where all of them can be read.
    pub(super) fn entry<M: PhysMemory + ?Sized>(
        &mut self,
        memory: &mut M,
        at: u64,
        (size, endian): (u64, Endian),
    ) -> Result<u64, Error> {
        let start = at & !(PIECE as u64).wrapping_sub(1);
        let wrong = || Error::TooLarge { what: "bytes of an entry", value: size, limit: 8 };
        let len = usize::try_from(size).map_err(|_| wrong())?;
        let offset = usize::try_from(at.wrapping_sub(start)).unwrap_or(PIECE);
        let inside = offset..offset.saturating_add(len);
        if self.pieces.is_empty() && self.pieces.try_reserve_exact(PIECES).is_ok() {
            self.pieces.resize(PIECES, Piece { at: None, bytes: [0; PIECE] });
        }
        // Tables that are not aligned, which only a wrong root is, have entries across pieces.
        let piece = if inside.end <= PIECE { self.pieces.get_mut(slot(start, PIECES)) } else { None };
        if let Some(piece) = piece {
            if piece.at != Some(start) {
                let read = memory.read_stored(Paddr(start), &mut piece.bytes);
                piece.at = read.is_ok().then_some(start);
            }
            if piece.at == Some(start) {
                return piece.bytes.get(inside).and_then(|entry| endian.unsigned(entry)).ok_or_else(wrong);
            }
        }
        let mut bytes = [0; 8];
        let entry = bytes.get_mut(..len).ok_or_else(wrong)?;
        memory.read_stored(Paddr(at), entry)?;
        endian.unsigned(entry).ok_or_else(wrong)
    }
}

/// Pages are 4 KiB at least: the number has 52 bits, which leaves 6 for the shift.
fn key(vaddr: u64, shift: u32) -> u64 {
    (vaddr.checked_shr(shift).unwrap_or(0) << 6) | u64::from(shift) | 1 << 63
}

fn slot(key: u64, slots: usize) -> usize {
    let spread = key.wrapping_mul(SPREAD).rotate_left(16);
    usize::try_from(spread & (slots as u64).wrapping_sub(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Stopped;

    /// The bytes of each address are its lowest byte.
    struct Counting;

    impl PhysMemory for Counting {
        fn read_phys(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
            for (byte, at) in buf.iter_mut().zip(paddr.0..) {
                *byte = at.to_le_bytes()[0];
            }
            Ok(())
        }
    }

    /// Half of such an entry was taken for none: the address for one that is not mapped.
    #[test]
    fn an_entry_across_two_pieces_is_read_whole() {
        for (root, expected) in [(0x1f8, 0xfffe_fdfc_fbfa_f9f8), (0x1fc, 0x0302_0100_fffe_fdfc)] {
            let bits = TranslationCache::default().entry(&mut Counting, root, (8, Endian::Little));
            assert_eq!(bits, Ok(expected), "{root:#x}");
        }
    }

    #[test]
    fn an_entry_of_a_size_no_number_has_is_refused() {
        for size in [0, 3, 9, u64::MAX] {
            let read = TranslationCache::default().entry(&mut Counting, 0, (size, Endian::Little));
            assert!(matches!(read, Err(Error::TooLarge { value, .. }) if value == size), "{size}: {read:?}");
        }
    }
}
