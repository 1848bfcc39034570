//! Lists memory without bytes for the note of a saved dump, in bounded room.

use alloc::vec::Vec;

use kdump_elf::{LossReason, LostRange, PhysRange};

use crate::codec::CodecError;
use crate::dump::{PageClass, SpanKind};
use crate::error::{Error, PageFault};
use crate::room::push;

/// The most ranges that are listed of what is known before the first byte is copied.
pub(super) const MAX_KNOWN: usize = 1 << 16;
/// What takes room for each of them.
const LIST: &str = "the list of what the source lacks";
/// Room for ranges that are found while copying.
pub(super) const FOUND_ROOM: usize = 1024;

/// Ranges by ascending address.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    pub(super) ranges: Vec<LostRange>,
    room: usize,
    /// The first range since the last [`Losses::restart`]: what comes is behind those that follow only.
    first: usize,
    /// Bytes that are readable, and in a range for want of room.
    pub(super) given_up: u64,
    /// Bytes of RAM, and of these readable ones, behind the last range.
    passed: u64,
    readable: u64,
}

impl Losses {
    /// None, with room for so many.
    pub(super) const fn new(room: usize) -> Self {
        Self { ranges: Vec::new(), room, first: 0, given_up: 0, passed: 0, readable: 0 }
    }

    /// The same, with the room taken at once: adding never fails.
    pub(super) fn with_room(room: usize) -> Result<Self, Error> {
        let mut this = Self::new(room);
        let need = (room as u64).saturating_mul(size_of::<LostRange>() as u64);
        let failed = |_| Error::OutOfMemory { what: LIST, need };
        this.ranges.try_reserve_exact(room).map_err(failed)?;
        Ok(this)
    }

    /// Leaves half of the room to what comes behind [`Losses::restart`].
    pub(super) fn keep_half(&mut self) {
        self.room /= 2;
    }

    /// What comes is sorted again, and may lie in front of what is listed; it gets the half that was kept.
    pub(super) fn restart(&mut self) {
        self.room = self.room.saturating_mul(2);
        self.first = self.ranges.len();
        (self.passed, self.readable) = (0, 0);
    }

    /// RAM that is not lost, or not listed here.
    pub(super) fn pass(&mut self, bytes: u64, readable: bool) {
        self.passed = self.passed.saturating_add(bytes);
        self.readable = self.readable.saturating_add(if readable { bytes } else { 0 });
    }

    /// Adds a range behind all others. It is joined with the last one when there is nothing but
    /// holes between them, and always when there is no room: no lost byte is left out.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when it is not added.
    pub(super) fn add(&mut self, lost: LostRange) -> Result<(), Error> {
        let full = self.ranges.len() >= self.room;
        if let Some(last) = self.ranges.get_mut(self.first..).and_then(<[_]>::last_mut) {
            let alike = last.reason == lost.reason && self.passed == 0;
            let joined = PhysRange::from_half_open(last.range.start(), lost.range.end());
            if let (true, Ok(joined)) = (alike || full, joined) {
                if !alike {
                    self.given_up = self.given_up.saturating_add(self.readable);
                    last.reason =
                        if last.reason == lost.reason { lost.reason } else { LossReason::Unreadable };
                    // What was left out is not what lies between.
                    if matches!(last.reason, LossReason::Excluded(_)) {
                        last.reason = LossReason::Unreadable;
                    }
                }
                last.range = joined;
                (self.passed, self.readable) = (0, 0);
                return Ok(());
            }
        }
        push(&mut self.ranges, LIST, lost)?;
        (self.passed, self.readable) = (0, 0);
        Ok(())
    }
}

/// Why memory of a span has no bytes; `None` where it has some, or is none.
pub(super) fn reason_of(kind: SpanKind) -> Option<LossReason> {
    match kind {
        SpanKind::Missing => Some(LossReason::Missing),
        SpanKind::Unreadable => Some(LossReason::Unreadable),
        SpanKind::Corrupt => Some(LossReason::Corrupt),
        SpanKind::Excluded(class) => Some(LossReason::Excluded(class.map_or(0, PageClass::number))),
        SpanKind::Stored | SpanKind::Zero | SpanKind::Hole => None,
    }
}

/// What a read that failed says about the memory.
pub(super) fn reason_for(error: &Error) -> LossReason {
    match error {
        Error::Truncated { .. } | Error::Missing { .. } | Error::PartNotGiven { .. } => LossReason::Missing,
        // The page may be sound: this build cannot tell.
        Error::Page { cause: PageFault::Codec(CodecError::NotBuilt { .. }), .. } => LossReason::Unreadable,
        Error::Excluded { .. } => LossReason::Excluded(0),
        Error::Corrupt { .. } | Error::Elf { .. } | Error::Page { .. } => LossReason::Corrupt,
        _ => LossReason::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn lost(start: u64, end: u64, reason: LossReason) -> LostRange {
        LostRange::new(PhysRange::from_half_open(start, end).unwrap(), reason)
    }

    #[test]
    fn holes_do_not_divide_and_memory_does() {
        let mut losses = Losses::new(10);
        losses.add(lost(0x1000, 0x2000, LossReason::Missing)).unwrap();
        losses.add(lost(0x9000, 0xa000, LossReason::Missing)).unwrap();
        losses.pass(0x1000, true);
        losses.add(lost(0xb000, 0xc000, LossReason::Missing)).unwrap();
        losses.add(lost(0xc000, 0xd000, LossReason::Corrupt)).unwrap();
        let expected = vec![
            lost(0x1000, 0xa000, LossReason::Missing),
            lost(0xb000, 0xc000, LossReason::Missing),
            lost(0xc000, 0xd000, LossReason::Corrupt),
        ];
        assert_eq!((losses.ranges, losses.given_up), (expected, 0));
    }

    #[test]
    fn without_room_nothing_lost_becomes_readable() {
        let mut losses = Losses::new(2);
        losses.add(lost(0x1000, 0x2000, LossReason::Missing)).unwrap();
        losses.pass(0x1000, true);
        losses.add(lost(0x3000, 0x4000, LossReason::Excluded(2))).unwrap();
        losses.pass(0x800, true);
        losses.pass(0x400, false);
        losses.add(lost(0x5000, 0x6000, LossReason::Excluded(2))).unwrap();
        // Or what could be read would be zeros to whoever asks for them.
        assert_eq!(losses.ranges[1], lost(0x3000, 0x6000, LossReason::Unreadable));
        losses.add(lost(0x6000, 0x7000, LossReason::Corrupt)).unwrap();
        let expected =
            vec![lost(0x1000, 0x2000, LossReason::Missing), lost(0x3000, 0x7000, LossReason::Unreadable)];
        assert_eq!((losses.ranges, losses.given_up), (expected, 0x800));
    }
}
