//! The notes of a kdump-compressed file.

use alloc::vec::Vec;

use kdump_elf::{PT_NOTE, Phdr};

use super::header::{Extent, Header, fill};
use crate::dump::NoteTable;
use crate::error::Error;
use crate::room::{append, tell, zeroed};
use crate::source::ReadAt;

/// The notes; files of version 3 have the text of VMCOREINFO alone, which becomes a note.
pub(super) fn notes(
    source: &dyn ReadAt,
    header: &Header,
    defects: &mut Vec<Error>,
) -> Result<NoteTable, Error> {
    let endian = header.encoding.endian;
    let phdr = |extent: Extent| Phdr {
        p_type: PT_NOTE,
        p_offset: extent.offset,
        p_filesz: extent.size,
        p_align: 4,
        ..Phdr::default()
    };
    if header.notes.size > 0 || header.vmcoreinfo.size == 0 {
        return NoteTable::read(source, endian, &[phdr(header.notes)], defects);
    }
    match vmcoreinfo_note(source, header) {
        Ok(note) => {
            let extent = Extent { offset: 0, size: note.len() as u64 };
            NoteTable::read(&note, endian, &[phdr(extent)], defects)
        }
        Err(error) => {
            tell(defects, error)?;
            Ok(NoteTable::new(endian))
        }
    }
}

/// The text of VMCOREINFO as the note it would be.
fn vmcoreinfo_note(source: &dyn ReadAt, header: &Header) -> Result<Vec<u8>, Error> {
    const NAME: &[u8] = b"VMCOREINFO\0\0";
    const MAX: u64 = 1 << 20;
    let Extent { offset, size } = header.vmcoreinfo;
    if size > MAX {
        return Err(Error::TooLarge { what: "size_vmcoreinfo", value: size, limit: MAX });
    }
    let (mut text, mut note) = (zeroed("VMCOREINFO", size)?, Vec::new());
    fill(source, offset, "VMCOREINFO", &mut text)?;
    let number = |value: u32| header.encoding.endian.bytes(value);
    // Name with its zero, but without the padding.
    let len = u32::try_from(size).unwrap_or(0);
    let padding = [0; 3].get(..text.len().wrapping_neg() % 4).unwrap_or_default();
    for piece in [&number(11)[..], &number(len), &number(0), NAME, &text, padding] {
        append(&mut note, "VMCOREINFO", piece)?;
    }
    Ok(note)
}
