//! The vmcore view over a callback, in memory of the caller: what /proc/vmcore would show.
//!
//! The header page and the merged notes stand in the caller's workspace; memory is read
//! through the callback. What the file holds is [`VmcoreFile`]'s to say.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_elf::{CaptureHeader, CoreHeader, NoteCause, NoteDefect, VmcoreFile};

use crate::callback::libkdump_read_fn;
use crate::error::libkdump_error;
use crate::failure::Fail;
use crate::{Bytes, BytesMut, Failure, In, InOut, Out, buffer, call, elf_code, extensible, reader, slice};

/// A view of old memory as an ELF core. Set up by libkdump_view_init(); the caller owns it and
/// only reads the fields with a comment. Nothing needs to be freed. Any number of threads may
/// read through one view if the callback allows it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_view {
    /// `sizeof (struct libkdump_view)`, set by the caller.
    pub size: u32,
    /// Number of program headers of the view: the notes and one per range of memory.
    pub phnum: u32,
    /// How many of the PT_NOTEs are damaged or could not be read as a whole; whatever could be
    /// read of them, and all others, are kept.
    pub damaged_notes: u32,
    /// PT_NOTEs of the elfcorehdr.
    pub note_phdrs: u32,
    /// Bytes of the whole file.
    pub file_size: u64,
    /// Where the first page of memory begins.
    pub memory_offset: u64,
    /// Page size of the view.
    pub page_size: u64,
    /// Bytes of `elfcorehdr`.
    pub elfcorehdr_len: u64,
    /// The caller's elfcorehdr.
    pub elfcorehdr: *const c_void,
    /// The caller's workspace, `memory_offset` bytes of it in use.
    pub workspace: *const c_void,
    /// The caller's callback.
    pub read: libkdump_read_fn,
    /// Its first argument.
    pub user: *mut c_void,
    /// Index in the elfcorehdr of the first damaged PT_NOTE; 0 when none is.
    pub first_damaged: u32,
    /// What is wrong with it: LIBKDUMP_ERR_CORRUPT for its program header,
    /// LIBKDUMP_ERR_CALLBACK when it could not be read, LIBKDUMP_ERR_TRUNCATED for a note; 0
    /// when none is damaged.
    pub first_damage: i32,
}

extensible!(libkdump_view {
    phnum: u32,
    damaged_notes: u32,
    note_phdrs: u32,
    file_size: u64,
    memory_offset: u64,
    page_size: u64,
    elfcorehdr_len: u64,
    elfcorehdr: *const c_void,
    workspace: *const c_void,
    read: libkdump_read_fn,
    user: *mut c_void,
    first_damaged: u32,
    first_damage: i32,
});

/// How large a workspace libkdump_view_init() needs: the header and all notes, in whole pages.
///
/// Parameters: `elfcorehdr` and `len` the header the capture kernel was given; `page_size` that
/// of the view; `bytes` receives the size, of which at most 32 MiB are for notes; `error` may be
/// NULL. Errors: LIBKDUMP_ERR_CORRUPT or LIBKDUMP_ERR_TRUNCATED for a header that gives no view,
/// LIBKDUMP_ERR_TOO_LARGE for one whose file would not fit 64 bits.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_view_workspace_size(
    elfcorehdr: Bytes<'_>,
    len: usize,
    page_size: u64,
    bytes: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let header = CaptureHeader::parse(slice!(elfcorehdr, len)?, None)?;
        bytes.set("bytes", VmcoreFile::workspace_size(&header, page_size)?)
    })
}

/// Builds a view: reads all notes through the callback and merges them. Notes that cannot be
/// read or are damaged are no failure: they are counted in `damaged_notes`. When all PT_NOTEs
/// together say they have more than 32 MiB, each is cut to the same share of it.
///
/// Parameters: `view` is filled; `elfcorehdr` and `len` the header, which must live as long as
/// the view; `page_size` that of the view; `workspace` and `workspace_len` memory that must live
/// as long as the view; `read` and `user` the callback; `error` may be NULL. Errors: those of
/// libkdump_view_workspace_size(), LIBKDUMP_ERR_CORRUPT also for ranges of memory that contradict
/// each other, LIBKDUMP_ERR_BUFFER with `need`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_view_init(
    view: InOut<'_, libkdump_view>,
    elfcorehdr: Bytes<'_>,
    len: usize,
    page_size: u64,
    workspace: BytesMut<'_>,
    workspace_len: usize,
    read: libkdump_read_fn,
    user: *mut c_void,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let place = view.place("view")?;
        let reader = reader!(read, user)?;
        let header = CaptureHeader::parse(slice!(elfcorehdr, len)?, None)?;
        let need = VmcoreFile::workspace_size(&header, page_size)?;
        let work = buffer!(workspace, workspace_len)?;
        let have = work.len() as u64;
        let room = usize::try_from(need).ok().and_then(|need| work.get_mut(..need));
        let room = room.ok_or(Failure::Buffer { need, have })?;
        let mut damage = Damage::default();
        let read_old = |paddr, buf: &mut [u8]| reader.read(paddr, buf);
        let file = VmcoreFile::build(&header, page_size, room, read_old, |defect| damage.add(&defect))?;
        place.set(libkdump_view {
            size: 0,
            phnum: file.header().phnum(),
            damaged_notes: damage.count,
            note_phdrs: header.note_phdrs(),
            file_size: file.size(),
            memory_offset: file.head().len() as u64,
            page_size,
            elfcorehdr_len: len as u64,
            elfcorehdr: elfcorehdr.as_ptr(),
            workspace: workspace.as_ptr().cast_const(),
            read,
            user,
            first_damaged: damage.first.unwrap_or(0),
            first_damage: damage.code,
        });
        Ok::<_, Failure>(())
    })
}

/// Reads from the view as from a file.
///
/// Parameters: `view` set up by libkdump_view_init(); `offset` in bytes from the start of the
/// file; `buf` and `len` the buffer; `done` receives the bytes read, on failure those before
/// the failure; `error` may be NULL. Fewer bytes than asked for and LIBKDUMP_OK mean the end of
/// the file. Errors: LIBKDUMP_ERR_CALLBACK with the address.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_view_read(
    view: In<'_, libkdump_view>,
    offset: u64,
    buf: BytesMut<'_>,
    len: usize,
    done: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        done.set("done", 0)?;
        let view = view.get("view")?;
        let buf = buffer!(buf, len)?;
        let length = |len: u64| usize::try_from(len).unwrap_or(usize::MAX);
        let (workspace, elfcorehdr) = (Bytes::new(view.workspace), Bytes::new(view.elfcorehdr));
        let head: &[u8] = slice!(workspace, length(view.memory_offset))?;
        let original = CoreHeader::parse(slice!(elfcorehdr, length(view.elfcorehdr_len))?)?;
        let file = VmcoreFile::open(&original, head, view.page_size)?;
        let reader = reader!(view.read, view.user)?;
        let mut count = 0_usize;
        while let Some(rest) = buf.get_mut(count..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(count as u64);
            match file.read_some(at, rest, |paddr, buf| reader.read(paddr, buf))? {
                0 => break,
                more => count = count.saturating_add(more),
            }
            done.set("done", count)?;
        }
        Ok::<_, Failure>(())
    })
}

/// What was found to be wrong with the PT_NOTEs.
#[derive(Default)]
struct Damage {
    count: u32,
    first: Option<u32>,
    last: Option<u32>,
    code: c_int,
}

impl Damage {
    fn add(&mut self, defect: &NoteDefect<Failure>) {
        if self.last != Some(defect.index) {
            self.count = self.count.saturating_add(1);
        }
        self.last = Some(defect.index);
        if self.first.is_none() {
            self.first = Some(defect.index);
            self.code = match &defect.cause {
                NoteCause::Header(error) | NoteCause::Note(error) => elf_code(error),
                NoteCause::Unreadable { error, .. } => error.code(),
            };
        }
    }
}
