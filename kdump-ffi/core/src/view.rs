//! The vmcore view over a callback, in memory of the caller: what /proc/vmcore would show.
//!
//! The header page and the merged notes stand in the caller's workspace; memory is read
//! through the callback. Offsets are found by binary search in the table of program headers.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_elf::{
    CoreHeader, Ehdr, NoteAlign, Notes, PT_LOAD, PT_NOTE, Phdr, VmcoreLayout, align_down, align_up,
};

use crate::callback::{Reader, libkdump_read_fn};
use crate::elfcorehdr::nth_phdr;
use crate::error::libkdump_error;
use crate::{Bytes, BytesMut, Failure, In, InOut, Out, call, extensible, slice};

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
    /// How many of the PT_NOTEs end at a damaged note; what precedes it is kept.
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
});

/// How large a workspace libkdump_view_init() needs: the header and all notes, in whole pages.
///
/// Parameters: `elfcorehdr` and `len` the header the capture kernel was given; `page_size` that
/// of the view; `bytes` receives the size; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_CORRUPT or LIBKDUMP_ERR_TRUNCATED for a header that gives no view.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_view_workspace_size(
    elfcorehdr: Bytes<'_>,
    len: usize,
    page_size: u64,
    bytes: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let header = CoreHeader::parse(slice!(elfcorehdr, len)?)?;
        bytes.set("bytes", workspace_size(&header, page_size)?)
    })
}

/// Builds a view: reads all notes through the callback and merges them.
///
/// Parameters: `view` is filled; `elfcorehdr` and `len` the header, which must live as long as
/// the view; `page_size` that of the view; `workspace` and `workspace_len` memory that must live
/// as long as the view; `read` and `user` the callback; `error` may be NULL. Errors: those of
/// libkdump_view_workspace_size(), LIBKDUMP_ERR_BUFFER with `need`, LIBKDUMP_ERR_CALLBACK.
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
        let reader = Reader::new(read, user)?;
        let header = CoreHeader::parse(slice!(elfcorehdr, len)?)?;
        let need = workspace_size(&header, page_size)?;
        let work = slice!(workspace, workspace_len)?;
        let have = work.len() as u64;
        let room = usize::try_from(need).ok().and_then(|need| work.get_mut(..need));
        let head = build(&header, page_size, &reader, room.ok_or(Failure::Buffer { need, have })?)?;
        place.set(libkdump_view {
            size: 0,
            phnum: head.layout.phnum(),
            damaged_notes: head.damaged,
            note_phdrs: head.note_phdrs,
            file_size: head.layout.size(),
            memory_offset: head.layout.memory_offset(),
            page_size,
            elfcorehdr_len: len as u64,
            elfcorehdr: elfcorehdr.as_ptr(),
            workspace: workspace.as_ptr().cast_const(),
            read,
            user,
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
        let buf = slice!(buf, len)?;
        let open = Open::new(&view)?;
        let mut count = 0_usize;
        while let Some(rest) = buf.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match open.read_some(offset.saturating_add(count as u64), rest)? {
                0 => break,
                more => count = count.saturating_add(more),
            }
            done.set("done", count)?;
        }
        Ok::<_, Failure>(())
    })
}

/// What building the head of the file yields.
struct Head {
    layout: VmcoreLayout,
    damaged: u32,
    note_phdrs: u32,
}

fn notes_of<'a>(header: &CoreHeader<'a>) -> impl Iterator<Item = Phdr> + use<'a> {
    header.phdrs().take_while(|phdr| phdr.p_type == PT_NOTE)
}

fn workspace_size(header: &CoreHeader<'_>, page_size: u64) -> Result<u64, Failure> {
    let most = notes_of(header).fold(0_u64, |sum, phdr| sum.saturating_add(phdr.p_memsz));
    let layout = VmcoreLayout::new(header.encoding(), page_size, header.phdrs(), most)?;
    Ok(layout.memory_offset())
}

/// Fills `work` with the header and the notes as they stand in the file.
fn build(header: &CoreHeader<'_>, page_size: u64, reader: &Reader, work: &mut [u8]) -> Result<Head, Failure> {
    let empty = VmcoreLayout::new(header.encoding(), page_size, header.phdrs(), 0)?;
    let header_size = usize::try_from(empty.header_size()).unwrap_or(usize::MAX);
    let (head, notes) = work.split_at_mut_checked(header_size).unwrap_or_default();
    let mut used = 0_usize;
    let (mut damaged, mut note_phdrs) = (0_u32, 0_u32);
    for phdr in notes_of(header) {
        let size = usize::try_from(phdr.p_memsz).unwrap_or(usize::MAX);
        let room = notes.get_mut(used..).and_then(|rest| rest.get_mut(..size)).unwrap_or_default();
        reader.read(phdr.p_offset, room)?;
        let mut list = Notes::new(room, header.encoding().endian, NoteAlign::Four);
        if list.by_ref().any(|note| note.is_err()) {
            damaged = damaged.saturating_add(1);
        }
        used = used.saturating_add(usize::try_from(list.consumed()).unwrap_or(usize::MAX));
        note_phdrs = note_phdrs.saturating_add(1);
    }
    if let Some(rest) = notes.get_mut(used..) {
        rest.fill(0);
    }
    let layout = VmcoreLayout::new(header.encoding(), page_size, header.phdrs(), used as u64)?;
    head.fill(0);
    write_header(header, &layout, head)?;
    Ok(Head { layout, damaged, note_phdrs })
}

/// The elfcorehdr's own header, with the program headers of the file.
fn write_header(header: &CoreHeader<'_>, layout: &VmcoreLayout, head: &mut [u8]) -> Result<(), Failure> {
    let encoding = header.encoding();
    let e_phnum = u16::try_from(layout.phnum()).unwrap_or(u16::MAX);
    let ehdr = Ehdr {
        e_phoff: u64::from(encoding.ehdr_size()),
        e_phentsize: encoding.phdr_size(),
        e_phnum,
        e_shoff: 0,
        e_shnum: 0,
        e_shentsize: 0,
        e_shstrndx: 0,
        ..*header.ehdr()
    };
    let mut at = ehdr.encode(head)?;
    for exported in layout.phdrs(header.phdrs()) {
        let room = head.get_mut(at..).unwrap_or_default();
        at = at.saturating_add(exported.phdr.encode(encoding, room)?);
    }
    Ok(())
}

/// A view with its pointers turned into slices.
struct Open<'a> {
    view: &'a libkdump_view,
    reader: Reader,
    head: &'a [u8],
    exported: CoreHeader<'a>,
    original: CoreHeader<'a>,
    bytes: &'a [u8],
}

impl<'a> Open<'a> {
    fn new(view: &'a libkdump_view) -> Result<Self, Failure> {
        let length = |len: u64| usize::try_from(len).unwrap_or(usize::MAX);
        let (workspace, elfcorehdr) = (Bytes::new(view.workspace), Bytes::new(view.elfcorehdr));
        let head: &[u8] = slice!(workspace, length(view.memory_offset))?;
        let bytes: &[u8] = slice!(elfcorehdr, length(view.elfcorehdr_len))?;
        Ok(Self {
            view,
            reader: Reader::new(view.read, view.user)?,
            head,
            exported: CoreHeader::parse(head)?,
            original: CoreHeader::parse(bytes)?,
            bytes,
        })
    }

    /// Reads up to the end of the head or of one range; 0 at the end of the file.
    fn read_some(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Failure> {
        let limit = |left: u64, buf: &[u8]| usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if offset >= self.view.file_size {
            return Ok(0);
        }
        if offset < self.view.memory_offset {
            let rest = usize::try_from(offset).ok().and_then(|at| self.head.get(at..)).unwrap_or_default();
            let count = rest.len().min(buf.len());
            for (target, byte) in buf.iter_mut().zip(rest) {
                *target = *byte;
            }
            return Ok(count);
        }
        let (paddr, left) = self.locate(offset)?;
        let count = limit(left, buf);
        self.reader.read(paddr, buf.get_mut(..count).unwrap_or_default())?;
        Ok(count)
    }

    /// The old memory at a file offset: physical address and bytes from there to the end of
    /// its range.
    fn locate(&self, offset: u64) -> Result<(u64, u64), Failure> {
        // Entry 0 is the notes; the entries behind it are sorted by offset.
        let (mut low, mut high) = (1_u32, self.exported.phnum());
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if self.extent_offset(middle)? <= offset { low = middle } else { high = middle }
        }
        let index = low.saturating_sub(1).saturating_add(self.view.note_phdrs);
        let phdr = nth_phdr(&self.original, self.bytes, index)?;
        let corrupt = |value| Failure::Argument {
            name: "view",
            value,
            expected: "a view whose elfcorehdr and workspace are as libkdump_view_init() left them",
        };
        if phdr.p_type != PT_LOAD {
            return Err(corrupt(u64::from(index)));
        }
        let start = align_down(phdr.p_offset, self.view.page_size);
        let end = phdr.p_offset.checked_add(phdr.p_memsz);
        let end = end.and_then(|end| align_up(end, self.view.page_size)).unwrap_or(0);
        let inside = offset.wrapping_sub(self.extent_offset(low)?);
        let left = end.saturating_sub(start).saturating_sub(inside);
        if left == 0 {
            return Err(corrupt(offset));
        }
        Ok((start.saturating_add(inside), left))
    }

    fn extent_offset(&self, index: u32) -> Result<u64, Failure> {
        let phdr = nth_phdr(&self.exported, self.head, index)?;
        Ok(align_down(phdr.p_offset, self.view.page_size))
    }
}
