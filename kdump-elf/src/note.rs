// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF notes (gABI, "Note Section"): reading them one by one and writing one.

use zerocopy::{ByteOrder, FromBytes};

use crate::bytes::{copy_to, write_prefix};
use crate::raw::Nhdr;
use crate::with_byte_order;
use crate::{Endian, Error};

/// `n_type` of a CPU's registers, name `CORE`.
pub const NT_PRSTATUS: u32 = 1;
/// `n_type` of the VMCOREINFO text, name `VMCOREINFO`.
pub const NT_VMCOREINFO: u32 = 0;
/// Name of the VMCOREINFO note.
pub const VMCOREINFO_NOTE_NAME: &[u8] = b"VMCOREINFO";
/// Name of the notes that `elf(5)` defines for cores.
pub const CORE_NOTE_NAME: &[u8] = b"CORE";
/// Bytes of a note header, in either class.
pub const NHDR_SIZE: usize = 12;

/// To what the name and the descriptor of a note are padded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoteAlign {
    /// 4 bytes: what Linux writes in both classes.
    #[default]
    Four,
    /// 8 bytes: what the gABI asks of ELF64 files.
    Eight,
}

impl NoteAlign {
    /// From the `p_align` of the PT_NOTE; everything but 8 means 4.
    #[must_use]
    pub const fn from_p_align(p_align: u64) -> Self {
        if p_align == 8 { Self::Eight } else { Self::Four }
    }

    /// `len` rounded up, in 64 bits so that hostile lengths cannot wrap.
    const fn pad(self, len: u64) -> u64 {
        let low = match self {
            Self::Four => 3,
            Self::Eight => 7,
        };
        len.saturating_add(low) & !low
    }
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// The name without its terminating NUL bytes.
    pub name: &'a [u8],
    /// `n_type`; its meaning depends on the name.
    pub n_type: u32,
    /// The descriptor.
    pub desc: &'a [u8],
    /// Where the note header begins, in bytes from the start of the given buffer.
    pub offset: u64,
}

/// Iterator over the notes in a buffer.
///
/// A note whose name is empty is a note like any other. A header of zeros alone is none: it
/// ends the notes of a buffer in memory ([`Notes::new`]), as Linux ends its notes, and is
/// passed over in a file ([`Notes::in_file`]). A damaged note yields one error, after which
/// nothing more comes: where the next one would begin is unknown.
#[derive(Clone, Debug)]
pub struct Notes<'a> {
    bytes: &'a [u8],
    offset: usize,
    endian: Endian,
    align: NoteAlign,
    null_ends: bool,
    poisoned: bool,
}

impl<'a> Notes<'a> {
    /// The notes in a buffer of a kernel's memory, which may be larger than its notes: they end
    /// at a header of zeros, and what follows is not looked at.
    #[must_use]
    pub const fn new(bytes: &'a [u8], endian: Endian, align: NoteAlign) -> Self {
        Self { bytes, offset: 0, endian, align, null_ends: true, poisoned: false }
    }

    /// The notes in the `p_filesz` bytes of a file's PT_NOTE: they end where it ends, and a
    /// header of zeros hides nothing that follows.
    #[must_use]
    pub const fn in_file(bytes: &'a [u8], endian: Endian, align: NoteAlign) -> Self {
        Self { bytes, offset: 0, endian, align, null_ends: false, poisoned: false }
    }

    /// Bytes up to the end of the last note read, its padding included as far as it is there:
    /// after the last item, the true size of the notes without their terminator.
    #[must_use]
    pub const fn consumed(&self) -> u64 {
        self.offset as u64
    }

    fn header(&self, rest: &[u8]) -> Option<(u32, u32, u32)> {
        fn read<O: ByteOrder>(rest: &[u8]) -> Option<(u32, u32, u32)> {
            let (raw, _) = Nhdr::<O>::ref_from_prefix(rest).ok()?;
            Some((raw.n_namesz.get(), raw.n_descsz.get(), raw.n_type.get()))
        }
        with_byte_order!(self.endian, O => read::<O>(rest))
    }

    /// Bytes from the start of the buffer to the first note at or behind `offset`, when only
    /// headers of zeros stand between them.
    fn skip_nulls(&self, offset: usize) -> usize {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        let null = usize::try_from(self.align.pad(NHDR_SIZE as u64)).unwrap_or(NHDR_SIZE);
        offset.saturating_add(zeros.saturating_sub(zeros.checked_rem(null).unwrap_or(0)))
    }

    fn read(&mut self) -> Result<Option<Note<'a>>, Error> {
        let begin = if self.null_ends { self.offset } else { self.skip_nulls(self.offset) };
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let offset = begin as u64;
        let have = rest.len() as u64;
        let Some((n_namesz, n_descsz, n_type)) = self.header(rest) else {
            // Up to a header's worth of padding behind the last note is no note.
            if rest.iter().all(|&byte| byte == 0) {
                return Ok(None);
            }
            return Err(Error::Truncated { what: "note header", offset, need: NHDR_SIZE as u64, have });
        };
        if (n_namesz, n_descsz, n_type) == (0, 0, 0) {
            return Ok(None);
        }
        let name_end = (NHDR_SIZE as u64).saturating_add(u64::from(n_namesz));
        // The padding behind the name of a last note without descriptor may be missing.
        let desc_start = match (self.align.pad(name_end), n_descsz) {
            (start, 0) if start > have => name_end,
            (start, _) => start,
        };
        let desc_end = desc_start.saturating_add(u64::from(n_descsz));
        let cut = |from: u64, to: u64| {
            let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
            rest.get(from..to)
        };
        let (Some(name), Some(desc)) = (cut(NHDR_SIZE as u64, name_end), cut(desc_start, desc_end)) else {
            return Err(Error::Truncated { what: "note", offset, need: desc_end, have });
        };
        // The padding of the last note may be missing.
        let end = self.align.pad(desc_end).min(have);
        self.offset = begin.saturating_add(usize::try_from(end).unwrap_or(usize::MAX));
        Ok(Some(Note { name: trim_nul(name), n_type, desc, offset }))
    }
}

impl<'a> Iterator for Notes<'a> {
    type Item = Result<Note<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.poisoned {
            return None;
        }
        let item = self.read().transpose();
        self.poisoned = !matches!(item, Some(Ok(_)));
        item
    }
}

impl core::iter::FusedIterator for Notes<'_> {}

/// Bytes that a note with this name (without NUL) and descriptor length takes, padded to 4.
#[must_use]
pub const fn note_size(name_len: usize, desc_len: usize) -> u64 {
    let name = NoteAlign::Four.pad((name_len as u64).saturating_add(1));
    (NHDR_SIZE as u64).saturating_add(name).saturating_add(NoteAlign::Four.pad(desc_len as u64))
}

/// Writes one note with 4-byte padding to the start of `out` and returns its padded size.
/// The name is given without NUL; one is added.
///
/// # Errors
/// [`Error::Buffer`] when `out` is too short, [`Error::TooLarge`] when a length needs more
/// than 32 bits.
pub fn write_note(
    out: &mut [u8],
    endian: Endian,
    name: &[u8],
    n_type: u32,
    desc: &[u8],
) -> Result<usize, Error> {
    let have = out.len() as u64;
    let need = note_size(name.len(), desc.len());
    let size = usize::try_from(need).ok();
    let out = size.and_then(|size| out.get_mut(..size)).ok_or(Error::Buffer { need, have })?;
    out.fill(0);
    let n_namesz = crate::bytes::fit_u32("n_namesz", (name.len() as u64).saturating_add(1))?;
    let n_descsz = crate::bytes::fit_u32("n_descsz", desc.len() as u64)?;
    with_byte_order!(endian, O => write_prefix(out, &nhdr::<O>(n_namesz, n_descsz, n_type)))?;
    let (_, rest) = out.split_at_mut_checked(NHDR_SIZE).unwrap_or_default();
    let padded = usize::try_from(NoteAlign::Four.pad(u64::from(n_namesz))).unwrap_or(usize::MAX);
    let (name_field, desc_field) = rest.split_at_mut_checked(padded).ok_or(Error::Buffer { need, have })?;
    copy_to(name_field, name);
    copy_to(desc_field, desc);
    Ok(out.len())
}

fn nhdr<O: ByteOrder>(n_namesz: u32, n_descsz: u32, n_type: u32) -> Nhdr<O> {
    Nhdr { n_namesz: n_namesz.into(), n_descsz: n_descsz.into(), n_type: n_type.into() }
}

fn trim_nul(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = name {
        name = rest;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_in_both_orders() {
        for endian in [Endian::Little, Endian::Big] {
            let mut buffer = [0xff; 64];
            let first = write_note(&mut buffer, endian, b"CORE", 1, &[1, 2, 3]).unwrap();
            assert_eq!((first, first as u64), (24, note_size(4, 3)));
            let second = write_note(&mut buffer[first..], endian, b"VMCOREINFO", 0, b"A=1\n").unwrap();
            let end = first + second;
            buffer[end..].fill(0);
            let mut notes = Notes::new(&buffer, endian, NoteAlign::Four);
            let note = notes.next().unwrap().unwrap();
            assert_eq!((note.name, note.n_type, note.desc), (&b"CORE"[..], 1, &[1, 2, 3][..]));
            let note = notes.next().unwrap().unwrap();
            assert_eq!((note.name, note.desc, note.offset), (&b"VMCOREINFO"[..], &b"A=1\n"[..], 24));
            assert_eq!(notes.next(), None);
            assert_eq!(notes.consumed(), end as u64);
        }
    }

    #[test]
    fn a_note_that_fills_the_buffer_needs_no_terminator() {
        let mut buffer = [0; 24];
        write_note(&mut buffer, Endian::Little, b"CORE", 1, &[1, 2, 3]).unwrap();
        assert_eq!(Notes::new(&buffer, Endian::Little, NoteAlign::Four).filter(Result::is_ok).count(), 1);
        // The padding behind the last descriptor may be cut off.
        assert_eq!(
            Notes::new(&buffer[..23], Endian::Little, NoteAlign::Four).filter(Result::is_ok).count(),
            1
        );
        // So may that behind the name when there is no descriptor.
        buffer[4..8].fill(0);
        let mut notes = Notes::new(&buffer[..17], Endian::Little, NoteAlign::Four);
        assert_eq!(notes.next().unwrap().unwrap().name, CORE_NOTE_NAME);
        assert_eq!((notes.consumed(), notes.next()), (17, None));
    }

    #[test]
    fn a_note_without_a_name_hides_nothing() {
        let mut info = [0; 28];
        write_note(&mut info, Endian::Little, b"VMCOREINFO", 0, b"A=1\n").unwrap();
        let with_desc = [0, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3, 4];
        let typed = [0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0];
        let null = [0; 12];
        for (parts, expected) in [
            ([&with_desc[..], &info], 2),
            ([&typed[..], &info], 2),
            ([&null[..], &info], 1),
            ([&[0; 36][..], &info], 1),
        ] {
            let buffer = parts.concat();
            let notes = Notes::in_file(&buffer, Endian::Little, NoteAlign::Four);
            let found: std::vec::Vec<_> = notes.map(Result::unwrap).collect();
            assert_eq!(found.len(), expected);
            let last = found.last().unwrap();
            assert_eq!((last.name, last.desc), (VMCOREINFO_NOTE_NAME, &b"A=1\n"[..]));
            assert_eq!(last.offset, parts[0].len() as u64);
        }
        // In memory too a name is no condition, but a header of zeros is the end.
        let buffer = [&with_desc[..], &info, &null, &info].concat();
        let mut notes = Notes::new(&buffer, Endian::Little, NoteAlign::Four);
        let first = notes.next().unwrap().unwrap();
        assert_eq!((first.name, first.n_type, first.desc), (&b""[..], 9, &[1, 2, 3, 4][..]));
        assert_eq!(notes.by_ref().count(), 1);
        assert_eq!(notes.consumed(), 44);
        // Zeros alone are no notes, however many.
        assert_eq!(Notes::in_file(&[0; 100], Endian::Little, NoteAlign::Eight).next(), None);
    }

    #[test]
    fn damage_poisons() {
        let mut buffer = [0; 48];
        write_note(&mut buffer, Endian::Little, b"CORE", 1, &[0; 4]).unwrap();
        buffer[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut notes = Notes::new(&buffer, Endian::Little, NoteAlign::Four);
        assert!(notes.next().unwrap().is_ok());
        assert!(matches!(notes.next(), Some(Err(Error::Truncated { what: "note", offset: 24, .. }))));
        assert_eq!(notes.next(), None);
    }

    #[test]
    fn eight_byte_padding() {
        let mut buffer = [0; 32];
        buffer[..12].copy_from_slice(&[4, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0]);
        buffer[12..16].copy_from_slice(b"GNU\0");
        buffer[16..18].copy_from_slice(&[7, 8]);
        let note = Notes::new(&buffer, Endian::Little, NoteAlign::from_p_align(8)).next().unwrap().unwrap();
        assert_eq!((note.name, note.desc), (&b"GNU"[..], &[7, 8][..]));
    }

    #[test]
    fn writer_refuses_short_buffers() {
        let error = write_note(&mut [0; 23], Endian::Little, b"CORE", 1, &[1, 2, 3]).unwrap_err();
        assert_eq!(error, Error::Buffer { need: 24, have: 23 });
    }
}
