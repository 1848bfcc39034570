//! Notes in buffers of the caller.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_elf::{NoteAlign, Notes, note_size, write_note};

use crate::error::libkdump_error;
use crate::{Bytes, BytesMut, Chars, Failure, Flow, InOut, Out, buffer, call, extensible, slice};

/// `n_type` of a CPU's registers, name "CORE".
pub const LIBKDUMP_NT_PRSTATUS: u32 = 1;
/// `n_type` of the VMCOREINFO text, name "VMCOREINFO".
pub const LIBKDUMP_NT_VMCOREINFO: u32 = 0;

/// One note. The pointers lead into the buffer or handle it was read from and live as long.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_note {
    /// `sizeof (struct libkdump_note)`, set by the caller.
    pub size: u32,
    /// `n_type`; its meaning depends on the name.
    pub n_type: u32,
    /// Where the note header begins, in bytes from the start of the buffer.
    pub offset: u64,
    /// Bytes of `name`; there may be no NUL behind them.
    pub name_len: u64,
    /// Bytes of `desc`.
    pub desc_len: u64,
    /// The name.
    pub name: *const c_void,
    /// The descriptor.
    pub desc: *const c_void,
}

extensible!(libkdump_note {
    n_type: u32,
    offset: u64,
    name_len: u64,
    desc_len: u64,
    name: *const c_void,
    desc: *const c_void,
});

impl libkdump_note {
    /// A note as C sees it.
    #[must_use]
    pub fn new(name: &[u8], n_type: u32, desc: &[u8], offset: u64) -> Self {
        Self {
            size: 0,
            n_type,
            offset,
            name_len: name.len() as u64,
            desc_len: desc.len() as u64,
            name: name.as_ptr().cast(),
            desc: desc.as_ptr().cast(),
        }
    }
}

/// Reads the next note of a buffer.
///
/// Parameters: `buf` and `len` the notes; `endian` their byte order; `align` the `p_align` of
/// the PT_NOTE, 0 and 4 being what Linux writes; `cursor` is 0 for the first call and is
/// advanced; `out` receives the note; `error` may be NULL. Returns LIBKDUMP_END behind the
/// last note. After an error, where the next note would begin is unknown: the call after it
/// returns LIBKDUMP_END. Errors: LIBKDUMP_ERR_TRUNCATED with the offset of the note.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_note_next(
    buf: Bytes<'_>,
    len: usize,
    endian: u32,
    align: u64,
    cursor: Out<'_, u64>,
    out: InOut<'_, libkdump_note>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let bytes = slice!(buf, len)?;
        let endian = crate::endian(endian)?;
        let place = out.place("out")?;
        let start = cursor.get("cursor")?;
        let at = usize::try_from(start).unwrap_or(usize::MAX).min(len);
        let mut notes =
            Notes::new(bytes.get(at..).unwrap_or_default(), endian, NoteAlign::from_p_align(align));
        let end = len as u64;
        match notes.next() {
            None => {
                cursor.set("cursor", end)?;
                Ok(Flow::End)
            }
            Some(Err(defect)) => {
                cursor.set("cursor", end)?;
                Err(Failure::Elf(shifted(defect, start)))
            }
            Some(Ok(note)) => {
                place.set(libkdump_note::new(note.name, note.n_type, note.desc, start));
                cursor.set("cursor", start.saturating_add(notes.consumed()))?;
                Ok(Flow::Done)
            }
        }
    })
}

/// Offsets count from the start of the caller's buffer.
fn shifted(defect: kdump_elf::Error, start: u64) -> kdump_elf::Error {
    match defect {
        kdump_elf::Error::Truncated { what, offset, need, have } => {
            kdump_elf::Error::Truncated { what, offset: offset.saturating_add(start), need, have }
        }
        other => other,
    }
}

/// Bytes that a note takes, padded to 4.
///
/// Parameters: `name_len` the length of the name without NUL; `desc_len` that of the
/// descriptor.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_note_size(name_len: usize, desc_len: usize) -> u64 {
    note_size(name_len, desc_len)
}

/// Writes one note, padded to 4.
///
/// Parameters: `buf` and `len` the buffer; `endian` the byte order; `name` the name; `n_type`
/// the type; `desc` and `desc_len` the descriptor; `written` (may be NULL) receives the padded
/// size; `error` may be NULL. Errors: LIBKDUMP_ERR_BUFFER with `need`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_note_write(
    buf: BytesMut<'_>,
    len: usize,
    endian: u32,
    name: Chars<'_>,
    n_type: u32,
    desc: Bytes<'_>,
    desc_len: usize,
    written: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let name = name.bytes().ok_or(Failure::Null { name: "name" })?;
        let desc = slice!(desc, desc_len)?;
        let size = write_note(buffer!(buf, len)?, crate::endian(endian)?, name, n_type, desc)?;
        written.set_if_given("written", size)
    })
}
