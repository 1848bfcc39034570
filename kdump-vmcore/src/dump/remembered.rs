//! What a saved dump remembers of its source, and how far saving came (docs/dump-note.md).

use alloc::vec::Vec;

use kdump_elf::{
    EF_INCOMPLETE, Endian, LIBKDUMP_NOTE_NAME, LossReason, LostRange, NT_LIBKDUMP_SAVE, Note, PhysRange,
    SaveNote,
};

use super::{NoteTable, PageClass, Span, SpanKind};
use crate::error::Error;
use crate::error::elf;
use crate::room::{push, tell};

/// Ranges that are kept; twice what is ever written.
const MAX_RANGES: usize = 1 << 17;

/// What the notes of ours say.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// Sorted and disjoint.
    ranges: Vec<Span>,
    /// The offset, exclusive, up to which an unfinished file is written.
    pub(super) good: Option<u64>,
    /// Where the data of pages stands in no order: the size of the whole file, 0 where that is not known.
    pub(super) scattered: Option<u64>,
    /// Bytes of the ranges that could be read when they were listed.
    pub(super) given_up: u64,
}

impl Remembered {
    /// From the notes of a file with these `e_flags`. What it says about the whole dump is told
    /// in `defects`.
    pub(super) fn read(
        notes: &NoteTable,
        endian: Endian,
        e_flags: u32,
        defects: &mut Vec<Error>,
    ) -> Result<Self, Error> {
        let mut this = Self::default();
        let mut unfinished = e_flags & EF_INCOMPLETE != 0;
        for note in notes.iter() {
            if !is_ours(&note) {
                continue;
            }
            match SaveNote::parse(note.desc, endian) {
                Ok(found) => {
                    unfinished |= found.state().good.is_some();
                    this.add(&found, defects)?;
                }
                Err(error) => {
                    tell(defects, elf("note of a saved dump")(error))?;
                    this.trust_none_from(0)?;
                }
            }
        }
        if unfinished {
            defects.insert(0, Error::Unfinished { good: this.good });
        }
        this.put_in_order();
        Ok(this)
    }

    /// Adds what another file of a set remembers, which may be the same. How far that file came is its own matter.
    pub(super) fn join(&mut self, other: Self) -> Result<(), Error> {
        self.given_up = self.given_up.max(other.given_up);
        for span in other.ranges {
            push(&mut self.ranges, "ranges of a saved dump", span)?;
        }
        self.put_in_order();
        if self.ranges.len() > MAX_RANGES {
            self.ranges.clear();
            self.trust_none_from(0)?;
        }
        Ok(())
    }

    fn put_in_order(&mut self) {
        self.ranges.sort_by_key(|span| span.range.start());
        let mut end = 0;
        self.ranges.retain_mut(|span| {
            let rest = PhysRange::from_half_open(span.range.start().max(end), span.range.end());
            let Ok(rest) = rest else { return false };
            span.range = rest;
            end = rest.end();
            true
        });
    }

    fn add(&mut self, note: &SaveNote<'_>, defects: &mut Vec<Error>) -> Result<(), Error> {
        let state = note.state();
        if let Some(good) = state.good {
            self.good = Some(self.good.map_or(good, |other| other.min(good)));
        }
        self.scattered = self.scattered.max(state.scattered);
        self.given_up = self.given_up.saturating_add(state.given_up);
        if state.defects != 0 {
            tell(defects, Error::SourceDefects { count: state.defects })?;
        }
        if note.is_cut() {
            let (value, expected) = (u64::from(state.count), "as many ranges as are listed");
            tell(defects, Error::Corrupt { what: "number of ranges of a saved dump", value, expected })?;
        }
        for lost in note.ranges() {
            if self.ranges.len() >= MAX_RANGES || self.ranges.try_reserve(1).is_err() {
                let (what, limit) = ("number of ranges of a saved dump", MAX_RANGES as u64);
                tell(defects, Error::TooLarge { what, value: u64::from(state.count), limit })?;
                self.ranges.clear();
                return self.trust_none_from(0);
            }
            self.ranges.push(span_of(lost));
        }
        if note.is_cut() {
            // They are listed by address: those that are not here lie behind.
            let end = self.ranges.iter().map(|span| span.range.end()).max();
            self.trust_none_from(end.unwrap_or(0))?;
        }
        Ok(())
    }

    /// Which bytes from `start` on are memory is not known: none are taken for it.
    fn trust_none_from(&mut self, start: u64) -> Result<(), Error> {
        let Ok(range) = PhysRange::from_half_open(start, u64::MAX) else { return Ok(()) };
        push(&mut self.ranges, "ranges of a saved dump", Span { range, kind: SpanKind::Unreadable })
    }

    /// Memory without bytes, by address.
    pub(super) fn ranges(&self) -> &[Span] {
        &self.ranges
    }

    /// Whether no range is known.
    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The range that `paddr` lies in, or else what lies between the ranges around it.
    pub(super) fn around(&self, paddr: u64) -> Result<Span, (u64, u64)> {
        let index = self.ranges.partition_point(|span| span.range.end() <= paddr);
        let next = self.ranges.get(index);
        if let Some(span) = next.filter(|span| span.range.contains(paddr)) {
            return Ok(*span);
        }
        let before = index.checked_sub(1).and_then(|index| self.ranges.get(index));
        Err((before.map_or(0, |span| span.range.end()), next.map_or(u64::MAX, |span| span.range.start())))
    }

    /// A span of RAM of the file, as far as what is remembered leaves `at` to it.
    pub(super) fn narrow(&self, base: Span, at: u64) -> Span {
        let clip = |start: u64, end: u64| {
            let (start, end) = (start.max(base.range.start()), end.min(base.range.end()));
            PhysRange::from_half_open(start, end).unwrap_or(base.range)
        };
        match self.around(at) {
            Ok(span) => Span { range: clip(span.range.start(), span.range.end()), kind: span.kind },
            Err((start, end)) => Span { range: clip(start, end), ..base },
        }
    }
}

/// Whether a note is that of a saved dump.
pub(super) fn is_ours(note: &Note<'_>) -> bool {
    note.name == LIBKDUMP_NOTE_NAME && note.n_type == NT_LIBKDUMP_SAVE
}

/// Why a byte of a remembered range cannot be read.
pub(super) fn error_of(kind: SpanKind, paddr: u64) -> Error {
    match kind {
        SpanKind::Excluded(_) => Error::Excluded { paddr },
        SpanKind::Missing => Error::Missing { paddr },
        SpanKind::Corrupt => Error::Corrupt {
            what: "the source of this copy at the physical address",
            value: paddr,
            expected: "memory that can be decoded",
        },
        _ => Error::Unreadable { paddr },
    }
}

fn span_of(lost: LostRange) -> Span {
    let kind = match lost.reason {
        LossReason::Missing => SpanKind::Missing,
        LossReason::Excluded(class) => SpanKind::Excluded(PageClass::from_number(class)),
        LossReason::Corrupt => SpanKind::Corrupt,
        // A reason that is not known is a loss all the same.
        _ => SpanKind::Unreadable,
    };
    Span { range: lost.range, kind }
}
