//! Bytes of a file that one thread has read, and those behind them.

use alloc::vec::Vec;

use crate::error::Error;
use crate::room::zeroed;
use crate::source::ReadAt;

/// Bytes read at once where a file is read in order.
pub(super) const AHEAD: u64 = 64 << 10;
/// Bytes wanted one behind the other before more are read than are wanted.
const IN_ORDER: u64 = 8 << 10;

/// Bytes of a file that were read.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    bytes: Vec<u8>,
    /// Bytes that are good.
    len: usize,
    /// Which file they are from.
    file: usize,
    offset: u64,
}

impl ReadAhead {
    /// `len` bytes from `offset` on, when they are here.
    pub(super) fn get(&self, file: usize, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let good = self.bytes.get(..self.len).filter(|_| self.file == file)?;
        good.get(start..start.checked_add(len)?)
    }

    /// Whether a read of `offset` goes on where the last one stopped, or inside it.
    pub(super) fn is_near(&self, file: usize, offset: u64) -> bool {
        let end = self.offset.saturating_add(self.len as u64);
        self.file == file && self.len > 0 && (self.offset..=end).contains(&offset)
    }

    /// Forgets what is here.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Reads `len` bytes, and up to `more` if there are that many.
    pub(super) fn load(
        &mut self,
        (file, source): (usize, &dyn ReadAt),
        offset: u64,
        (len, more): (usize, u64),
        what: &'static str,
    ) -> Result<&[u8], Error> {
        if self.get(file, offset, len).is_none() {
            let room = more.max(len as u64);
            if (self.bytes.len() as u64) < room {
                self.bytes = zeroed(what, room)?;
            }
            self.len = 0;
            let room = usize::try_from(room).unwrap_or(len);
            let place = self.bytes.get_mut(..room).unwrap_or_default();
            (self.file, self.offset) = (file, offset);
            match source.read_full_at(offset, place) {
                Ok(()) => self.len = place.len(),
                Err(stopped) if stopped.read >= len => self.len = stopped.read,
                Err(stopped) => {
                    let (need, have) = (len as u64, stopped.read as u64);
                    return Err(match stopped.error {
                        Error::Truncated { .. } => Error::Truncated { what, offset, need, have },
                        other => other,
                    });
                }
            }
        }
        Ok(self.get(file, offset, len).unwrap_or_default())
    }
}

/// Whether reads follow each other.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// Where the last one ended.
    next: u64,
    /// Bytes wanted without a break up to there.
    run: u64,
}

impl Sequence {
    /// Takes down a read; whether it goes on where enough others have ended for those behind it to be
    /// wanted next.
    pub(super) fn goes_on(&mut self, offset: u64, len: usize) -> bool {
        let before = if self.next == offset { self.run } else { 0 };
        self.run = before.saturating_add(len as u64);
        self.next = offset.saturating_add(len as u64);
        before >= IN_ORDER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_begins_after_two_pages_and_ends_with_a_leap() {
        let mut sequence = Sequence::default();
        let mut read = |offset, len| sequence.goes_on(offset, len);
        assert!(!read(0x9000, 0x1000) && !read(0xa000, 0x1000));
        assert!(read(0xb000, 0x1000) && read(0xc000, 8) && read(0xc008, 8));
        assert!(!read(0xc000, 0x1000), "back");
        assert!(!read(0xd000, 0x1000) && read(0xe000, 0x1000));
    }

    #[test]
    fn what_is_behind_is_here_and_the_end_of_the_file_takes_nothing_away() {
        let file: Vec<u8> = (0..100_u8).collect();
        let mut ahead = ReadAhead::default();
        assert_eq!(ahead.load((0, &file), 90, (4, 64), "bytes"), Ok(&file[90..94]));
        assert_eq!(
            (ahead.get(0, 94, 6), ahead.get(0, 94, 7), ahead.get(1, 94, 6)),
            (Some(&file[94..]), None, None)
        );
        assert!(ahead.load((0, &file), 98, (4, 64), "bytes").is_err());
        ahead.clear();
        assert_eq!(ahead.get(0, 98, 1), None);
    }
}
