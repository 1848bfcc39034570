//! Raw images of memory, which say nothing about themselves: the caller knows where they belong.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use kdump_elf::{Arch, Class, Encoding, Endian, Paddr, PhysRange};

use super::format::{Format, Scratch};
use super::{Completeness, Facts, Span, SpanKind};
use crate::error::{Error, Stopped};
use crate::source::ReadAt;

/// A file whose byte 0 is the memory at `base`.
pub struct RawImage<'s> {
    /// Physical address of the first byte.
    pub base: Paddr,
    /// The bytes.
    pub source: Box<dyn ReadAt + 's>,
}

impl fmt::Debug for RawImage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawImage").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The images as a dump.
struct Raw<'s> {
    /// Sorted and disjoint.
    pieces: Vec<Piece<'s>>,
    facts: Facts,
}

struct Piece<'s> {
    range: PhysRange,
    source: Box<dyn ReadAt + 's>,
}

/// Puts the images at their places.
pub(super) fn open(images: Vec<RawImage<'_>>, arch: Option<Arch>) -> Result<Box<dyn Format + '_>, Error> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut total = 0_u64;
    for RawImage { base, source } in images {
        let size = source.size()?;
        if size == 0 {
            return Err(Error::Truncated { what: "memory image", offset: 0, need: 1, have: 0 });
        }
        let end = base.0.checked_add(size);
        let range = end.and_then(|end| PhysRange::from_half_open(base.0, end).ok());
        let limit = u64::MAX.saturating_sub(size);
        let range =
            range.ok_or(Error::TooLarge { what: "base of the memory image", value: base.0, limit })?;
        total = total.saturating_add(size);
        pieces.push(Piece { range, source });
    }
    pieces.sort_by_key(|piece| piece.range.start());
    if let Some([_, second]) = pieces
        .windows(2)
        .find(|pair| matches!(pair, [first, second] if first.range.end() > second.range.start()))
    {
        let (value, expected) = (second.range.start(), "an address behind the image in front of it");
        return Err(Error::Corrupt { what: "base of the memory image", value, expected });
    }
    if pieces.is_empty() {
        return Err(Error::Unsupported { what: "a dump of no file; name one at least" });
    }
    let class = arch.map_or(Class::Elf64, Arch::class);
    let facts = Facts {
        e_machine: arch.map_or(0, Arch::e_machine),
        arch,
        completeness: Completeness { file_size: total, expected_size: total, ..Completeness::default() },
        details: Vec::from([("images", format!("{} given", pieces.len()))]),
        ..Facts::new("raw", Encoding { class, endian: Endian::Little })
    };
    Ok(Box::new(Raw { pieces, facts }))
}

impl Raw<'_> {
    /// The image that has `paddr`, or the first one behind it.
    fn find(&self, paddr: u64) -> Option<&Piece<'_>> {
        self.pieces.get(self.pieces.partition_point(|piece| piece.range.end() <= paddr))
    }

    /// Fills the start of `buf` from one image and returns how much that was.
    fn read_piece(&self, paddr: u64, buf: &mut [u8]) -> Result<usize, Stopped> {
        let found = self.find(paddr);
        let Some(piece) = found.filter(|piece| piece.range.contains(paddr)) else {
            let next = found.map(|piece| piece.range.start());
            return Err(Stopped::new(paddr, 0, Error::Hole { paddr, next }));
        };
        let left = piece.range.end().saturating_sub(paddr).min(buf.len() as u64);
        let part = buf.get_mut(..usize::try_from(left).unwrap_or(0)).unwrap_or_default();
        match piece.source.read_full_at(paddr.saturating_sub(piece.range.start()), part) {
            Ok(()) => Ok(part.len()),
            Err(stopped) => Err(Stopped::new(paddr, stopped.read, stopped.error)),
        }
    }
}

impl Format for Raw<'_> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        let piece = self.find(at.0)?;
        if piece.range.contains(at.0) {
            return Some(Span { range: piece.range, kind: SpanKind::Stored });
        }
        let before = self.pieces.iter().map(|other| other.range.end()).take_while(|end| *end <= at.0).last();
        let range = PhysRange::from_half_open(before.unwrap_or(0), piece.range.start()).ok()?;
        Some(Span { range, kind: SpanKind::Hole })
    }

    fn read(&self, at: Paddr, buf: &mut [u8], _: &mut Scratch) -> Result<(), Stopped> {
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let Some(paddr) = at.0.checked_add(read as u64) else {
                return Err(Stopped::new(at.0, read, Error::Hole { paddr: u64::MAX, next: None }));
            };
            match self.read_piece(paddr, rest) {
                Ok(count) => read = read.saturating_add(count),
                Err(stopped) => {
                    return Err(Stopped::new(at.0, read.saturating_add(stopped.read), stopped.error));
                }
            }
        }
        Ok(())
    }
}
