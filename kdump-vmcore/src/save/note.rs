//! The place of the note in which a saved dump remembers what its source lacked
//! (docs/dump-note.md).

use alloc::vec::Vec;

use kdump_elf::{
    EF_INCOMPLETE, Ehdr, Encoding, Endian, LIBKDUMP_NOTE_NAME, LostRange, NHDR_SIZE, NT_LIBKDUMP_SAVE, Note,
    NoteAlign, Notes, PT_NOTE, Phdr, SAVE_NOTE_ENTRY, SAVE_NOTE_HEAD, SaveState, note_size, write_note,
};

use super::WriteAt;
use super::losses::FOUND_ROOM;
use crate::dump::{NoteTable, is_vmcoreinfo};
use crate::error::{Error, elf};
use crate::room::{append, zeroed};

/// What a device writes at once, whole or not at all.
pub(super) const BLOCK: usize = 512;

/// The notes of one PT_NOTE of the source, without that of ours.
pub(super) struct Cleaned {
    pub(super) bytes: Vec<u8>,
    /// Where a further note can stand; `None` when the notes are damaged.
    end: Option<usize>,
    /// Where the text of VMCOREINFO is in `bytes`, of [`Cleaned::all`] alone.
    pub(super) vmcoreinfo: Option<usize>,
}

impl Cleaned {
    pub(super) fn new(bytes: &[u8], endian: Endian, p_align: u64) -> Result<Self, Error> {
        let what = "notes of the new file";
        let align = NoteAlign::from_p_align(p_align);
        let mut notes = Notes::in_file(bytes, endian, align);
        // Ours are cut out: `from` is where what is kept goes on.
        let (mut kept, mut from, mut end) = (Vec::new(), 0_usize, 0_usize);
        while let Some(note) = notes.next() {
            let Ok(note) = note else {
                append(&mut kept, what, bytes.get(from..).unwrap_or_default())?;
                return Ok(Self { bytes: kept, end: None, vmcoreinfo: None });
            };
            end = usize::try_from(notes.consumed()).unwrap_or(usize::MAX);
            if is_ours(&note) {
                let start = usize::try_from(note.offset).unwrap_or(usize::MAX);
                append(&mut kept, what, bytes.get(from..start).unwrap_or_default())?;
                from = end;
            }
        }
        append(&mut kept, what, bytes.get(from..end).unwrap_or_default())?;
        let step = if align == NoteAlign::Eight { 8 } else { 4 };
        let notes_end = kept.len().next_multiple_of(step);
        if from == 0 {
            // Zeros, which are no notes.
            append(&mut kept, what, bytes.get(end..).unwrap_or_default())?;
        }
        Ok(Self { bytes: kept, end: Some(notes_end), vmcoreinfo: None })
    }

    /// All notes of a dump but ours, as one segment: what is behind damage is not among them.
    pub(super) fn all(notes: &NoteTable, endian: Endian) -> Result<Self, Error> {
        let what = "notes of the new file";
        let (mut bytes, mut vmcoreinfo) = (Vec::new(), None);
        for note in notes.iter().filter(|note| !is_ours(note)) {
            let start = bytes.len();
            let size = note_size(note.name.len(), note.desc.len());
            append(&mut bytes, what, &zeroed(what, size)?)?;
            let place = bytes.get_mut(start..).unwrap_or_default();
            write_note(place, endian, note.name, note.n_type, note.desc).map_err(elf(what))?;
            if vmcoreinfo.is_none() && is_vmcoreinfo(&note) {
                let skip = usize::try_from(note_size(note.name.len(), 0)).unwrap_or(usize::MAX);
                vmcoreinfo = Some(start.saturating_add(skip));
            }
        }
        let end = Some(bytes.len());
        Ok(Self { bytes, end, vmcoreinfo })
    }

    /// Appends the notes to `head` as they are.
    pub(super) fn append(&self, head: &mut Vec<u8>, phdr: &mut Phdr) -> Result<(), Error> {
        let what = "notes of the new file";
        let padding = head.len().next_multiple_of(8).saturating_sub(head.len());
        append(head, what, &zeroed(what, padding as u64)?)?;
        phdr.p_offset = head.len() as u64;
        phdr.p_filesz = self.bytes.len() as u64;
        phdr.p_memsz = phdr.p_filesz;
        append(head, what, &self.bytes)
    }

    pub(super) fn takes_more(&self) -> bool {
        self.end.is_some()
    }
}

fn is_ours(note: &Note<'_>) -> bool {
    note.name == LIBKDUMP_NOTE_NAME && note.n_type == NT_LIBKDUMP_SAVE
}

/// Where the note is in the header of the new file, and what of the header depends on it.
#[derive(Clone, Debug)]
pub(super) struct NotePlace {
    encoding: Encoding,
    /// Of the note, from the start of the file.
    at: usize,
    size: usize,
    /// Of the descriptor.
    desc_at: usize,
    /// Ranges that were known before.
    known: usize,
    /// Of the PT_NOTE: its place in the header, and what it says in a whole file.
    pub(super) phdr_at: usize,
    pub(super) whole: Phdr,
    /// Defects of the source.
    pub(super) defects: u32,
    /// Where pages are not written in the order of their addresses: the size of the file once it is known.
    pub(super) scattered: Option<u64>,
}

impl NotePlace {
    /// Appends the notes in `cleaned` to `head` and ours behind them, which lists `known`.
    pub(super) fn append(
        head: &mut Vec<u8>,
        encoding: Encoding,
        phdr: &mut Phdr,
        cleaned: &Cleaned,
        known: &[LostRange],
        defects: u32,
    ) -> Result<Self, Error> {
        let what = "the note of the new file";
        let end = cleaned.end.unwrap_or(cleaned.bytes.len());
        let desc_skip =
            NHDR_SIZE.saturating_add(LIBKDUMP_NOTE_NAME.len().saturating_add(1).next_multiple_of(4));
        // The head of the descriptor lies in one block.
        let mut start = head.len().next_multiple_of(8);
        let desc = |start: usize| start.saturating_add(end).saturating_add(desc_skip);
        while desc(start) / BLOCK != desc(start).saturating_add(SAVE_NOTE_HEAD.saturating_sub(1)) / BLOCK {
            start = start.saturating_add(8);
        }
        let room = known.len().saturating_add(FOUND_ROOM);
        let desc_len = SAVE_NOTE_HEAD.saturating_add(room.saturating_mul(SAVE_NOTE_ENTRY));
        let size = usize::try_from(note_size(LIBKDUMP_NOTE_NAME.len(), desc_len)).unwrap_or(usize::MAX);
        let note_at = start.saturating_add(end);
        let behind = note_at.saturating_add(size).max(start.saturating_add(cleaned.bytes.len()));
        let need = behind.saturating_sub(head.len());
        append(head, what, &zeroed(what, need as u64)?)?;
        let target = head.get_mut(start..).and_then(|rest| rest.get_mut(..cleaned.bytes.len().min(end)));
        if let Some(target) = target {
            target.copy_from_slice(cleaned.bytes.get(..target.len()).unwrap_or_default());
        }
        let failed = elf("note of the new file");
        write_note(
            head.get_mut(note_at..).unwrap_or_default(),
            encoding.endian,
            LIBKDUMP_NOTE_NAME,
            NT_LIBKDUMP_SAVE,
            &zeroed(what, desc_len as u64)?,
        )
        .map_err(failed)?;
        phdr.p_offset = start as u64;
        let length = |len: usize| Phdr { p_filesz: len as u64, p_memsz: len as u64, ..*phdr };
        let whole = length(cleaned.bytes.len());
        *phdr = length(end.saturating_add(size));
        let place = Self {
            encoding,
            at: note_at,
            size,
            desc_at: note_at.saturating_add(desc_skip),
            known: known.len(),
            phdr_at: 0,
            whole,
            defects,
            scattered: None,
        };
        for (index, lost) in known.iter().enumerate() {
            place.put(head, 0, index, lost);
        }
        Ok(place)
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self, found: &[LostRange]) -> bool {
        self.known == 0 && found.is_empty() && self.defects == 0 && self.scattered.is_none()
    }

    /// The blocks of the file that hold the note, exclusive end.
    pub(super) fn blocks(&self) -> core::ops::Range<usize> {
        let start = self.at.checked_div(BLOCK).unwrap_or(0).saturating_mul(BLOCK);
        start..self.at.saturating_add(self.size).next_multiple_of(BLOCK)
    }

    /// The block with the head of the note.
    pub(super) fn head_block(&self) -> core::ops::Range<usize> {
        let start = self.desc_at.checked_div(BLOCK).unwrap_or(0).saturating_mul(BLOCK);
        start..start.saturating_add(BLOCK)
    }

    /// The blocks with the ranges that were found while copying.
    pub(super) fn found_blocks(&self, found: usize) -> core::ops::Range<usize> {
        let entry = |index: usize| {
            let skip = index.saturating_mul(SAVE_NOTE_ENTRY).saturating_add(SAVE_NOTE_HEAD);
            self.desc_at.saturating_add(skip)
        };
        let start = entry(self.known).checked_div(BLOCK).unwrap_or(0).saturating_mul(BLOCK);
        start..entry(self.known.saturating_add(found)).next_multiple_of(BLOCK)
    }

    fn put(&self, bytes: &mut [u8], start: usize, index: usize, lost: &LostRange) {
        let skip = index.saturating_mul(SAVE_NOTE_ENTRY).saturating_add(SAVE_NOTE_HEAD);
        let at = self.desc_at.saturating_add(skip).saturating_sub(start);
        // There is room for as many as Losses lists.
        let _ = lost.encode(self.encoding.endian, bytes.get_mut(at..).unwrap_or_default());
    }

    /// Writes the head of the note, and the ranges that were found, into `bytes`, which stand at
    /// offset `start` of the file.
    pub(super) fn fill(
        &self,
        bytes: &mut [u8],
        start: usize,
        good: Option<u64>,
        found: &[LostRange],
        given_up: u64,
    ) {
        for (index, lost) in (self.known..).zip(found) {
            self.put(bytes, start, index, lost);
        }
        let count = u32::try_from(self.known.saturating_add(found.len())).unwrap_or(u32::MAX);
        let mut state = SaveState::default();
        state.good = good;
        state.count = count;
        state.given_up = given_up;
        state.defects = self.defects;
        state.scattered = self.scattered;
        let at = self.desc_at.saturating_sub(start);
        let _ = state.encode(self.encoding.endian, bytes.get_mut(at..).unwrap_or_default());
    }

    /// Writes into `sink` what was found so far and how much of the file is good. `bytes` are the
    /// blocks of the note.
    pub(super) fn checkpoint<W: WriteAt + ?Sized>(
        &self,
        bytes: &mut [u8],
        sink: &mut W,
        good: u64,
        found: &[LostRange],
        given_up: u64,
    ) -> Result<(), Error> {
        let start = self.blocks().start;
        self.fill(bytes, start, Some(good), found, given_up);
        for blocks in [self.found_blocks(found.len()), self.head_block()] {
            let range = blocks.start.saturating_sub(start)..blocks.end.saturating_sub(start);
            let bytes = bytes.get(range).unwrap_or_default();
            sink.write_all_at(blocks.start as u64, bytes)?;
        }
        Ok(())
    }

    /// The bytes of the note that change while the file is written, exclusive end.
    pub(super) fn changing(&self) -> core::ops::Range<usize> {
        self.desc_at..self.at.saturating_add(self.size)
    }

    /// All of the note in front of these. A finished file that lacks nothing has zeros there.
    #[cfg(feature = "std")]
    pub(super) fn around(&self) -> core::ops::Range<usize> {
        self.at..self.desc_at
    }

    /// Of the bytes that change, the ranges that were known before: they never change.
    #[cfg(feature = "std")]
    pub(super) fn alike(&self) -> core::ops::Range<usize> {
        let start = self.desc_at.saturating_add(SAVE_NOTE_HEAD);
        start..start.saturating_add(self.known.saturating_mul(SAVE_NOTE_ENTRY))
    }

    #[cfg(feature = "std")]
    pub(super) fn endian(&self) -> Endian {
        self.encoding.endian
    }

    /// Takes the note out of `bytes`, which stand at offset `start` of the file.
    pub(super) fn erase(&self, bytes: &mut [u8], start: usize) {
        let at = self.at.saturating_sub(start);
        bytes.get_mut(at..at.saturating_add(self.size)).unwrap_or_default().fill(0);
    }
}

/// Says in the file header at the start of `bytes` whether the file is written to its end.
pub(super) fn mark(bytes: &mut [u8], unfinished: bool) -> Result<(), Error> {
    let failed = elf("new ELF header");
    let mut ehdr = Ehdr::parse(bytes).map_err(&failed)?;
    ehdr.e_flags = if unfinished { ehdr.e_flags | EF_INCOMPLETE } else { ehdr.e_flags & !EF_INCOMPLETE };
    ehdr.encode(bytes).map(|_| ()).map_err(&failed)
}

/// A block that says: a dump was to be here, and nothing of it is.
pub(super) fn stub(encoding: Encoding, e_machine: u16) -> Result<[u8; BLOCK], Error> {
    let mut block = [0; BLOCK];
    let ehdr = Ehdr { e_flags: EF_INCOMPLETE, ..Ehdr::core(encoding, e_machine, 0) };
    ehdr.encode(&mut block).map_err(elf("new ELF header"))?;
    Ok(block)
}

/// The last PT_NOTE of `phdrs` whose notes are in order.
pub(super) fn holder(phdrs: &[Phdr], cleaned: &[Cleaned]) -> Option<usize> {
    let notes = phdrs.iter().enumerate().filter(|(_, phdr)| phdr.p_type == PT_NOTE);
    notes.zip(cleaned).filter(|(_, notes)| notes.takes_more()).map(|((index, _), _)| index).last()
}
