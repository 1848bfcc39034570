//! What /proc/vmcore shows: old memory and its header as an ELF core that does not exist
//! anywhere as a file (Linux kernel `fs/proc/vmcore.c`).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use kdump_elf::{
    Arch, CaptureHeader, CoreHeader, Ehdr, NoteCause, NoteDefect, PT_LOAD, Paddr, Phdr, PhysRange,
    VmcoreFile, VmcorePiece, front,
};

use crate::capture::elfcorehdr::read_elfcorehdr;
use crate::error::elf;
use crate::error::{Error, Stopped};
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::room::{append, collect, zeroed};
use crate::source::{OldMemory, ReadAt};

/// Says whether a page frame is RAM; frames that are not read as zeros.
pub type RamOracle = Box<dyn Fn(u64) -> bool + Send + Sync>;

/// What a view needs to know of the machine it is on.
#[derive(Default)]
#[non_exhaustive]
pub struct ViewOptions {
    /// Page size of the capture kernel in bytes; 0 means 4096.
    pub page_size: u64,
    /// The architecture the header must be for; `None` accepts all.
    pub arch: Option<Arch>,
    /// Asked for every page frame, such as those a hypervisor took away. Touching one of
    /// these can hang the machine.
    pub is_ram: Option<RamOracle>,
}

impl ViewOptions {
    /// Sets `page_size`.
    #[must_use]
    pub fn page_size(self, page_size: u64) -> Self {
        Self { page_size, ..self }
    }

    /// Sets `arch`.
    #[must_use]
    pub fn arch(self, arch: Option<Arch>) -> Self {
        Self { arch, ..self }
    }

    /// Sets `is_ram`.
    #[must_use]
    pub fn is_ram(self, is_ram: Option<RamOracle>) -> Self {
        Self { is_ram, ..self }
    }
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
/// What the file holds is [`VmcoreFile`]'s to say; this owns the bytes.
///
/// ```
/// use kdump_elf::{Class, Encoding, Endian, HeaderLayout, Paddr, PhysRange};
/// use kdump_vmcore::{Dump, MemoryImage, PhysMemory, ViewOptions, VmcoreView};
///
/// // What a kernel prepared, and its memory, which begins at 1 MiB.
/// let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
/// let (mut header, ram) = ([0; 176], PhysRange::from_len(0x10_0000, 0x2000)?);
/// HeaderLayout::elfcorehdr(encoding, 62, 2)?.write_plain(&mut header, [ram], 0)?;
/// let memory = MemoryImage::new(Paddr(ram.start()), vec![7; 0x2000]);
///
/// let view = VmcoreView::from_header(&header, memory, ViewOptions::default())?;
/// let dump = Dump::open(view)?;
/// let mut bytes = [0; 2];
/// dump.reader().read_phys(Paddr(0x10_1000), &mut bytes)?;
/// assert_eq!(bytes, [7, 7]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VmcoreView<M> {
    memory: M,
    options: ViewOptions,
    elfcorehdr: Vec<u8>,
    /// Header and notes, each padded to whole pages.
    head: Vec<u8>,
    size: u64,
    phdrs: Vec<Phdr>,
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
        let size = Ehdr::parse(elfcorehdr).and_then(|ehdr| CaptureHeader::size_of(&ehdr, options.arch));
        let size = size.map_err(elf("elfcorehdr"))?;
        let used = usize::try_from(size).ok().and_then(|size| elfcorehdr.get(..size)).unwrap_or(elfcorehdr);
        let mut bytes = Vec::new();
        append(&mut bytes, "the elfcorehdr", used)?;
        Self::new(bytes, memory, options)
    }

    /// From the elfcorehdr at `address` of old memory, as `elfcorehdr=` gives it.
    ///
    /// # Errors
    /// As [`VmcoreView::from_header`], and when the header cannot be read.
    pub fn from_memory(address: Paddr, memory: M, options: ViewOptions) -> Result<Self, Error> {
        let bytes = read_elfcorehdr(&memory, address, options.arch)?;
        Self::new(bytes, memory, options)
    }

    fn new(elfcorehdr: Vec<u8>, memory: M, mut options: ViewOptions) -> Result<Self, Error> {
        if options.page_size == 0 {
            options.page_size = 4096;
        }
        let header = CaptureHeader::parse(&elfcorehdr, options.arch).map_err(elf("elfcorehdr"))?;
        let mut head = workspace(&header, options.page_size)?;
        let mut defects = Vec::new();
        // No PT_NOTE has more than two.
        let most = usize::try_from(header.note_phdrs()).unwrap_or(usize::MAX).saturating_mul(2);
        let need = most.saturating_mul(size_of::<Error>()) as u64;
        let what = "what is wrong with the notes";
        defects.try_reserve(most).map_err(|_| Error::OutOfMemory { what, need })?;
        let read = |paddr, buf: &mut [u8]| read_note(&memory, &options, paddr, buf);
        let file = VmcoreFile::build(&header, options.page_size, &mut head, read, |defect| {
            defects.push(defect_of(defect));
        });
        let file = file.map_err(elf("elfcorehdr"))?;
        let (size, used) = (file.size(), file.head().len());
        let phdrs = collect("the program headers", file.header().phdrs())?;
        let extents = header.core().phdrs().filter_map(|phdr| extent_of(&phdr));
        let candidates: Vec<Extent> = collect("the ranges of old memory", extents)?;
        head.truncate(used);
        let by_paddr = ExtentMap::build(&candidates)?;
        Ok(Self { memory, options, elfcorehdr, head, size, phdrs, by_paddr, defects })
    }

    /// What stands at `offset` of the file.
    fn locate(&self, offset: u64) -> Result<VmcorePiece<'_>, Error> {
        let original = CoreHeader::parse(&self.elfcorehdr).map_err(elf("elfcorehdr"))?;
        let file = VmcoreFile::open(&original, &self.head, self.options.page_size);
        file.and_then(|file| file.locate(offset)).map_err(elf("vmcore header"))
    }

    /// Bytes of the file; a multiple of the page size.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.size
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
        Ok(self.size)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let (paddr, len) = match self.locate(offset)? {
            VmcorePiece::End => return Ok(0),
            VmcorePiece::Head(rest) => return rest.read_at(0, buf),
            VmcorePiece::Memory { paddr, len } => (paddr, len),
        };
        let piece = front(buf, len);
        match self.read_old(paddr, piece) {
            Ok(()) => Ok(piece.len()),
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
            let piece = front(rest, len);
            self.read_old(from, piece).map_err(|stopped| stop(stopped.read, stopped.error))?;
            read = read.saturating_add(piece.len());
        }
        Ok(())
    }
}

fn extent_of(phdr: &Phdr) -> Option<Extent> {
    let range = PhysRange::from_len(phdr.p_paddr, phdr.p_memsz).ok()?;
    (phdr.p_type == PT_LOAD).then_some(Extent { range, stored_at: Some(phdr.p_offset) })
}

/// Memory for the head of the file. Where there is less than it could use, notes are cut,
/// which is better than no dump; as much again is left then, since a copy holds them too.
fn workspace(header: &CaptureHeader<'_>, page_size: u64) -> Result<Vec<u8>, Error> {
    let size = VmcoreFile::workspace_size(header, page_size).map_err(elf("elfcorehdr"))?;
    let mut less = size;
    loop {
        let half = less.checked_div(2).unwrap_or(0);
        match zeroed("header and notes", less).map(|bytes| (less == size).then_some(bytes)) {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => return zeroed("header and notes", half.max(page_size)),
            Err(error) if less <= page_size => return Err(error),
            Err(_) => less = half,
        }
    }
}

/// Reads notes, which may lie in frames that must not be touched. Nothing is read across the
/// end of a page.
fn read_note<M: OldMemory>(
    memory: &M,
    options: &ViewOptions,
    paddr: u64,
    buf: &mut [u8],
) -> Result<(), Error> {
    let pfn = paddr.checked_shr(options.page_size.trailing_zeros()).unwrap_or(0);
    if options.is_ram.as_ref().is_some_and(|is_ram| !is_ram(pfn)) {
        return Err(Error::Hole { paddr, next: None });
    }
    memory.read_phys(Paddr(paddr), buf).map_err(Error::from)
}

fn defect_of(defect: NoteDefect<Error>) -> Error {
    match defect.cause {
        NoteCause::Header(error) | NoteCause::Note(error) => elf("notes of a PT_NOTE")(error),
        NoteCause::Unreadable { error, .. } => error,
    }
}
