// SPDX-License-Identifier: MIT OR Apache-2.0
//! What /proc/vmcore shows for an elfcorehdr, as a file that exists nowhere: its head in the
//! caller's memory, the rest read from old memory on demand. Nothing is allocated.

use crate::vmcore_notes::merge_notes;
use crate::{
    CaptureHeader, CoreHeader, Error, MAX_CAPTURE_NOTES, NoteDefect, Phdr, VmcoreExtent, VmcoreLayout,
    align_down, align_up, front,
};

/// The file a capture kernel exports, put together from an elfcorehdr and its head. Cheap to
/// copy and to open; finds a place in O(log n).
#[derive(Clone, Copy, Debug)]
pub struct VmcoreFile<'a> {
    original: CoreHeader<'a>,
    exported: CoreHeader<'a>,
    head: &'a [u8],
    page_size: u64,
    size: u64,
}

/// What stands at an offset of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmcorePiece<'a> {
    /// The rest of the head from there on.
    Head(&'a [u8]),
    /// Old memory: where it lies, and bytes to the end of its range, never 0.
    Memory {
        /// Physical address.
        paddr: u64,
        /// Length in bytes.
        len: u64,
    },
    /// The file has ended.
    End,
}

/// What [`VmcoreFile::copy`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VmcoreCopied {
    /// Bytes written: the size of the file.
    pub written: u64,
    /// Of these, bytes of memory that could not be read; zeros were written for them.
    pub unreadable: u64,
}

impl<'a> VmcoreFile<'a> {
    /// Bytes of workspace that [`VmcoreFile::build`] can use: the header and all notes, in
    /// whole pages. At most [`MAX_CAPTURE_NOTES`] of them are for notes.
    ///
    /// # Errors
    /// Those of [`VmcoreLayout::new`].
    pub fn workspace_size(header: &CaptureHeader<'_>, page_size: u64) -> Result<u64, Error> {
        let empty = VmcoreLayout::new(header.core().encoding(), page_size, header.core().phdrs(), 0)?;
        let notes = align_up(header.note_room().min(MAX_CAPTURE_NOTES), page_size).unwrap_or(u64::MAX);
        Ok(empty.memory_offset().saturating_add(notes))
    }

    /// Judges the PT_LOADs, reads and merges the notes and writes the head of the file to the
    /// start of `workspace`. `read` fills its buffer with old memory from a physical address
    /// on; `report` is told of every PT_NOTE that lost something. A workspace that is smaller
    /// than [`VmcoreFile::workspace_size`] but holds the header costs notes, which are
    /// reported.
    ///
    /// # Errors
    /// Those of [`VmcoreLayout::new`] and [`CaptureHeader::judge_loads`]; [`Error::Buffer`]
    /// when not even the header fits.
    pub fn build<E>(
        header: &CaptureHeader<'a>,
        page_size: u64,
        workspace: &'a mut [u8],
        read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
        report: impl FnMut(NoteDefect<E>),
    ) -> Result<Self, Error> {
        let core = header.core();
        let layout = |notes| VmcoreLayout::new(core.encoding(), page_size, core.phdrs(), notes);
        // Before a byte of notes is read the header must be in order.
        let empty = layout(0)?;
        let have = workspace.len() as u64;
        let start = usize::try_from(empty.header_size()).unwrap_or(usize::MAX);
        let (head, notes) =
            workspace.split_at_mut_checked(start).ok_or(Error::Buffer { need: empty.header_size(), have })?;
        // The table of the PT_LOADs will stand there, which is larger.
        header.judge_loads(head)?;
        let most = align_down(notes.len() as u64, page_size).min(MAX_CAPTURE_NOTES);
        let room = front(notes, most);
        let used = merge_notes(header, page_size, room, read, report);
        let layout = layout(used as u64)?;
        head.fill(0);
        write_header(header, &layout, head)?;
        let end = usize::try_from(layout.memory_offset()).unwrap_or(usize::MAX);
        if let Some(rest) = workspace.get_mut(start.saturating_add(used)..end) {
            rest.fill(0);
        }
        let workspace: &'a [u8] = workspace;
        let head = workspace.get(..end).ok_or(Error::Buffer { need: layout.memory_offset(), have })?;
        Self::open(core, head, page_size)
    }

    /// Puts a file together again: `original` is the header it was built from, `head` the
    /// [`VmcoreFile::head`] it had. Takes constant time.
    ///
    /// # Errors
    /// Those of [`CoreHeader::parse`] for `head`; [`Error::Phdr`] when the two do not belong
    /// together.
    pub fn open(original: &CoreHeader<'a>, head: &'a [u8], page_size: u64) -> Result<Self, Error> {
        let exported = CoreHeader::parse(head)?;
        let file = Self { original: *original, exported, head, page_size, size: head.len() as u64 };
        let last = exported.phnum().saturating_sub(1);
        let size = match last {
            0 => file.size,
            _ => file.extent(last).map(|extent| extent.offset.saturating_add(extent.size))?,
        };
        Ok(Self { size, ..file })
    }

    /// Bytes of the file; a multiple of the page size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Header and notes, each padded to whole pages.
    #[must_use]
    pub fn head(&self) -> &'a [u8] {
        self.head
    }

    /// The header the file shows: the merged PT_NOTE, then the PT_LOADs.
    #[must_use]
    pub fn header(&self) -> &CoreHeader<'a> {
        &self.exported
    }

    /// What stands at `offset`.
    ///
    /// # Errors
    /// [`Error::Phdr`] when the bytes the file was put together from have changed.
    pub fn locate(&self, offset: u64) -> Result<VmcorePiece<'a>, Error> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.head.get(at..)).unwrap_or_default();
        if !rest.is_empty() {
            return Ok(VmcorePiece::Head(rest));
        }
        if offset >= self.size {
            return Ok(VmcorePiece::End);
        }
        // Entry 0 is the notes; those behind it are sorted. Wanted is the last one that does
        // not begin behind `offset`, because empty ones begin where the next one does.
        let (mut low, mut high) = (1_u32, self.exported.phnum());
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if self.extent_offset(middle) <= offset { low = middle } else { high = middle }
        }
        let extent = self.extent(low)?;
        let inside = offset.checked_sub(extent.offset).filter(|&inside| inside < extent.size);
        let inside = inside.ok_or_else(|| changed(low, offset))?;
        let paddr = extent.paddr.saturating_add(inside);
        Ok(VmcorePiece::Memory { paddr, len: extent.size.saturating_sub(inside) })
    }

    /// Reads up to the end of the head or of one range into `buf` and returns how many bytes;
    /// 0 at the end of the file. `read` as for [`VmcoreFile::build`].
    ///
    /// # Errors
    /// That of `read`, and those of [`VmcoreFile::locate`].
    pub fn read_some<E: From<Error>>(
        &self,
        offset: u64,
        buf: &mut [u8],
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    ) -> Result<usize, E> {
        match self.locate(offset)? {
            VmcorePiece::End => Ok(0),
            VmcorePiece::Head(rest) => {
                let count = rest.len().min(buf.len());
                for (target, byte) in buf.iter_mut().zip(rest) {
                    *target = *byte;
                }
                Ok(count)
            }
            VmcorePiece::Memory { paddr, len } => {
                let piece = front(buf, len);
                read(paddr, piece)?;
                Ok(piece.len())
            }
        }
    }

    /// Writes the whole file, front to back, through `buffer`, which holds a page at least.
    /// Where old memory cannot be read, each page that cannot is written as zeros and told to
    /// `lost` with its physical address, its length in bytes and the cause: the file cannot
    /// say it, so whoever keeps the file must.
    ///
    /// # Errors
    /// [`Error::Buffer`], what `write` returned, and those of [`VmcoreFile::locate`].
    pub fn copy<R, W: From<Error>>(
        &self,
        buffer: &mut [u8],
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), R>,
        mut write: impl FnMut(u64, &[u8]) -> Result<(), W>,
        mut lost: impl FnMut(u64, u64, R),
    ) -> Result<VmcoreCopied, W> {
        let have = buffer.len() as u64;
        if have < self.page_size {
            return Err(Error::Buffer { need: self.page_size, have }.into());
        }
        let mut copied = VmcoreCopied::default();
        loop {
            let count = match self.locate(copied.written)? {
                VmcorePiece::End => return Ok(copied),
                VmcorePiece::Head(rest) => {
                    write(copied.written, rest)?;
                    rest.len()
                }
                VmcorePiece::Memory { paddr, len } => {
                    let piece = front(buffer, align_down(have, self.page_size).min(len));
                    if read(paddr, piece).is_err() {
                        let gone = self.read_singly(paddr, piece, &mut read, &mut lost);
                        copied.unreadable = copied.unreadable.saturating_add(gone);
                    }
                    write(copied.written, piece)?;
                    piece.len()
                }
            };
            copied.written = copied.written.saturating_add(count as u64);
        }
    }

    /// Reads pages one by one, zeros for those that cannot be; returns the bytes of these.
    fn read_singly<R>(
        &self,
        paddr: u64,
        piece: &mut [u8],
        read: &mut impl FnMut(u64, &mut [u8]) -> Result<(), R>,
        lost: &mut impl FnMut(u64, u64, R),
    ) -> u64 {
        let page_size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        let (mut at, mut gone) = (paddr, 0_u64);
        for page in piece.chunks_mut(page_size) {
            if let Err(error) = read(at, page) {
                page.fill(0);
                gone = gone.saturating_add(page.len() as u64);
                lost(at, page.len() as u64, error);
            }
            at = at.saturating_add(page.len() as u64);
        }
        gone
    }

    /// The memory behind entry `index` of the exported table.
    fn extent(&self, index: u32) -> Result<VmcoreExtent, Error> {
        let merged = self.original.phnum().saturating_sub(self.exported.phnum());
        let phdr = self.original.phdr(index.saturating_add(merged)).ok_or_else(|| changed(index, 0))?;
        let paddr = align_down(phdr.p_offset, self.page_size);
        let end = phdr.p_offset.checked_add(phdr.p_memsz).and_then(|end| align_up(end, self.page_size));
        let end = end.ok_or_else(|| changed(index, phdr.p_memsz))?;
        Ok(VmcoreExtent { offset: self.extent_offset(index), paddr, size: end.saturating_sub(paddr) })
    }

    fn extent_offset(&self, index: u32) -> u64 {
        align_down(self.exported.phdr(index).unwrap_or_default().p_offset, self.page_size)
    }
}

fn changed(index: u32, value: u64) -> Error {
    let expected = "what it was when the view was made: header and workspace must not change";
    Error::Phdr { index, field: "p_offset", value, expected }
}

/// The elfcorehdr's own file header and the program headers of the file.
fn write_header(header: &CaptureHeader<'_>, layout: &VmcoreLayout, head: &mut [u8]) -> Result<(), Error> {
    let encoding = header.core().encoding();
    let mut ehdr = *header.core().ehdr();
    ehdr.e_phnum = u16::try_from(layout.phnum()).unwrap_or(u16::MAX);
    let mut at = ehdr.encode(head)?;
    if let Some(ident) = head.first_chunk_mut() {
        *ident = *header.ident();
    }
    for exported in layout.phdrs(header.core().phdrs()) {
        let phdr: Phdr = exported.phdr;
        let room = head.get_mut(at..).unwrap_or_default();
        at = at.saturating_add(phdr.encode(encoding, room)?);
    }
    Ok(())
}
