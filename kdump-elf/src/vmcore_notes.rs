// SPDX-License-Identifier: MIT OR Apache-2.0
//! The notes of many PT_NOTEs in old memory, merged into one as /proc/vmcore does.
//!
//! One bad thing costs only itself: memory that cannot be read ends the notes of its PT_NOTE,
//! as does a note that is damaged. What precedes it and all other PT_NOTEs are kept.

use crate::{CaptureHeader, Error, NoteAlign, Notes, PT_NOTE, Phdr, front};

/// Why notes of one PT_NOTE were left out, or what was odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoteDefect<E> {
    /// Index of its program header in the elfcorehdr, from 0.
    pub index: u32,
    /// What is wrong.
    pub cause: NoteCause<E>,
}

/// What is wrong with a PT_NOTE of an elfcorehdr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteCause<E> {
    /// A field of its program header. As many notes as possible were kept.
    Header(Error),
    /// Old memory from `paddr` on could not be read; notes that end before it were kept.
    Unreadable {
        /// The first physical address asked for.
        paddr: u64,
        /// What the reader said.
        error: E,
    },
    /// A note is damaged; those before it were kept. Offsets count from the start of the
    /// PT_NOTE.
    Note(Error),
}

/// Merges all notes into the start of `room`, all of which may be used, and returns how many
/// bytes they take, a multiple of 4. No read crosses the end of a page.
pub(crate) fn merge_notes<E>(
    header: &CaptureHeader<'_>,
    page_size: u64,
    room: &mut [u8],
    mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    mut report: impl FnMut(NoteDefect<E>),
) -> usize {
    let endian = header.core().encoding().endian;
    let limit = room.len() as u64;
    let mut used = 0_usize;
    for (index, phdr) in (0_u32..).zip(header.core().phdrs()).filter(|(_, phdr)| phdr.p_type == PT_NOTE) {
        let mut report = |cause| report(NoteDefect { index, cause });
        let want = header.notes_to_read(&phdr, limit);
        if let Some(error) = odd_header(index, &phdr, want) {
            report(NoteCause::Header(error));
        }
        // Where the shares of all do not fit, the last ones get what is left.
        let segment = front(room.get_mut(used..).unwrap_or_default(), want);
        let (have, unreadable) = read_pages(&phdr, page_size, segment, &mut read);
        let mut notes = Notes::new(segment.get(..have).unwrap_or_default(), endian, NoteAlign::Four);
        let damage = notes.by_ref().find_map(Result::err);
        match (unreadable, damage) {
            // That a note ends where reading ended is the same defect.
            (Some((paddr, error)), _) => report(NoteCause::Unreadable { paddr, error }),
            (None, Some(error)) => report(NoteCause::Note(error)),
            (None, None) => {}
        }
        let end = usize::try_from(notes.consumed()).unwrap_or(usize::MAX);
        used = pad(room, used.saturating_add(end));
    }
    used
}

/// The padding that a last note may lack: the next one follows behind it. Returns where.
fn pad(room: &mut [u8], end: usize) -> usize {
    let padded = end.checked_next_multiple_of(4).unwrap_or(usize::MAX).min(room.len());
    room.get_mut(end..padded).unwrap_or_default().fill(0);
    padded
}

fn odd_header(index: u32, phdr: &Phdr, want: u64) -> Option<Error> {
    let odd = |field, value, expected| Some(Error::Phdr { index, field, value, expected });
    if want < phdr.p_memsz {
        let expected = "its share of the room for all notes (32 MiB at most) and an end inside the address \
                        space; it is cut";
        return odd("p_memsz", phdr.p_memsz, expected);
    }
    if phdr.p_filesz != phdr.p_memsz {
        return odd("p_filesz", phdr.p_filesz, "the value of p_memsz, which is used");
    }
    None
}

/// Fills `out` from the notes of `phdr`, page by page of old memory. Returns how many bytes
/// could be read and what stopped it where.
fn read_pages<E>(
    phdr: &Phdr,
    page_size: u64,
    out: &mut [u8],
    read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> (usize, Option<(u64, E)>) {
    let mut done = 0_usize;
    while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let paddr = phdr.p_offset.saturating_add(done as u64);
        let in_page = page_size.saturating_sub(paddr & page_size.saturating_sub(1));
        let piece = front(rest, in_page.max(1));
        if let Err(error) = read(paddr, piece) {
            return (done, Some((paddr, error)));
        }
        done = done.saturating_add(piece.len());
    }
    (done, None)
}
