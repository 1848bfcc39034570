//! All notes of a dump, kept with the place each has in the file.

use alloc::vec::Vec;

use kdump_elf::{
    CORE_NOTE_NAME, Endian, NT_PRSTATUS, NT_VMCOREINFO, Note, NoteAlign, Notes, PT_NOTE, Phdr,
    VMCOREINFO_NOTE_NAME, VmcoreInfo,
};

use crate::error::Error;
use crate::error::elf;
use crate::source::ReadAt;

/// Bytes of notes kept in memory: 8192 CPUs with vector registers and device dumps fit.
const MAX_NOTES: u64 = 128 << 20;

/// Where one note lies in [`NoteTable::bytes`].
#[derive(Clone, Copy, Debug)]
struct Entry {
    segment: usize,
    /// Of the note header, from the start of its segment.
    start: usize,
}

/// The bytes of one PT_NOTE.
#[derive(Clone, Debug)]
struct Segment {
    bytes: Vec<u8>,
    file_offset: u64,
    align: NoteAlign,
}

/// The notes of a dump, in file order.
#[derive(Clone, Debug)]
pub struct NoteTable {
    endian: Endian,
    segments: Vec<Segment>,
    entries: Vec<Entry>,
    /// Which of the entries have the registers of a CPU.
    prstatus: Vec<usize>,
}

impl NoteTable {
    /// No notes.
    #[must_use]
    pub const fn new(endian: Endian) -> Self {
        Self { endian, segments: Vec::new(), entries: Vec::new(), prstatus: Vec::new() }
    }

    /// Reads all PT_NOTE among `phdrs`. What cannot be read or parsed is left out and told in
    /// `defects`; the rest stays usable.
    pub(crate) fn read(
        source: &dyn ReadAt,
        endian: Endian,
        phdrs: &[Phdr],
        defects: &mut Vec<Error>,
    ) -> Self {
        let mut table = Self::new(endian);
        let mut room = MAX_NOTES;
        for phdr in phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE) {
            if phdr.p_filesz > room {
                let value = phdr.p_filesz;
                defects.push(Error::TooLarge { what: "size of the notes", value, limit: room });
            }
            let want = phdr.p_filesz.min(room);
            room = room.saturating_sub(want);
            table.add(read_segment(source, phdr, want, defects), defects);
        }
        table
    }

    fn add(&mut self, segment: Segment, defects: &mut Vec<Error>) {
        let index = self.segments.len();
        for note in Notes::in_file(&segment.bytes, self.endian, segment.align) {
            match note {
                Ok(note) => {
                    let start = usize::try_from(note.offset).unwrap_or(usize::MAX);
                    if note.name == CORE_NOTE_NAME && note.n_type == NT_PRSTATUS {
                        self.prstatus.push(self.entries.len());
                    }
                    self.entries.push(Entry { segment: index, start });
                }
                Err(error) => defects.push(elf("notes")(error)),
            }
        }
        self.segments.push(segment);
    }

    /// Every note; [`Note::offset`] is the offset of its header in the file.
    pub fn iter(&self) -> impl Iterator<Item = Note<'_>> {
        self.entries.iter().filter_map(|entry| self.note(*entry))
    }

    /// The note with this index in the order of [`NoteTable::iter`], without a walk over those
    /// before it; `None` behind the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Note<'_>> {
        self.note(*self.entries.get(index)?)
    }

    fn note(&self, entry: Entry) -> Option<Note<'_>> {
        let segment = self.segments.get(entry.segment)?;
        let bytes = segment.bytes.get(entry.start..)?;
        let mut note = Notes::in_file(bytes, self.endian, segment.align).next()?.ok()?;
        note.offset = segment.file_offset.saturating_add(entry.start as u64);
        Some(note)
    }

    /// What could be read of each PT_NOTE, in the order of the program headers.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().map(|segment| segment.bytes.as_slice())
    }

    /// VMCOREINFO, when the dump has it.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<VmcoreInfo<'_>> {
        self.iter()
            .find(|note| note.name == VMCOREINFO_NOTE_NAME && note.n_type == NT_VMCOREINFO)
            .map(|note| VmcoreInfo::new(note.desc))
            .filter(|info| !info.as_bytes().is_empty())
    }

    /// The notes with the registers of a CPU, in file order.
    pub(crate) fn prstatus(&self) -> impl Iterator<Item = Note<'_>> {
        self.prstatus.iter().filter_map(|&index| self.get(index))
    }

    /// How many notes have the registers of a CPU.
    pub(crate) fn prstatus_count(&self) -> usize {
        self.prstatus.len()
    }

    /// One of these.
    pub(crate) fn nth_prstatus(&self, index: usize) -> Option<Note<'_>> {
        self.get(*self.prstatus.get(index)?)
    }
}

fn read_segment(source: &dyn ReadAt, phdr: &Phdr, want: u64, defects: &mut Vec<Error>) -> Segment {
    let mut bytes = Vec::new();
    let len = usize::try_from(want).unwrap_or(0);
    // The size is the file's word: the room is taken only when there is that much to read.
    let available = source.size().map_or(0, |size| size.saturating_sub(phdr.p_offset));
    if available < want {
        defects.push(Error::Truncated {
            what: "PT_NOTE",
            offset: phdr.p_offset,
            need: want,
            have: available,
        });
    }
    let len = len.min(usize::try_from(available).unwrap_or(len));
    if bytes.try_reserve_exact(len).is_ok() {
        bytes.resize(len, 0);
        if let Err(stopped) = source.read_full_at(phdr.p_offset, &mut bytes) {
            bytes.truncate(stopped.read);
            defects.push(stopped.error);
        }
    } else {
        defects.push(Error::TooLarge { what: "size of the notes", value: want, limit: 0 });
    }
    Segment { bytes, file_offset: phdr.p_offset, align: NoteAlign::from_p_align(phdr.p_align) }
}
