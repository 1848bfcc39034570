//! All notes of a dump, kept with the place each has in the file.

use alloc::vec::Vec;

use kdump_elf::{
    Arch, CORE_NOTE_NAME, Endian, NT_PRSTATUS, NT_VMCOREINFO, Note, NoteAlign, Notes, PT_NOTE, Phdr,
    VMCOREINFO_NOTE_NAME, VmcoreInfo, prstatus_size,
};

use crate::error::Error;
use crate::error::elf;
use crate::room::{push, tell, zeroed};
use crate::source::ReadAt;

/// Bytes of all notes together: 8192 CPUs with vector registers and device dumps fit. They are
/// never more than the file has either, or PT_NOTEs would list the same bytes many times.
const MAX_NOTES: u64 = 64 << 20;
/// Notes that are listed: 16 for each of 8192 CPUs.
const MAX_COUNT: usize = 1 << 17;
/// Bytes of VMCOREINFO that are looked at; Linux fills a page of at most 64 KiB.
const MAX_VMCOREINFO: usize = 1 << 20;

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

    /// Reads all PT_NOTE among `phdrs`. What cannot be read or parsed, and what is over a limit,
    /// is left out and told in `defects`; the rest stays usable.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn read(
        source: &dyn ReadAt,
        endian: Endian,
        phdrs: &[Phdr],
        defects: &mut Vec<Error>,
    ) -> Result<Self, Error> {
        let mut table = Self::new(endian);
        let limit = source.size().map_or(MAX_NOTES, |size| size.min(MAX_NOTES));
        let mut total = 0_u64;
        for phdr in phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE) {
            let want = phdr.p_filesz.min(limit.saturating_sub(total));
            total = total.saturating_add(phdr.p_filesz);
            let segment = read_segment(source, phdr, want, defects)?;
            table.add(segment, defects)?;
        }
        if total > limit {
            let what = "size of all PT_NOTEs together";
            tell(defects, Error::TooLarge { what, value: total, limit })?;
        }
        table.tell_of_vmcoreinfo(defects)?;
        Ok(table)
    }

    fn add(&mut self, segment: Segment, defects: &mut Vec<Error>) -> Result<(), Error> {
        let index = self.segments.len();
        for note in Notes::in_file(&segment.bytes, self.endian, segment.align) {
            match note {
                Ok(_) if self.entries.len() >= MAX_COUNT => {
                    let (value, limit) = (MAX_COUNT.saturating_add(1) as u64, MAX_COUNT as u64);
                    let what = "number of notes, those behind not counted,";
                    tell(defects, Error::TooLarge { what, value, limit })?;
                    break;
                }
                Ok(note) => {
                    let start = usize::try_from(note.offset).unwrap_or(usize::MAX);
                    if note.name == CORE_NOTE_NAME && note.n_type == NT_PRSTATUS {
                        push(&mut self.prstatus, "the list of CPUs", self.entries.len())?;
                    }
                    push(&mut self.entries, "the list of notes", Entry { segment: index, start })?;
                }
                Err(error) => tell(defects, elf("notes")(error))?,
            }
        }
        push(&mut self.segments, "the list of PT_NOTEs", segment)
    }

    /// Tells when only a part of VMCOREINFO is looked at.
    fn tell_of_vmcoreinfo(&self, defects: &mut Vec<Error>) -> Result<(), Error> {
        let (value, limit) = (self.vmcoreinfo_note().map_or(0, |note| note.desc.len()), MAX_VMCOREINFO);
        if value <= limit {
            return Ok(());
        }
        let what = "size of VMCOREINFO";
        tell(defects, Error::TooLarge { what, value: value as u64, limit: limit as u64 })
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

    /// The architecture whose CPUs leave registers of the size of the first that are here; no two
    /// of one byte order leave the same.
    pub(crate) fn arch(&self) -> Option<Arch> {
        let size = self.nth_prstatus(0)?.desc.len();
        let same_order = |arch: Arch| arch == Arch::Ppc64 || arch.endian() == self.endian;
        Arch::all().find(|&arch| prstatus_size(arch) == size && same_order(arch))
    }

    /// What could be read of each PT_NOTE, in the order of the program headers.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.segments.iter().map(|segment| segment.bytes.as_slice())
    }

    /// VMCOREINFO, when the dump has it; of more than 1 MiB the beginning.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<VmcoreInfo<'_>> {
        let note = self.vmcoreinfo_note()?;
        let info = VmcoreInfo::new(note.desc.get(..MAX_VMCOREINFO).unwrap_or(note.desc));
        Some(info).filter(|info| !info.as_bytes().is_empty())
    }

    fn vmcoreinfo_note(&self) -> Option<Note<'_>> {
        self.iter().find(is_vmcoreinfo)
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

/// Whether it is the note of VMCOREINFO; the first one of a dump counts.
pub(crate) fn is_vmcoreinfo(note: &Note<'_>) -> bool {
    note.name == VMCOREINFO_NOTE_NAME && note.n_type == NT_VMCOREINFO
}

fn read_segment(
    source: &dyn ReadAt,
    phdr: &Phdr,
    want: u64,
    defects: &mut Vec<Error>,
) -> Result<Segment, Error> {
    // The size is the file's word: the room is taken only when there is that much to read.
    let have = source.size().map_or(0, |size| size.saturating_sub(phdr.p_offset));
    if have < want {
        let (what, offset) = ("PT_NOTE", phdr.p_offset);
        tell(defects, Error::Truncated { what, offset, need: want, have })?;
    }
    let mut bytes = zeroed("the notes", want.min(have))?;
    if let Err(stopped) = source.read_full_at(phdr.p_offset, &mut bytes) {
        bytes.truncate(stopped.read);
        tell(defects, stopped.error)?;
    }
    Ok(Segment { bytes, file_offset: phdr.p_offset, align: NoteAlign::from_p_align(phdr.p_align) })
}
