//! A dump of whatever format: what every reader starts from.

mod block_cache;
mod completeness;
mod core_table;
mod cpu;
mod elf;
mod facts;
mod flattened;
mod format;
pub(crate) mod kdump;
mod note_table;
mod overlaps;
#[cfg(feature = "std")]
mod parallel;
mod part;
mod raw_image;
mod read_ahead;
mod reader;
mod remembered;
pub(crate) mod scan;
mod signature;
mod span;
mod stream_holes;
mod unreadable;
mod verify;
pub(crate) mod xen;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use kdump_elf::{Arch, Class, Encoding, Endian, Paddr, Phdr, PhysRange, VmcoreInfo};

pub use completeness::Completeness;
pub(crate) use core_table::MAX_USED as MAX_PHDRS;
pub use cpu::Cpu;
pub(crate) use elf::is_usable;
pub use facts::Facts;
pub use format::{Format, ReadOptions, Scratch};
pub use note_table::NoteTable;
pub(crate) use note_table::is_vmcoreinfo;
pub use raw_image::RawImage;
pub use reader::Reader;
pub use span::{PageClass, Span, SpanKind};
pub use unreadable::{MAX_UNREADABLE, Unreadable, UnreadableRange};
pub use verify::{Verification, verify};

use crate::error::{Error, Stopped};
use crate::source::{FileId, PhysMemory, ReadAt};

/// A dump of a crashed kernel, in whatever format.
///
/// It never changes and serves many threads at once, each with a [`Reader`] of its own. `'s`
/// is how long what it is read from lives: `'static` for files.
///
/// ```no_run
/// # #[cfg(feature = "std")]
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// use kdump_elf::Paddr;
/// use kdump_vmcore::{Dump, PhysMemory, open_dump_file};
///
/// let dump = Dump::open(open_dump_file("/var/crash/vmcore".as_ref())?)?;
/// for span in dump.spans().filter(|span| span.kind.is_readable()) {
///     let mut page = [0; 4096];
///     dump.reader().read_phys(Paddr(span.range.start()), &mut page)?;
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "std"))]
/// # fn main() {}
/// ```
pub struct Dump<'s> {
    format: Box<dyn Format + 's>,
    files: Vec<FileId>,
    options: ReadOptions,
    /// Tells this dump from all others of the process.
    number: usize,
}

/// Dumps that were opened.
static OPENED: AtomicUsize = AtomicUsize::new(1);

impl<'s> Dump<'s> {
    /// Recognises the format and opens the dump.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`], [`Error::Unsupported`] naming a format that is known but
    /// cannot be read, or why its headers cannot be used.
    pub fn open<S: ReadAt + 's>(source: S) -> Result<Self, Error> {
        Self::open_parts(alloc::vec![Box::new(source)])
    }

    /// Recognises the format by the first part and opens a dump that is split over several
    /// files, in any order.
    ///
    /// # Errors
    /// As [`Dump::open`], and [`Error::Unsupported`] for several parts in a format that is
    /// never split.
    pub fn open_parts(parts: Vec<Box<dyn ReadAt + 's>>) -> Result<Self, Error> {
        let files = parts.iter().filter_map(|part| part.file_id()).collect();
        signature::open(parts).map(|format| Self::new(format, files))
    }

    /// Opens raw images of memory, one or several in any order. They name neither their machine
    /// nor their place, so the caller does: without `arch` it stays unknown.
    ///
    /// # Errors
    /// When images overlap, one is empty, or none is given.
    pub fn open_raw(images: Vec<RawImage<'s>>, arch: Option<Arch>) -> Result<Self, Error> {
        let files = images.iter().filter_map(|image| image.source.file_id()).collect();
        raw_image::open(images, arch).map(|format| Self::new(format, files))
    }

    /// A dump in a format that is not known here.
    pub fn from_format<F: Format + 's>(format: F) -> Self {
        Self::new(Box::new(format), Vec::new())
    }

    fn new(format: Box<dyn Format + 's>, files: Vec<FileId>) -> Self {
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        Self { format, files, options: ReadOptions::default(), number }
    }

    /// How the memory is read from now on, by [`verify`] and [`SavePlan`](crate::SavePlan) as well. The
    /// threads of a [`KdumpPlan`](crate::KdumpPlan) read alone and keep nothing.
    #[must_use]
    pub fn read_options(self, options: ReadOptions) -> Self {
        Self { options, ..self }
    }

    /// The files it is read from, as far as they are files of the system.
    #[must_use]
    pub fn files(&self) -> &[FileId] {
        &self.files
    }

    /// A reader of the memory, for one thread.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        self.reader_as(self.options)
    }

    /// A reader with options of its own.
    pub(crate) fn reader_as(&self, options: ReadOptions) -> Reader<'_> {
        Reader::new(&*self.format, Scratch::new(self.number, options))
    }

    /// As [`Dump::reader`], going on with what an earlier reader of this dump has left in `scratch`;
    /// for those who cannot keep a reader. What another dump has left there is forgotten.
    #[must_use]
    pub fn reader_with<'a>(&'a self, scratch: &'a mut Scratch) -> Reader<'a> {
        if scratch.owner != self.number || scratch.options != self.options {
            *scratch = Scratch::new(self.number, self.options);
        }
        Reader::lent(&*self.format, scratch)
    }

    /// What the dump says about itself.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.format.facts()
    }

    /// Name of the format, as in messages and JSON: `elf`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.facts().format
    }

    /// Word size and byte order of the dump.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.facts().encoding
    }

    /// Byte order of the dumped machine.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.encoding().endian
    }

    /// The dumped machine's architecture; `None` when it is none we know.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        self.facts().arch
    }

    /// Word size of the dumped kernel, which an ELF32 file for a 64-bit machine hides.
    #[must_use]
    pub fn word_class(&self) -> Class {
        self.facts().word_class()
    }

    /// Bytes of a page of the dumped kernel; `None` when the dump does not say.
    #[must_use]
    pub fn page_size(&self) -> Option<u64> {
        self.facts().page_size
    }

    /// Program headers, unused ones (PT_NULL) left out where there are more than 65536; empty for formats that have none.
    #[must_use]
    pub fn phdrs(&self) -> &[Phdr] {
        &self.facts().phdrs
    }

    /// All notes.
    #[must_use]
    pub fn notes(&self) -> &NoteTable {
        &self.facts().notes
    }

    /// VMCOREINFO, when the dump has it.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<VmcoreInfo<'_>> {
        self.facts().vmcoreinfo()
    }

    /// The registers of the CPUs that saved them, in the order of the notes.
    pub fn cpus(&self) -> impl Iterator<Item = Cpu<'_>> {
        Cpu::from_notes(self.notes(), self.arch(), self.endian())
    }

    /// How many CPUs saved their registers.
    #[must_use]
    pub fn cpu_count(&self) -> usize {
        self.notes().prstatus_count()
    }

    /// One of [`Dump::cpus`], without a walk over the others; `None` behind the last.
    #[must_use]
    pub fn cpu(&self, index: usize) -> Option<Cpu<'_>> {
        let note = self.notes().nth_prstatus(index)?;
        Some(Cpu::new(index, note, self.arch(), self.endian()))
    }

    /// What is missing or damaged, as far as it shows without reading the memory.
    #[must_use]
    pub fn completeness(&self) -> &Completeness {
        &self.facts().completeness
    }

    /// What the dump has at `paddr`, and of how much memory around it this is true; `None`
    /// when no RAM is described there or behind it.
    #[must_use]
    pub fn span(&self, paddr: Paddr) -> Option<Span> {
        self.format.span(paddr)
    }

    /// The memory of the machine by address: sorted, disjoint, without gaps; from the first
    /// RAM to the last, the holes between them included.
    pub fn spans(&self) -> impl Iterator<Item = Span> {
        let (mut at, mut scratch) = (Some(0), Scratch::default());
        let all = core::iter::from_fn(move || {
            let span = self.format.span_near(Paddr(at?), &mut scratch)?;
            // A format that stands still would never end.
            at = Some(span.range.end()).filter(|&end| Some(end) > at);
            Some(span)
        });
        all.skip_while(|span| span.kind == SpanKind::Hole)
    }

    /// As [`Dump::spans`], with what is behind the end of a cut file looked at page by page: pages
    /// may share a place in front of it, as those of zeros do, or lie in no order.
    pub(crate) fn spans_to_the_end(&self) -> impl Iterator<Item = Span> {
        let (mut reader, mut spans, mut rest) = (self.reader(), self.spans(), None::<Span>);
        core::iter::from_fn(move || {
            let span = rest.take().or_else(|| spans.next())?;
            if span.kind != SpanKind::Missing {
                return Some(span);
            }
            let start = span.range.start();
            let Some(look) = reader.look(Paddr(start)) else { return Some(span) };
            let end = look.range.end().min(span.range.end());
            let Ok(range) = PhysRange::from_half_open(start, end) else { return Some(span) };
            let behind = PhysRange::from_half_open(end, span.range.end());
            rest = behind.ok().map(|range| Span { range, ..span });
            Some(Span { range, kind: look.kind })
        })
    }

    /// Bytes of RAM the dump describes, stored or not.
    #[must_use]
    pub fn memory_size(&self) -> u64 {
        let ram = self.spans().filter(|span| span.kind != SpanKind::Hole);
        ram.map(|span| span.range.size()).fold(0, u64::saturating_add)
    }

    /// Why a span that is lost cannot be read.
    pub(crate) fn loss(&self, span: Span) -> Error {
        let paddr = span.range.start();
        match span.kind {
            SpanKind::Unreadable => Error::Unreadable { paddr },
            SpanKind::Corrupt => {
                let expected = "a page inside the file";
                Error::Corrupt { what: "place of the page at this physical address", value: paddr, expected }
            }
            _ => {
                // Behind the end of this file or already of the one it is a copy of, or in a part that
                // was not given: reading tells, and costs no I/O.
                let told = self.reader().read_stored(Paddr(paddr), &mut [0]);
                if let Err(Stopped {
                    error:
                        error @ (Error::Missing { .. } | Error::Truncated { .. } | Error::PartNotGiven { .. }),
                    ..
                }) = told
                {
                    return error;
                }
                let (offset, need) = (self.completeness().file_size, span.range.size());
                Error::Truncated { what: "memory", offset, need, have: 0 }
            }
        }
    }
}

impl fmt::Debug for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dump").field("facts", self.facts()).finish_non_exhaustive()
    }
}
