// SPDX-License-Identifier: MIT OR Apache-2.0
//! The note in which a saved dump remembers what its source lacked, and how far saving came.
//!
//! Name `LIBKDUMP`, type 1. Its layout, in the byte order of the file, is written down in
//! docs/dump-note.md. A finished dump whose source lacked nothing has no such note.

use zerocopy::{ByteOrder, FromBytes, Immutable, IntoBytes, KnownLayout, U32, U64, Unaligned};

use crate::bytes::write_prefix;
use crate::with_byte_order;
use crate::{Endian, Error, PhysRange};

/// The name of our notes.
pub const LIBKDUMP_NOTE_NAME: &[u8] = b"LIBKDUMP";
/// `n_type` of the note that says what a saved dump lacks.
pub const NT_LIBKDUMP_SAVE: u32 = 1;
/// Bit of `e_flags` of a core that is not written to its end. makedumpfile sets the same one, but leaves
/// no note.
pub const EF_INCOMPLETE: u32 = 1;
/// Bytes of the descriptor in front of the ranges.
pub const SAVE_NOTE_HEAD: usize = 48;
/// Bytes of one range.
pub const SAVE_NOTE_ENTRY: usize = 24;

/// The layout that is written, and the only one that is understood.
const VERSION: u32 = 1;
/// [`SAVE_NOTE_ENTRY`] as it stands in the note.
const ENTRY_SIZE: u32 = 24;
const UNFINISHED: u32 = 1;
const SCATTERED: u32 = 2;
const MISSING: u32 = 1;
const UNREADABLE: u32 = 2;
const EXCLUDED: u32 = 3;
const CORRUPT: u32 = 4;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head<O: ByteOrder> {
    version: U32<O>,
    flags: U32<O>,
    good: U64<O>,
    count: U32<O>,
    entry_size: U32<O>,
    given_up: U64<O>,
    defects: U32<O>,
    reserved: [u8; 4],
    file_size: U64<O>,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry<O: ByteOrder> {
    start: U64<O>,
    size: U64<O>,
    reason: U32<O>,
    class: U32<O>,
}

/// Why a saved dump has no bytes for memory that its source described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The source had ended in front of it.
    Missing,
    /// The source could not be read there.
    Unreadable,
    /// The tool that wrote the source had left it out; the number says why, 0 when that is not
    /// known.
    Excluded(u32),
    /// Its place in the source could not be right, or what stood there could not be decoded.
    Corrupt,
}

/// Memory without bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostRange {
    /// Its physical addresses.
    pub range: PhysRange,
    /// Why.
    pub reason: LossReason,
}

impl LostRange {
    /// Memory without bytes, and why.
    #[must_use]
    pub const fn new(range: PhysRange, reason: LossReason) -> Self {
        Self { range, reason }
    }

    /// Writes the range to the start of `out` and returns its size, [`SAVE_NOTE_ENTRY`].
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` is too short.
    pub fn encode(&self, endian: Endian, out: &mut [u8]) -> Result<usize, Error> {
        with_byte_order!(endian, O => write_prefix(out, &self.raw::<O>()))
    }

    fn raw<O: ByteOrder>(&self) -> Entry<O> {
        let (reason, class) = match self.reason {
            LossReason::Missing => (MISSING, 0),
            LossReason::Unreadable => (UNREADABLE, 0),
            LossReason::Excluded(class) => (EXCLUDED, class),
            LossReason::Corrupt => (CORRUPT, 0),
        };
        Entry {
            start: self.range.start().into(),
            size: self.range.size().into(),
            reason: reason.into(),
            class: class.into(),
        }
    }

    fn parse<O: ByteOrder>(bytes: &[u8]) -> Option<Self> {
        let (raw, _) = Entry::<O>::ref_from_prefix(bytes).ok()?;
        let reason = match raw.reason.get() {
            MISSING => LossReason::Missing,
            EXCLUDED => LossReason::Excluded(raw.class.get()),
            CORRUPT => LossReason::Corrupt,
            // A reason that is not known is a loss all the same.
            _ => LossReason::Unreadable,
        };
        let range = PhysRange::from_len(raw.start.get(), raw.size.get()).ok()?;
        Some(Self { range, reason })
    }
}

/// What stands in front of the ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveState {
    /// Where the file is not written to its end: the offset, exclusive, up to which it is.
    /// `None` in a finished file.
    pub good: Option<u64>,
    /// Number of ranges.
    pub count: u32,
    /// Bytes that could be read and lie in a range all the same, because there was no room to
    /// list more ranges.
    pub given_up: u64,
    /// Other defects the source had.
    pub defects: u32,
    /// Where the data of pages does not stand in the order of their addresses: the bytes of the whole file, 0
    /// in one that is not written to its end.
    pub scattered: Option<u64>,
}

impl SaveState {
    /// Writes it to the start of `out` and returns its size, [`SAVE_NOTE_HEAD`].
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` is too short.
    pub fn encode(&self, endian: Endian, out: &mut [u8]) -> Result<usize, Error> {
        with_byte_order!(endian, O => write_prefix(out, &self.raw::<O>()))
    }

    fn raw<O: ByteOrder>(&self) -> Head<O> {
        let unfinished = if self.good.is_some() { UNFINISHED } else { 0 };
        let flags = unfinished | if self.scattered.is_some() { SCATTERED } else { 0 };
        Head {
            version: VERSION.into(),
            flags: flags.into(),
            good: self.good.unwrap_or(0).into(),
            count: self.count.into(),
            entry_size: ENTRY_SIZE.into(),
            given_up: self.given_up.into(),
            defects: self.defects.into(),
            reserved: [0; 4],
            file_size: self.scattered.unwrap_or(0).into(),
        }
    }
}

/// The note, read from its descriptor.
#[derive(Clone, Copy, Debug)]
pub struct SaveNote<'a> {
    state: SaveState,
    entry_size: usize,
    entries: &'a [u8],
    endian: Endian,
}

impl<'a> SaveNote<'a> {
    /// Reads a descriptor. One that is cut between its ranges is read as far as it goes, see
    /// [`SaveNote::is_cut`].
    ///
    /// # Errors
    /// [`Error::Truncated`] when not even its head is there; [`Error::Field`] for a version or a
    /// size of ranges that is not known.
    pub fn parse(desc: &'a [u8], endian: Endian) -> Result<Self, Error> {
        let parsed = with_byte_order!(endian, O => Self::parse_as::<O>(desc, endian));
        let (need, have) = (SAVE_NOTE_HEAD as u64, desc.len() as u64);
        parsed.unwrap_or(Err(Error::Truncated { what: "LIBKDUMP note", offset: 0, need, have }))
    }

    fn parse_as<O: ByteOrder + 'a>(desc: &'a [u8], endian: Endian) -> Option<Result<Self, Error>> {
        let (raw, entries) = Head::<O>::ref_from_prefix(desc).ok()?;
        let wrong = |field, value: U32<O>, expected| {
            Some(Err(Error::Field { field, value: u64::from(value.get()), expected }))
        };
        if raw.version.get() != VERSION {
            return wrong("version of the LIBKDUMP note", raw.version, "1");
        }
        let entry_size = usize::try_from(raw.entry_size.get()).unwrap_or(0);
        if entry_size < SAVE_NOTE_ENTRY {
            return wrong("entry size of the LIBKDUMP note", raw.entry_size, "at least 24");
        }
        let state = SaveState {
            good: (raw.flags.get() & UNFINISHED != 0).then(|| raw.good.get()),
            count: raw.count.get(),
            given_up: raw.given_up.get(),
            defects: raw.defects.get(),
            scattered: (raw.flags.get() & SCATTERED != 0).then(|| raw.file_size.get()),
        };
        Some(Ok(Self { state, entry_size, entries, endian }))
    }

    /// What stands in front of the ranges.
    #[must_use]
    pub fn state(&self) -> &SaveState {
        &self.state
    }

    /// Whether ranges are missing that were counted, or one is none.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.ranges().count() as u64 != u64::from(self.state.count)
    }

    /// The ranges, in the order they stand; they may overlap. Those that are empty or pass the
    /// last address are left out.
    pub fn ranges(&self) -> impl Iterator<Item = LostRange> + use<'a> {
        let count = usize::try_from(self.state.count).unwrap_or(usize::MAX);
        let endian = self.endian;
        self.entries
            .chunks_exact(self.entry_size)
            .take(count)
            .filter_map(move |bytes| with_byte_order!(endian, O => LostRange::parse::<O>(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn lost(start: u64, size: u64, reason: LossReason) -> LostRange {
        LostRange { range: PhysRange::from_len(start, size).unwrap(), reason }
    }

    fn written(endian: Endian, state: &SaveState, ranges: &[LostRange]) -> Vec<u8> {
        let mut out =
            std::vec![0; SAVE_NOTE_HEAD.saturating_add(ranges.len().saturating_mul(SAVE_NOTE_ENTRY))];
        state.encode(endian, &mut out).unwrap();
        for (range, at) in ranges.iter().zip(out[SAVE_NOTE_HEAD..].chunks_mut(SAVE_NOTE_ENTRY)) {
            range.encode(endian, at).unwrap();
        }
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let ranges = [
            lost(0x1000, 0x2000, LossReason::Missing),
            lost(0x8000, 1, LossReason::Unreadable),
            lost(0, 5, LossReason::Excluded(3)),
            lost(0x9000, 0x1000, LossReason::Corrupt),
        ];
        for endian in [Endian::Little, Endian::Big] {
            for good in [None, Some(7)] {
                let scattered = good.map(|good| good << 40);
                let state = SaveState { good, count: 4, given_up: 3, defects: 4, scattered };
                let bytes = written(endian, &state, &ranges);
                let note = SaveNote::parse(&bytes, endian).unwrap();
                assert_eq!((*note.state(), note.is_cut()), (state, false));
                assert_eq!(note.ranges().collect::<Vec<_>>(), ranges);
                let note = SaveNote::parse(&bytes[..bytes.len() - 1], endian).unwrap();
                assert!(note.is_cut());
                assert_eq!(note.ranges().collect::<Vec<_>>(), ranges[..3]);
            }
        }
    }

    /// The places docs/dump-note.md gives.
    #[test]
    fn the_layout_is_the_documented_one() {
        let state = SaveState { good: Some(5), count: 1, given_up: 8, defects: 9, scattered: None };
        let bytes = written(Endian::Little, &state, &[lost(0x10, 0x20, LossReason::Excluded(2))]);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!([word(0), word(4), word(16), word(20), word(32)], [1, 1, 1, 24, 9]);
        assert_eq!([long(8), long(24)], [5, 8]);
        assert_eq!([long(48), long(56)], [0x10, 0x20]);
        assert_eq!([word(64), word(68)], [3, 2]);
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        let bytes = written(Endian::Little, &SaveState { count: 1, ..SaveState::default() }, &[]);
        assert!(SaveNote::parse(&bytes, Endian::Little).unwrap().is_cut());
        assert!(matches!(
            SaveNote::parse(&bytes[..47], Endian::Little),
            Err(Error::Truncated { need: 48, have: 47, .. })
        ));
        for (at, value) in [(0, 2), (20, 23)] {
            let mut other = bytes.clone();
            other[at] = value;
            assert!(matches!(SaveNote::parse(&other, Endian::Little), Err(Error::Field { .. })));
        }
        // A range that passes the last address, and a reason of a later version.
        let wild = [lost(0x1000, 0x1000, LossReason::Missing), lost(0x3000, 8, LossReason::Missing)];
        let mut bytes = written(Endian::Little, &SaveState { count: 2, ..SaveState::default() }, &wild);
        bytes[SAVE_NOTE_HEAD + 8..SAVE_NOTE_HEAD + 16].fill(0xff);
        bytes[SAVE_NOTE_HEAD + SAVE_NOTE_ENTRY + 16] = 99;
        let note = SaveNote::parse(&bytes, Endian::Little).unwrap();
        assert!(note.is_cut());
        assert_eq!(note.ranges().collect::<Vec<_>>(), [lost(0x3000, 8, LossReason::Unreadable)]);
    }
}
