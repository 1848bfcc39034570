//! Going on with a file that was not finished: what is there is compared with what the source gives, and what is
//! not there is written.

use core::ops::Range;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::vec::Vec;

use kdump_elf::SaveNote;

use super::WriteAt;
use super::note::{BLOCK, NotePlace};
use crate::dump::scan::is_zero;
use crate::error::Error;
use crate::room::zeroed;

/// Bytes that are compared at once.
const PIECE: usize = 256 << 10;
/// Bytes that are left out where they are zero.
const PAGE: usize = 4096;

/// Of a planned file what does not depend on how far it is.
pub(super) struct Fixed<'p> {
    /// Header and notes as they are while it is not finished.
    pub(super) head: &'p [u8],
    pub(super) note: &'p NotePlace,
    /// The first block while there is nothing behind it.
    pub(super) stub: [u8; BLOCK],
    /// What the file begins with once it is finished, as far as that differs besides the note: with the note, and
    /// without. It is written when everything else is.
    pub(super) ended: [Vec<u8>; 2],
    /// Where memory begins: what lies between is zero until it is written.
    pub(super) data: u64,
}

impl Fixed<'_> {
    /// Whether the first block is that of a file with nothing in it: the stub, as far as it was written, or with the
    /// beginning of what was to replace it.
    fn is_stub(&self, first: &[u8]) -> bool {
        let replaced = first.iter().zip(self.head).take_while(|(found, new)| found == new).count();
        let rest = |skip: usize| first.get(skip..) == self.stub.get(skip..first.len());
        rest(0) || first.len() == BLOCK && replaced < BLOCK && rest(replaced)
    }

    /// The offset up to which `file` says that it is written, if it is a beginning of this file; `None` when
    /// there is nothing in it as yet.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is something else.
    pub(super) fn good(&self, file: &File) -> Result<Option<u64>, Error> {
        let failed = |error: std::io::Error| Error::Io { offset: 0, cause: (&error).into() };
        let size = file.metadata().map_err(failed)?.len();
        let mut found = zeroed("the header of the unfinished file", size.min(self.head.len() as u64))?;
        file.read_exact_at(&mut found, 0).map_err(failed)?;
        let first = found.get(..BLOCK.min(found.len())).unwrap_or_default();
        if is_zero(&found) || self.is_stub(first) {
            return Ok(None);
        }
        let refuse = |reason| Err(Error::Refused { reason });
        if found.get(..4) != self.head.get(..4) {
            return refuse(
                "the .incomplete file is of another format than is to be written: ask for that one, or move it away",
            );
        }
        if !self.is_alike(&found, 0..BLOCK) {
            return refuse(
                "the .incomplete file is of another machine or crash, or compressed otherwise: save as it was begun, \
                 or move it away",
            );
        }
        let (around, known) = (self.note.around(), self.note.alike());
        let erased = is_zero(found.get(around.clone()).unwrap_or_default());
        let note = found.get(self.note.changing()).unwrap_or_default();
        let said = (!erased).then(|| SaveNote::parse(note, self.note.endian()).ok()).flatten();
        let said = said.map(|note| note.state().good);
        let (front, behind) = (0..around.start, self.note.changing().end..self.head.len());
        let same = |range: Range<usize>| found.get(range.clone()) == self.head.get(range);
        let notes =
            erased && known.is_empty() || same(around.start..self.note.changing().start) && same(known);
        if !(notes && self.is_alike(&found, front.clone()) && self.is_alike(&found, behind)) {
            return refuse(
                "the .incomplete file has other notes, program headers or losses: it is of another dump, or other \
                 pages are left out of it; save as it was begun, or move it away",
            );
        }
        // All of these are written when everything in front of the end is, and has been made to last.
        let ended = erased || said == Some(None) || !same(front);
        let good = if ended { Some(size) } else { said.flatten() };
        match good.map(|good| good.min(size)).filter(|good| *good >= self.data) {
            Some(good) => Ok(Some(good)),
            None => refuse("the .incomplete file does not say how far it is written: move it away"),
        }
    }

    /// Whether each block of `found` in `range` is one of this file: as it is while there is more to come, or as it is at
    /// its end.
    fn is_alike(&self, found: &[u8], range: Range<usize>) -> bool {
        let mut start = range.start;
        while start < range.end {
            let end = start.saturating_add(1).next_multiple_of(BLOCK).min(range.end);
            let block = found.get(start..end);
            let same = |other: &[u8]| block.is_some() && block == other.get(start..end);
            if !(same(self.head) || self.ended.iter().any(|ended| same(ended))) {
                return false;
            }
            start = end;
        }
        true
    }
}

/// A file that goes on behind what is good of it.
pub(super) struct Continued<'a, W> {
    pub(super) file: &'a File,
    /// The same, where it is written.
    pub(super) sink: W,
    /// In front of it stand header and notes, which change.
    pub(super) head: u64,
    pub(super) data: u64,
    /// What lies in front of it is compared, and never written.
    pub(super) good: u64,
    /// Bytes that were there, and bytes that were not.
    pub(super) kept: u64,
    pub(super) written: u64,
    /// What was found not to fit: nothing more is written then, and nothing more vouched for.
    pub(super) misfit: Option<Error>,
}

impl<W: WriteAt> Continued<'_, W> {
    /// Compares `bytes` with what is there; returns whether they are to be written.
    fn lacks(&mut self, offset: u64, bytes: &[u8]) -> Result<bool, Error> {
        let mut found = zeroed("a piece of the unfinished file", bytes.len() as u64)?;
        let failed = |error: std::io::Error| Error::Io { offset, cause: (&error).into() };
        self.file.read_exact_at(&mut found, offset).map_err(failed)?;
        if found == bytes {
            return Ok(false);
        }
        // A descriptor that is not there yet is zeros; one that is there is not another's.
        let mut pairs = (offset..).zip(found.iter().zip(bytes));
        let wrong = pairs.find(|(at, (there, wanted))| there != wanted && (*at >= self.data || **there != 0));
        match wrong {
            None => Ok(true),
            Some((offset, _)) => Err(*self.misfit.insert(Error::Differs { offset })),
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if !bytes.is_empty() {
            self.sink.write_all_at(offset, bytes)?;
            self.written = self.written.saturating_add(bytes.len() as u64);
        }
        Ok(())
    }

    /// Writes what is not zero, in as few pieces as its pages allow: behind what is good the file has nothing.
    fn put_sparse(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let (mut from, mut to) = (0_usize, 0_usize);
        for page in bytes.chunks(PAGE) {
            let next = to.saturating_add(page.len());
            if is_zero(page) {
                self.put(offset.saturating_add(from as u64), bytes.get(from..to).unwrap_or_default())?;
                from = next;
            }
            to = next;
        }
        self.put(offset.saturating_add(from as u64), bytes.get(from..to).unwrap_or_default())
    }
}

impl<W: WriteAt> WriteAt for Continued<'_, W> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if let Some(error) = self.misfit {
            return Err(error);
        }
        if offset < self.head {
            return self.put(offset, bytes);
        }
        let there = usize::try_from(self.good.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        let (there, new) = bytes.split_at_checked(there).unwrap_or_default();
        for (at, piece) in (offset..).step_by(PIECE).zip(there.chunks(PIECE)) {
            if self.lacks(at, piece)? {
                self.put(at, piece)?;
            } else {
                self.kept = self.kept.saturating_add(piece.len() as u64);
            }
        }
        self.put_sparse(offset.saturating_add(there.len() as u64), new)
    }

    /// What is there may be anything: zeros are compared, too.
    fn is_sparse(&self) -> bool {
        false
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.sink.sync()
    }

    fn set_size(&mut self, size: u64) -> Result<(), Error> {
        self.sink.set_size(size)
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.sink.finish(size)
    }
}
