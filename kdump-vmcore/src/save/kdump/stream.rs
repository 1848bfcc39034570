//! Bytes that follow each other in the file, written in large aligned pieces.

use super::super::WriteAt;
use crate::dump::scan::offset_in;
use crate::error::Error;
use crate::room::PageAligned;

/// Writes end at multiples of this, a power of two.
const PIECE: usize = 256 << 10;
/// But for so many bytes, or more, that begin and end at multiples of a page of the reading machine: these are
/// written from where they are, because to move them first costs as much as reading them.
const WORTH_IT: usize = 64 << 10;
const PAGE: u64 = 4096;

/// Bytes that follow each other from some offset on.
#[derive(Debug)]
pub(super) struct Stream {
    /// Everything in front of this offset is written.
    at: u64,
    /// The piece of the file in which that is, each byte where it is in the piece: what is written is as
    /// far into a page as its place in the file.
    staged: PageAligned,
    /// So many of its bytes are there.
    filled: usize,
    /// Whether long pushes go past it.
    is_direct: bool,
}

impl Stream {
    /// Begins at `at`. Unless it `is_direct`, what is written at once depends on the bytes alone and not on how many
    /// are pushed at once.
    pub(super) fn new(at: u64, is_direct: bool) -> Result<Self, Error> {
        let staged = PageAligned::zeroed("a piece of the new file", PIECE as u64)?;
        Ok(Self { at, staged, filled: 0, is_direct })
    }

    /// The offset up to which everything is written.
    pub(super) fn written(&self) -> u64 {
        self.at
    }

    /// The offset of what is pushed next.
    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.filled as u64)
    }

    /// Appends `bytes`.
    pub(super) fn push<W: WriteAt + ?Sized>(&mut self, sink: &mut W, bytes: &[u8]) -> Result<(), Error> {
        let whole_pages = offset_in(self.end() | bytes.len() as u64, PAGE) == 0;
        if self.is_direct && whole_pages && bytes.len() >= WORTH_IT {
            self.flush(sink)?;
            sink.write_all_at(self.at, bytes)?;
            self.at = self.end().saturating_add(bytes.len() as u64);
            return Ok(());
        }
        let inside = offset_in(self.end(), PIECE as u64);
        let mut rest = bytes;
        if inside != 0 {
            let (first, behind) = rest.split_at_checked(PIECE.saturating_sub(inside)).unwrap_or((rest, &[]));
            self.stage(first);
            if first.len() < PIECE.saturating_sub(inside) {
                return Ok(());
            }
            self.flush(sink)?;
            rest = behind;
        }
        let whole = rest.len().saturating_sub(offset_in(rest.len() as u64, PIECE as u64));
        let (now, later) = rest.split_at_checked(whole).unwrap_or_default();
        if !now.is_empty() {
            sink.write_all_at(self.at, now)?;
            self.at = self.at.saturating_add(now.len() as u64);
        }
        self.stage(later);
        Ok(())
    }

    /// Keeps `bytes`, which end in the piece that those before begin.
    fn stage(&mut self, bytes: &[u8]) {
        let from = offset_in(self.end(), PIECE as u64);
        if let Some(room) = self.staged.get_mut().get_mut(from..from.saturating_add(bytes.len())) {
            room.copy_from_slice(bytes);
            self.filled = self.filled.saturating_add(bytes.len());
        }
    }

    /// Writes what is not written yet.
    pub(super) fn flush<W: WriteAt + ?Sized>(&mut self, sink: &mut W) -> Result<(), Error> {
        if self.filled > 0 {
            let from = offset_in(self.at, PIECE as u64);
            let bytes = self.staged.get().get(from..from.saturating_add(self.filled)).unwrap_or_default();
            sink.write_all_at(self.at, bytes)?;
            self.at = self.end();
            self.filled = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    struct Pieces(Vec<(u64, usize)>, Vec<u8>);

    impl WriteAt for Pieces {
        fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
            self.0.push((offset, bytes.len()));
            self.1.write_all_at(offset, bytes)
        }
        fn is_sparse(&self) -> bool {
            true
        }
        fn finish(&mut self, _: u64) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn whatever_is_pushed_is_written_once_and_aligned() {
        let bytes: Vec<u8> = (0..5 * PIECE + 77).map(|at| (at % 251) as u8).collect();
        let pages = PAGE as usize;
        for step in
            [1000, pages, WORTH_IT, WORTH_IT + pages, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, bytes.len()]
        {
            for start in [0_u64, 24, PIECE as u64, PIECE as u64 * 7 + 4096] {
                let mut sink = Pieces(vec![], vec![]);
                let mut stream = Stream::new(start, true).unwrap();
                for piece in bytes.chunks(step) {
                    stream.push(&mut sink, piece).unwrap();
                }
                assert_eq!(stream.end(), start + bytes.len() as u64);
                stream.flush(&mut sink).unwrap();
                assert_eq!(stream.written(), stream.end());
                assert!(sink.1[start as usize..] == bytes);
                let last = sink.0.len() - 1;
                let mut at = start;
                for (index, (offset, len)) in sink.0.into_iter().enumerate() {
                    assert_eq!(offset, at);
                    at += len as u64;
                    let unit = if step % pages == 0 && step >= WORTH_IT { PAGE } else { PIECE as u64 };
                    assert!(index == last || at % unit == 0, "{offset} {len}");
                    // Nothing that is long enough is moved.
                    let rest = start + (bytes.len() - bytes.len() % step) as u64;
                    let direct = unit == PAGE && start % PAGE == 0 && offset < rest;
                    assert!(!direct || len == step, "{offset} {len}");
                }
            }
        }
    }
}
