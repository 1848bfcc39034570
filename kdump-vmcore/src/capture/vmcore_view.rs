//! What /proc/vmcore shows: old memory and its header as an ELF core that does not exist
//! anywhere as a file (Linux kernel `fs/proc/vmcore.c`).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use kdump_elf::{
    Arch, Encoding, NoteAlign, Notes, PT_LOAD, PT_NOTE, Paddr, Phdr, PhysRange, VmcoreExtent, VmcoreLayout,
};

use crate::capture::elfcorehdr::ElfCoreHdr;
use crate::error::elf;
use crate::error::{Error, Stopped};
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::room::{append, zeroed};
use crate::source::{OldMemory, ReadAt};

/// Says whether a page frame is RAM; frames that are not read as zeros.
pub type RamOracle = Box<dyn Fn(u64) -> bool + Send + Sync>;

/// What a view needs to know of the machine it is on.
#[derive(Default)]
pub struct ViewOptions {
    /// Page size of the capture kernel in bytes; 0 means 4096.
    pub page_size: u64,
    /// The architecture the header must be for; `None` accepts all.
    pub arch: Option<Arch>,
    /// Asked for every page frame, such as those a hypervisor took away. Touching one of
    /// these can hang the machine.
    pub is_ram: Option<RamOracle>,
}

impl fmt::Debug for ViewOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page_size, arch, is_ram } = self;
        f.debug_struct("ViewOptions")
            .field("page_size", page_size)
            .field("arch", arch)
            .field("is_ram", &is_ram.is_some())
            .finish()
    }
}

/// The vmcore of a dead kernel whose memory can be read.
///
/// It is read by file offset ([`ReadAt`]) and by physical address ([`OldMemory`]); both find
/// their range in O(log n). The true size of the notes is found once, when the view is made.
#[derive(Debug)]
pub struct VmcoreView<M> {
    memory: M,
    options: ViewOptions,
    layout: VmcoreLayout,
    phdrs: Vec<Phdr>,
    /// Header and notes, each padded to whole pages.
    head: Vec<u8>,
    extents: Vec<VmcoreExtent>,
    by_paddr: ExtentMap,
    defects: Vec<Error>,
}

impl<M: OldMemory> VmcoreView<M> {
    /// From the bytes of an elfcorehdr.
    ///
    /// # Errors
    /// When the header breaks any rule, there is no view: guessing would show wrong memory.
    /// Notes that cannot be read or parsed break none; see [`VmcoreView::defects`].
    pub fn from_header(elfcorehdr: &[u8], memory: M, options: ViewOptions) -> Result<Self, Error> {
        let header = ElfCoreHdr::parse(elfcorehdr, options.arch)?;
        Self::new(&header, memory, options)
    }

    /// From the elfcorehdr at `address` of old memory, as `elfcorehdr=` gives it.
    ///
    /// # Errors
    /// As [`VmcoreView::from_header`], and when the header cannot be read.
    pub fn from_memory(address: Paddr, memory: M, options: ViewOptions) -> Result<Self, Error> {
        let header = ElfCoreHdr::read(&memory, address, options.arch)?;
        Self::new(&header, memory, options)
    }

    fn new(header: &ElfCoreHdr, memory: M, mut options: ViewOptions) -> Result<Self, Error> {
        if options.page_size == 0 {
            options.page_size = 4096;
        }
        let encoding = header.ehdr.encoding;
        let source = || header.phdrs.iter().copied();
        let layout = |notes: u64| {
            VmcoreLayout::new(encoding, options.page_size, source(), notes).map_err(elf("elfcorehdr"))
        };
        // Before a byte of notes is read the header must be in order.
        layout(0)?;
        let mut defects = Vec::new();
        let notes = merge_notes(&memory, &header.phdrs, encoding, &mut defects);
        let layout = layout(notes.len() as u64)?;
        let exported: Vec<_> = layout.phdrs(source()).collect();
        let phdrs: Vec<Phdr> = exported.iter().map(|entry| entry.phdr).collect();
        let head = head_bytes(header, &layout, &phdrs, &notes)?;
        let extents = exported.iter().filter_map(|entry| entry.extent).filter(|extent| extent.size != 0);
        let candidates: Vec<Extent> = source().filter_map(|phdr| extent_of(&phdr)).collect();
        Ok(Self {
            extents: extents.collect(),
            by_paddr: ExtentMap::build(&candidates),
            memory,
            options,
            layout,
            phdrs,
            head,
            defects,
        })
    }

    /// Bytes of the file; a multiple of the page size.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.layout.size()
    }

    /// The program headers the view shows: the merged PT_NOTE, then the PT_LOADs.
    #[must_use]
    pub fn phdrs(&self) -> &[Phdr] {
        &self.phdrs
    }

    /// Notes that were left out, and why.
    #[must_use]
    pub fn defects(&self) -> &[Error] {
        &self.defects
    }

    /// Reads old memory at the address where the bytes really are, zeros where the oracle
    /// knows no RAM.
    fn read_old(&self, paddr: u64, buf: &mut [u8]) -> Result<(), Stopped> {
        let Some(is_ram) = &self.options.is_ram else { return self.memory.read_phys(Paddr(paddr), buf) };
        let page = self.options.page_size;
        let address = |position: usize| paddr.saturating_add(position as u64);
        let is_ram =
            |position: usize| is_ram(address(position).checked_shr(page.trailing_zeros()).unwrap_or(0));
        let len = buf.len();
        let page_end = |position: usize| {
            let rest = page.saturating_sub(address(position) & page.wrapping_sub(1));
            position.saturating_add(usize::try_from(rest).unwrap_or(usize::MAX)).min(len)
        };
        let mut read = 0_usize;
        while read < len {
            let at = address(read);
            let ram = is_ram(read);
            let mut end = page_end(read);
            // As many pages of the same kind as follow.
            while end < len && is_ram(end) == ram {
                end = page_end(end);
            }
            let piece = buf.get_mut(read..end).unwrap_or_default();
            if ram {
                let result = self.memory.read_phys(Paddr(at), piece);
                result.map_err(|stopped| {
                    Stopped::new(paddr, read.saturating_add(stopped.read), stopped.error)
                })?;
            } else {
                piece.fill(0);
            }
            read = end;
        }
        Ok(())
    }
}

impl<M: OldMemory> ReadAt for VmcoreView<M> {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.layout.size())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if offset < self.head.len() as u64 {
            return self.head.read_at(offset, buf);
        }
        let index =
            self.extents.partition_point(|extent| extent.offset.saturating_add(extent.size) <= offset);
        let Some(extent) = self.extents.get(index) else { return Ok(0) };
        let skip = offset.saturating_sub(extent.offset);
        let rest = usize::try_from(extent.size.saturating_sub(skip)).unwrap_or(usize::MAX);
        let count = rest.min(buf.len());
        let piece = buf.get_mut(..count).unwrap_or_default();
        match self.read_old(extent.paddr.saturating_add(skip), piece) {
            Ok(()) => Ok(count),
            Err(stopped) if stopped.read > 0 => Ok(stopped.read),
            Err(stopped) => Err(stopped.error),
        }
    }
}

impl<M: OldMemory> OldMemory for VmcoreView<M> {
    /// Reads by `p_paddr`: where a PT_LOAD has a backup copy, the copy.
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let at = paddr.0.saturating_add(read as u64);
            let stop = |more: usize, error| Stopped::new(paddr.0, read.saturating_add(more), error);
            let (from, len) = match self.by_paddr.find(at) {
                Lookup::Stored { at, len } => (at, len),
                Lookup::Excluded { .. } => return Err(stop(0, Error::Excluded { paddr: at })),
                Lookup::Hole { next } => return Err(stop(0, Error::Hole { paddr: at, next })),
            };
            let count = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
            let piece = rest.get_mut(..count).unwrap_or_default();
            self.read_old(from, piece).map_err(|stopped| stop(stopped.read, stopped.error))?;
            read = read.saturating_add(count);
        }
        Ok(())
    }
}

fn extent_of(phdr: &Phdr) -> Option<Extent> {
    let range = PhysRange::from_len(phdr.p_paddr, phdr.p_memsz).ok()?;
    (phdr.p_type == PT_LOAD).then_some(Extent { range, stored_at: Some(phdr.p_offset) })
}

/// The notes of all PT_NOTEs back to back. A CPU that saved nothing has no note.
fn merge_notes<M: OldMemory>(
    memory: &M,
    phdrs: &[Phdr],
    encoding: Encoding,
    defects: &mut Vec<Error>,
) -> Vec<u8> {
    let mut merged = Vec::new();
    for phdr in phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE) {
        let bytes = zeroed("the notes of a PT_NOTE", phdr.p_memsz).and_then(|mut bytes| {
            let read = memory.read_phys(Paddr(phdr.p_offset), &mut bytes);
            read.map(|()| bytes).map_err(|stopped| stopped.error)
        });
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                defects.push(error);
                continue;
            }
        };
        let mut notes = Notes::new(&bytes, encoding.endian, NoteAlign::Four);
        let mut end = 0;
        while let Some(note) = notes.next() {
            match note {
                // Linux drops a last note whose padding does not fit: the next would follow
                // at an odd place.
                Ok(_) if notes.consumed().trailing_zeros() < 2 => {
                    let value = notes.consumed();
                    let expected = "room for the padding of the last note";
                    defects.push(Error::Corrupt { what: "size of a PT_NOTE", value, expected });
                }
                Ok(_) => end = notes.consumed(),
                Err(error) => defects.push(elf("notes of a PT_NOTE")(error)),
            }
        }
        let whole = usize::try_from(end).ok().and_then(|end| bytes.get(..end)).unwrap_or_default();
        if let Err(error) = append(&mut merged, "all notes", whole) {
            defects.push(error);
        }
    }
    merged
}

/// The exported header and notes, padded to where memory begins.
fn head_bytes(
    header: &ElfCoreHdr,
    layout: &VmcoreLayout,
    phdrs: &[Phdr],
    notes: &[u8],
) -> Result<Vec<u8>, Error> {
    let encoding = header.ehdr.encoding;
    let mut head = zeroed("header and notes", layout.memory_offset())?;
    let mut ehdr = header.ehdr;
    ehdr.e_phnum = u16::try_from(layout.phnum()).unwrap_or(u16::MAX);
    let mut at = ehdr.encode(&mut head).map_err(elf("vmcore header"))?;
    if let Some(ident) = head.first_chunk_mut() {
        *ident = header.ident;
    }
    for phdr in phdrs {
        let out = head.get_mut(at..).unwrap_or_default();
        at = at.saturating_add(phdr.encode(encoding, out).map_err(elf("vmcore header"))?);
    }
    let start = usize::try_from(layout.header_size()).unwrap_or(usize::MAX);
    if let Some(target) = head.get_mut(start..).and_then(|rest| rest.get_mut(..notes.len())) {
        target.copy_from_slice(notes);
    }
    Ok(head)
}
