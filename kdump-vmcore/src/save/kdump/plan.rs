//! The file a dump will be saved as: headers, notes, bitmaps, and a descriptor for each page.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Arch, Class, Encoding, LossReason, LostRange, Phdr, PhysRange, VmcoreInfo};

use super::super::layout;
use super::super::losses::{Losses, MAX_KNOWN, reason_of};
use super::super::note::{Cleaned, NotePlace};
use super::super::plan::source_defects;
use super::super::report::LeftOut;
use super::PageSet;
use super::block::BATCH;
use crate::codec::{Codec, CodecError, Encoder};
use crate::dump::kdump::{DESC_LEN, INCOMPLETE, LEVEL_ZERO, MAX_MAPNR, Main, SATURATED, Sub, machine_name};
use crate::dump::{Dump, Span, SpanKind, Unreadable};
use crate::error::Error;
use crate::filter::{Classes, Scan};
use crate::kernel::KernelMemory;
use crate::room::{append, push, zeroed};

/// What makedumpfile writes, and the newest there is.
const VERSION: u32 = 6;
/// The kinds of pages that a dump level can leave out (makedumpfile(8)).
const LEVELS: u32 = 31;
/// Bytes of a page where the dump does not say and the machine has one size only.
const USUAL_PAGE: u64 = 4096;
/// Bytes of the six names in `struct new_utsname`, each with the zero at its end.
const NAME: usize = 65;
/// Places in the list of names (uname(2)).
const RELEASE: usize = 2;
const MACHINE: usize = 4;
/// First address of the x86_64 kernel image (Documentation/arch/x86/x86_64/mm.rst).
const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// How pages are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdumpOptions {
    /// The compression; `None` stores pages as they are.
    pub codec: Option<Codec>,
    /// Its level; `None` is the one makedumpfile writes with.
    pub level: Option<i32>,
    /// Pages that are left out; those of zeros share one place in any case. With any class, pages go
    /// that were taken out of use after a memory error or given back to a hypervisor.
    pub exclude: Classes,
    /// Threads that read and compress, the caller's among them. The file is the same for any
    /// number of them. Without `std` there is one.
    pub threads: u16,
}

impl Default for KdumpOptions {
    fn default() -> Self {
        Self { codec: None, level: None, exclude: Classes::NONE, threads: 1 }
    }
}

impl KdumpOptions {
    pub(super) fn encoder(&self) -> Result<Option<Encoder>, Error> {
        let Some(codec) = self.codec else { return Ok(None) };
        let level = self.level.unwrap_or(codec.levels().default);
        Encoder::with_level(codec, level).map(Some).map_err(|error| match error {
            CodecError::NotBuilt { .. } => {
                Error::Unsupported { what: "this compression: the build has none of it" }
            }
            CodecError::NoLevel { .. } => {
                Error::Unsupported { what: "this level of the compression: it has none of that number" }
            }
            _ => Error::OutOfMemory { what: "the state of the compression", need: 0 },
        })
    }
}

/// How a dump is saved as a kdump-compressed file: which pages it will have is known before a byte
/// is written, and how large it becomes is not.
///
/// Pages of zeros share one place, whatever was asked for. A page of which the source lacks any byte
/// is not stored.
#[derive(Debug)]
pub struct KdumpPlan<'d> {
    pub(super) dump: &'d Dump<'d>,
    pub(super) options: KdumpOptions,
    encoding: Encoding,
    /// Both headers and the notes, from offset 0 on, as they are while the file is not finished.
    pub(super) head: Vec<u8>,
    pub(super) note: NotePlace,
    pub(super) main: Main,
    sub: Sub,
    /// Page frame numbers, sorted and disjoint: what is RAM, and what of it can be read.
    pub(super) ram: Vec<Range<u64>>,
    pub(super) readable: Vec<Range<u64>>,
    /// Pages that are left out.
    pub(super) left_out: PageSet,
    page_size: u64,
    max_mapnr: u64,
    /// What is told of them.
    pub(super) scan: LeftOut,
    /// Pages that have a descriptor.
    pub(super) pages: u64,
    pub(super) known: Unreadable,
    pub(super) missing: u64,
    pub(super) corrupt: u64,
    pub(super) given_up: u64,
}

impl<'d> KdumpPlan<'d> {
    /// Lays out the file.
    ///
    /// # Errors
    /// When the source has no memory, when the size of its pages is not known or none that the format
    /// has, and when the build lacks the compression.
    pub fn new(dump: &'d Dump<'d>, options: KdumpOptions) -> Result<Self, Error> {
        options.encoder()?;
        if dump.arch() == Some(Arch::Arm) {
            // Page frame 0 of its files is where its RAM begins, which the dump need not tell.
            return Err(Error::Unsupported { what: "kdump-compressed dumps of 32-bit ARM; save as ELF" });
        }
        let page_size = page_size(dump)?;
        let spans = layout::spans(dump)?;
        let ram = pages_of(&spans, page_size, |kind| kind != SpanKind::Hole)?;
        let max_mapnr = ram.last().map_or(0, |last| last.end);
        if max_mapnr == 0 {
            return Err(Error::Corrupt { what: "memory of the dump", value: 0, expected: "a page at least" });
        }
        if max_mapnr > MAX_MAPNR {
            return Err(Error::TooLarge { what: "number of pages", value: max_mapnr, limit: MAX_MAPNR });
        }
        let readable = pages_of(&spans, page_size, SpanKind::is_readable)?;
        let partly = partly(&readable, &spans, page_size)?;
        let readable = without(&readable, &partly)?;
        let losses = known(&spans, &partly, page_size)?;
        let encoding = Encoding { class: dump.word_class(), endian: dump.endian() };
        let (left_out, scan) = leave_out(dump, options.exclude, &readable, max_mapnr)?;
        let (mut main, mut sub) = headers(dump, page_size, max_mapnr);
        sub.dump_level |= i32::from(options.exclude.level());
        let (head, note) = head_of(dump, encoding, &mut main, &mut sub, &losses, page_size)?;
        let count =
            |run: &Range<u64>| run.end.saturating_sub(run.start).saturating_sub(left_out.count(run.clone()));
        let pages = readable.iter().map(count).fold(0, u64::saturating_add);
        let given_up = losses.given_up;
        let mut plan = Self {
            dump,
            options,
            encoding,
            head,
            note,
            main,
            sub,
            ram,
            readable,
            left_out,
            scan,
            page_size,
            max_mapnr,
            pages,
            known: Unreadable::default(),
            missing: 0,
            corrupt: 0,
            given_up,
        };
        for &span in spans.iter().filter(|span| span.kind.is_lost()) {
            match span.kind {
                SpanKind::Missing => plan.missing = plan.missing.saturating_add(span.range.size()),
                SpanKind::Corrupt => plan.corrupt = plan.corrupt.saturating_add(span.range.size()),
                _ => {}
            }
            plan.known.add(span.range, dump.loss(span));
        }
        let good = plan.data();
        plan.note.fill(&mut plan.head, 0, Some(good), &[], given_up);
        plan.put_headers(true, plan.note_size(true))?;
        Ok(plan)
    }

    /// The least bytes the file will have: when all pages are zeros.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.data().saturating_add(self.page_size)
    }

    /// The most bytes the file will have: when no page can be compressed.
    #[must_use]
    pub fn max_size(&self) -> u64 {
        self.size().saturating_add(self.memory())
    }

    /// Bytes of memory the file will have, pages of zeros included.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.pages.saturating_mul(self.page_size)
    }

    pub(super) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Pages of a batch.
    pub(super) fn batch_pages(&self) -> u64 {
        BATCH.checked_div(self.page_size).unwrap_or(0).max(1)
    }

    /// Word size and byte order of the new file: those of the dumped kernel.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Bytes of one bitmap.
    pub(super) fn bitmap_size(&self) -> u64 {
        bitmap_blocks(self.max_mapnr, self.page_size).saturating_mul(self.page_size)
    }

    /// Offset of the first descriptor.
    pub(super) fn table(&self) -> u64 {
        (self.head.len() as u64).saturating_add(self.bitmap_size().saturating_mul(2))
    }

    /// Offset behind the last descriptor, of the page of zeros.
    pub(super) fn data(&self) -> u64 {
        self.table().saturating_add(self.pages.saturating_mul(DESC_LEN as u64))
    }

    /// Bytes of the notes with ours, or without.
    pub(super) fn note_size(&self, ours: bool) -> u64 {
        let with = (self.note.changing().end as u64).saturating_sub(self.sub.offset_note);
        if ours { with } else { self.note.whole.p_filesz }
    }

    /// Writes both headers into `head`.
    pub(super) fn headers(&self, head: &mut [u8], unfinished: bool, note_size: u64) {
        let status = super::block::flag(self.options.codec) | if unfinished { INCOMPLETE } else { 0 };
        let main = Main { status, ..self.main.clone() }.encode(self.encoding);
        let packed = self.dump.arch() == Some(Arch::I386);
        let sub = Sub { size_note: note_size, ..self.sub }.encode(self.encoding, packed);
        let at = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        for (at, bytes) in [(0, main), (at, sub)] {
            let place = head.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
            place.unwrap_or_default().copy_from_slice(&bytes);
        }
    }

    fn put_headers(&mut self, unfinished: bool, note_size: u64) -> Result<(), Error> {
        let mut head = core::mem::take(&mut self.head);
        self.headers(&mut head, unfinished, note_size);
        self.head = head;
        Ok(())
    }
}

/// What of `readable` is left out.
fn leave_out(
    dump: &Dump<'_>,
    classes: Classes,
    readable: &[Range<u64>],
    max_mapnr: u64,
) -> Result<(PageSet, LeftOut), Error> {
    if classes.is_empty() {
        return Ok((PageSet::default(), LeftOut::default()));
    }
    let mut set = PageSet::new(max_mapnr)?;
    let mut told = LeftOut::default();
    let mut found = |pfns: Range<u64>, class| {
        told.add(class, set.add(pfns)?);
        Ok(())
    };
    let report = Scan::new(dump, classes)?.run(readable, &mut found)?;
    (told.unreadable, told.without) = (report.unreadable, report.without);
    Ok((set, told))
}

/// Bytes of a page, of a size the format has.
fn page_size(dump: &Dump<'_>) -> Result<u64, Error> {
    let one = matches!(dump.arch(), Some(Arch::X86_64 | Arch::I386 | Arch::S390x));
    let size = dump.page_size().or(one.then_some(USUAL_PAGE));
    let size = size.ok_or(Error::Unsupported {
        what: "kdump-compressed dumps of a machine whose page size the source does not tell; save as ELF",
    })?;
    let expected = "a power of two from 4 KiB to 256 KiB";
    let fits = size.is_power_of_two() && (0x1000..=0x4_0000).contains(&size);
    if fits { Ok(size) } else { Err(Error::Corrupt { what: "PAGESIZE", value: size, expected }) }
}

/// Blocks of one bitmap.
fn bitmap_blocks(max_mapnr: u64, page_size: u64) -> u64 {
    max_mapnr.div_ceil(8).div_ceil(page_size.max(1))
}

/// The pages that any span of these kinds touches.
fn pages_of(spans: &[Span], page: u64, kinds: impl Fn(SpanKind) -> bool) -> Result<Vec<Range<u64>>, Error> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for span in spans.iter().filter(|span| kinds(span.kind)) {
        let pfns = touched(span.range, page);
        match ranges.last_mut().filter(|last| last.end >= pfns.start) {
            Some(last) => last.end = last.end.max(pfns.end),
            None => push(&mut ranges, "the pages of the source", pfns)?,
        }
    }
    Ok(ranges)
}

/// The pages that a range touches.
fn touched(range: PhysRange, page: u64) -> Range<u64> {
    let page = page.max(1);
    range.start().checked_div(page).unwrap_or(0)..range.end().div_ceil(page)
}

/// The pages of `readable` of which a part is lost or was left out: the format knows whole ones only.
fn partly(readable: &[Range<u64>], spans: &[Span], page: u64) -> Result<Vec<Range<u64>>, Error> {
    let lacks = |kind: SpanKind| kind != SpanKind::Hole && !kind.is_readable();
    let mut found: Vec<Range<u64>> = Vec::new();
    for span in spans.iter().filter(|span| lacks(span.kind)) {
        let pfns = touched(span.range, page);
        // Only the first and the last page of a span can have bytes of another one.
        for pfn in [pfns.start, pfns.end.saturating_sub(1)] {
            let index = readable.partition_point(|run| run.end <= pfn);
            let inside = readable.get(index).is_some_and(|run| run.start <= pfn);
            if inside && found.last().is_none_or(|last| last.end <= pfn) {
                push(&mut found, "the pages that the source has in part", pfn..pfn.saturating_add(1))?;
            }
        }
    }
    Ok(found)
}

/// `ranges` without the pages of `holes`, both sorted and disjoint.
fn without(ranges: &[Range<u64>], holes: &[Range<u64>]) -> Result<Vec<Range<u64>>, Error> {
    let what = "the pages of the source";
    let mut left = Vec::new();
    let mut holes = holes.iter().peekable();
    for range in ranges {
        let mut start = range.start;
        while let Some(hole) = holes.next_if(|hole| hole.start < range.end) {
            if hole.start > start {
                push(&mut left, what, start..hole.start)?;
            }
            start = start.max(hole.end);
        }
        if start < range.end {
            push(&mut left, what, start..range.end)?;
        }
    }
    Ok(left)
}

/// What the source is known to lack and the bitmaps do not say.
fn known(spans: &[Span], partly: &[Range<u64>], page: u64) -> Result<Losses, Error> {
    let mut losses = Losses::new(MAX_KNOWN);
    let mut end = 0;
    for span in spans {
        let pfns = touched(span.range, page);
        let index = partly.partition_point(|hole| hole.end <= pfns.start);
        let in_part = partly.get(index).is_some_and(|hole| hole.start < pfns.end);
        let reason = match reason_of(span.kind) {
            Some(LossReason::Excluded(0)) if !in_part => None,
            reason => reason,
        };
        let Some(reason) = reason else {
            // Bytes of a page that is lost in part are given up.
            let share = |hole: &Range<u64>| {
                let start = hole.start.saturating_mul(page).max(span.range.start());
                hole.end.saturating_mul(page).min(span.range.end()).saturating_sub(start)
            };
            let near =
                partly.get(index..).unwrap_or_default().iter().take_while(|hole| hole.start < pfns.end);
            let lost = near.map(share).fold(0, u64::saturating_add);
            if span.kind.is_readable() {
                losses.given_up = losses.given_up.saturating_add(lost);
            }
            if span.kind != SpanKind::Hole {
                losses.pass(span.range.size().saturating_sub(lost), span.kind.is_readable());
            }
            continue;
        };
        let start = pfns.start.saturating_mul(page).max(end);
        end = pfns.end.saturating_mul(page).max(end);
        if let Ok(range) = PhysRange::from_half_open(start, end) {
            losses.add(LostRange { range, reason })?;
        }
    }
    Ok(losses)
}

/// Both headers, as far as they do not depend on the places of things.
fn headers(dump: &Dump<'_>, page_size: u64, max_mapnr: u64) -> (Main, Sub) {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let info = dump.vmcoreinfo();
    let mut main = Main {
        version: VERSION,
        timestamp: info.and_then(|info| info.decimal("CRASHTIME")).unwrap_or(0),
        block_size: narrow(page_size),
        bitmap_blocks: narrow(bitmap_blocks(max_mapnr, page_size).saturating_mul(2)),
        max_mapnr: narrow(max_mapnr.min(SATURATED)),
        nr_cpus: narrow(dump.cpu_count() as u64),
        ..Main::default()
    };
    names(dump, &mut main);
    let sub = Sub {
        phys_base: phys_base(dump),
        // What is gone already stays so.
        dump_level: i32::try_from(LEVEL_ZERO | dump.facts().dump_level & LEVELS).unwrap_or(0),
        end_pfn: max_mapnr.min(SATURATED),
        end_pfn_64: max_mapnr,
        max_mapnr_64: max_mapnr,
        ..Sub::default()
    };
    (main, sub)
}

/// What uname(2) told on the machine, from its memory; what is known without where that lacks it.
fn names(dump: &Dump<'_>, main: &mut Main) {
    if let Some(arch) = dump.arch() {
        main.set_name(MACHINE, machine_name(arch, dump.endian()).as_bytes());
    }
    let Some(info) = dump.vmcoreinfo() else { return };
    let release = info.release().unwrap_or_default().as_bytes();
    main.set_name(RELEASE, release);
    let mut found = [0; 6 * NAME];
    if read_names(dump, info, &mut found).is_none() {
        return;
    }
    let name = |index: usize| found.chunks_exact(NAME).nth(index).unwrap_or_default();
    let text = name(RELEASE).split(|byte| *byte == 0).next().unwrap_or_default();
    if text == release && !release.is_empty() {
        (0..6).for_each(|index| main.set_name(index, name(index)));
    }
}

fn read_names(dump: &Dump<'_>, info: VmcoreInfo<'_>, names: &mut [u8]) -> Option<()> {
    let place = info.symbol("init_uts_ns")?.checked_add(info.offset("uts_namespace.name")?)?;
    KernelMemory::new(dump).read(kdump_elf::Vaddr(place), names).ok()
}

/// Where the kernel's image was loaded, as x86_64 counts it; 0 elsewhere.
fn phys_base(dump: &Dump<'_>) -> u64 {
    if let Some(base) = dump.vmcoreinfo().and_then(|info| info.number("phys_base")) {
        return u64::from_ne_bytes(base.to_ne_bytes());
    }
    if dump.arch() != Some(Arch::X86_64) {
        return 0;
    }
    let image = dump.phdrs().iter().find(|phdr| phdr.p_filesz != 0 && phdr.p_vaddr >= IMAGE);
    image.map_or(0, |phdr| phdr.p_paddr.wrapping_sub(phdr.p_vaddr.wrapping_sub(IMAGE)))
}

/// The headers, still empty, with the notes behind them; tells the headers where things are.
fn head_of(
    dump: &Dump<'_>,
    encoding: Encoding,
    main: &mut Main,
    sub: &mut Sub,
    losses: &Losses,
    page_size: u64,
) -> Result<(Vec<u8>, NotePlace), Error> {
    let what = "the header of the new file";
    let packed = dump.arch() == Some(Arch::I386);
    let begin = page_size.saturating_add(sub.encode(encoding, packed).len() as u64);
    let mut head = zeroed(what, begin)?;
    let cleaned = Cleaned::all(dump.notes(), encoding.endian)?;
    let mut phdr = Phdr::default();
    let defects = source_defects(dump);
    let mut note = NotePlace::append(&mut head, encoding, &mut phdr, &cleaned, &losses.ranges, defects)?;
    note.whole.p_offset = phdr.p_offset;
    sub.offset_note = phdr.p_offset;
    if let (Some(info), Some(at)) = (dump.vmcoreinfo(), cleaned.vmcoreinfo) {
        sub.offset_vmcoreinfo = phdr.p_offset.saturating_add(at as u64);
        sub.size_vmcoreinfo = info.as_bytes().len() as u64;
    }
    let size = (head.len() as u64).next_multiple_of(page_size);
    let padding = zeroed(what, size.saturating_sub(head.len() as u64))?;
    append(&mut head, what, &padding)?;
    main.sub_hdr_size =
        u32::try_from(size.checked_div(page_size).unwrap_or(0)).unwrap_or(u32::MAX).saturating_sub(1);
    if encoding.class == Class::Elf32 && size > u32::MAX.into() {
        return Err(Error::TooLarge { what: "size of the notes", value: size, limit: u32::MAX.into() });
    }
    Ok((head, note))
}
