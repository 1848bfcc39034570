//! The file a dump will be saved as: header, notes, and a place for each byte of memory.

use alloc::vec::Vec;

use kdump_elf::{HeaderLayout, LossReason, LostRange, PT_LOAD, PT_NOTE, Phdr, align_up};

use super::cuts::Cuts;
use super::layout::{self, PAGE, Region};
use super::losses::{Losses, MAX_KNOWN, reason_of};
use super::note::{Cleaned, NotePlace, holder, mark};
use super::report::LeftOut;
use crate::dump::{Dump, MAX_PHDRS, Span, SpanKind, Unreadable, is_usable};
use crate::error::{Error, elf};
use crate::filter::Classes;
use crate::room::{collect, push, zeroed};

/// What an ELF core is to have: [`ElfOptions::default`], and what differs from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElfOptions {
    /// Pages that are left out, where 256 or more stand in a row: each row ends a PT_LOAD. Shorter rows are
    /// saved as they are ([`LeftOut::short`]), as makedumpfile does.
    pub exclude: Classes,
    /// Threads that look at the kernel's records of pages, the caller's among them. Without `std` there is one.
    pub threads: u16,
}

impl ElfOptions {
    /// Sets `exclude`.
    #[must_use]
    pub fn exclude(self, exclude: Classes) -> Self {
        Self { exclude, ..self }
    }

    /// Sets `threads`.
    #[must_use]
    pub fn threads(self, threads: u16) -> Self {
        Self { threads, ..self }
    }
}

impl Default for ElfOptions {
    /// All that the source has, by no thread but the caller's.
    fn default() -> Self {
        Self { exclude: Classes::NONE, threads: 1 }
    }
}

/// How a dump is saved as an ELF core: known before a byte is written.
///
/// The program headers are those of the source with new offsets; of a source that has none, one
/// for each piece of RAM that is stored, with what was left out behind it. Memory that several of them
/// list, such as the kernel's text in /proc/vmcore, is stored once. Behind the last note of the
/// last PT_NOTE in order there is room to remember what the source lacked; a source without such
/// a PT_NOTE gets one.
#[derive(Debug)]
pub struct SavePlan<'d> {
    pub(super) dump: &'d Dump<'d>,
    /// Header and notes, from offset 0 on, as they are while the file is not finished.
    pub(super) head: Vec<u8>,
    pub(super) note: NotePlace,
    pub(super) regions: Vec<Region>,
    /// Memory the source is known to have lost.
    pub(super) known: Unreadable,
    /// Of this, bytes behind the end of the source and bytes that are damaged.
    pub(super) missing: u64,
    pub(super) corrupt: u64,
    /// Readable bytes that are given up for want of room to list losses.
    pub(super) given_up: u64,
    pub(super) size: u64,
    pub(super) memory: u64,
    pub(super) shared: u64,
    pub(super) dropped_phdrs: Vec<u32>,
    pub(super) left_out: LeftOut,
}

impl<'d> SavePlan<'d> {
    /// Lays out the file, with everything the source has.
    ///
    /// # Errors
    /// As [`SavePlan::with`].
    pub fn elf(dump: &'d Dump<'d>) -> Result<Self, Error> {
        Self::with(dump, ElfOptions::default())
    }

    /// Lays out the file.
    ///
    /// # Errors
    /// When the source has no program headers to keep, or the file would need offsets that
    /// its ELF class does not have; and where pages are to be left out, those of [`Scan::new`](crate::Scan::new).
    pub fn with(dump: &'d Dump<'d>, options: ElfOptions) -> Result<Self, Error> {
        let spans = layout::spans(dump)?;
        let cuts = Cuts::new(dump, options, &spans, dump.phdrs())?;
        let mut spans = cuts.cut_spans(spans)?;
        let made = if dump.phdrs().is_empty() { phdrs_of(dump, &spans)? } else { Vec::new() };
        let (mut kept, dropped_phdrs) = if made.is_empty() {
            let (kept, dropped) = sort(dump.phdrs())?;
            (cuts.cut_phdrs(kept)?, dropped)
        } else {
            (made, Vec::new())
        };
        if kept.is_empty() {
            return Err(Error::NoMemory);
        }
        let mut readable = layout::readable(&spans)?;
        let mut runs = layout::cut(&mut kept, &readable)?;
        let losses = known(&spans, &runs)?;
        // There may be millions, and room for the header is needed.
        spans.retain(|span| span.kind.is_lost());
        spans.shrink_to_fit();
        let (head, note) = head_of(dump, &mut kept, &losses)?;
        let size = layout::place(&mut runs, dump.encoding(), head.len() as u64)?;
        let mut plan = Self {
            dump,
            head,
            note,
            regions: Vec::new(),
            known: Unreadable::default(),
            missing: 0,
            corrupt: 0,
            given_up: losses.given_up,
            size,
            memory: 0,
            shared: 0,
            dropped_phdrs,
            left_out: cuts.told,
        };
        plan.write_head(&mut kept, &runs)?;
        readable.retain_mut(|region| {
            let size = region.range.size();
            let run = layout::run_at(&runs, region.range.start());
            match run {
                Some(run) => {
                    region.offset = run.offset_of(region.range.start());
                    plan.memory = plan.memory.saturating_add(size);
                }
                None => plan.given_up = plan.given_up.saturating_add(size),
            }
            run.is_some()
        });
        plan.regions = readable;
        for span in spans {
            match span.kind {
                SpanKind::Missing => plan.missing = plan.missing.saturating_add(span.range.size()),
                SpanKind::Corrupt => plan.corrupt = plan.corrupt.saturating_add(span.range.size()),
                _ => {}
            }
            plan.known.add(span.range, dump.loss(span));
        }
        let given_up = plan.given_up;
        let good = plan.head.len() as u64;
        plan.note.fill(&mut plan.head, 0, Some(good), &[], given_up);
        Ok(plan)
    }

    /// Bytes the file will have, holes included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Pages the file will not have because that was asked for.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Bytes of memory the file will have.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Writes the ELF header, with the mark of an unfinished file, and the program headers.
    fn write_head(&mut self, kept: &mut [Phdr], runs: &[Region]) -> Result<(), Error> {
        let header = layout_of(self.dump, kept);
        let mut listed = 0_u64;
        let mut writer = header.writer(&mut self.head).map_err(elf("new ELF header"))?;
        for phdr in kept {
            if phdr.p_type == PT_LOAD {
                let run = layout::run_at(runs, phdr.p_paddr).filter(|_| phdr.p_filesz != 0);
                phdr.p_offset = run.map_or(0, |run| run.offset_of(phdr.p_paddr));
                listed = listed.saturating_add(phdr.p_filesz);
            }
            writer.push(phdr).map_err(elf("new program header"))?;
        }
        writer.finish().map_err(elf("new ELF header"))?;
        let stored = runs.iter().map(|run| run.range.size()).fold(0, u64::saturating_add);
        self.shared = listed.saturating_sub(stored);
        mark(&mut self.head, true)
    }
}

fn layout_of(dump: &Dump<'_>, phdrs: &[Phdr]) -> HeaderLayout {
    let phnum = u32::try_from(phdrs.len()).unwrap_or(u32::MAX);
    HeaderLayout::file(dump.encoding(), dump.facts().e_machine, phnum)
}

/// What takes room for each program header.
const PHDRS: &str = "the program headers of the new file";

/// Program headers for a dump in a format that has none. Virtual addresses are not known.
fn phdrs_of(dump: &Dump<'_>, spans: &[Span]) -> Result<Vec<Phdr>, Error> {
    let notes = dump.notes().segments().map(|_| Phdr { p_type: PT_NOTE, p_align: 4, ..Phdr::default() });
    let mut phdrs: Vec<Phdr> = collect(PHDRS, notes)?;
    let mut end = None;
    for span in spans.iter().filter(|span| span.kind != SpanKind::Hole) {
        let (start, size) = (span.range.start(), span.range.size());
        let readable = span.kind.is_readable();
        let last = phdrs.last_mut().filter(|last| last.p_type == PT_LOAD && end == Some(start));
        // What is stored must come first in a PT_LOAD.
        match last.filter(|last| !readable || last.p_filesz == last.p_memsz) {
            Some(last) => {
                last.p_memsz = last.p_memsz.saturating_add(size);
                last.p_filesz = last.p_filesz.saturating_add(if readable { size } else { 0 });
            }
            None => {
                // No reader opens what has more; one entry is left for our note.
                if phdrs.len().saturating_add(1) >= MAX_PHDRS {
                    let (value, limit) = (phdrs.len().saturating_add(2) as u64, MAX_PHDRS as u64);
                    let what = "number of program headers for a memory in so many pieces";
                    return Err(Error::TooLarge { what, value, limit });
                }
                let phdr = Phdr {
                    p_type: PT_LOAD,
                    p_flags: 7,
                    p_paddr: start,
                    p_filesz: if readable { size } else { 0 },
                    p_memsz: size,
                    ..Phdr::default()
                };
                push(&mut phdrs, PHDRS, phdr)?;
            }
        }
        end = Some(span.range.end());
    }
    Ok(phdrs)
}

/// The program headers that are kept, and the indexes of the others.
fn sort(phdrs: &[Phdr]) -> Result<(Vec<Phdr>, Vec<u32>), Error> {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for (index, phdr) in (0_u32..).zip(phdrs) {
        match phdr.p_type {
            PT_NOTE => push(&mut kept, PHDRS, *phdr)?,
            PT_LOAD if is_usable(phdr) => push(&mut kept, PHDRS, *phdr)?,
            _ => push(&mut dropped, "the dropped program headers", index)?,
        }
    }
    Ok((kept, dropped))
}

/// What the source is known to lack and the program headers, cut to `runs`, do not say.
fn known(spans: &[Span], runs: &[Region]) -> Result<Losses, Error> {
    let mut losses = Losses::new(MAX_KNOWN);
    for span in spans {
        let inside = || {
            let index = runs.partition_point(|run| run.range.end() <= span.range.start());
            runs.get(index).is_some_and(|run| run.range.start() < span.range.end())
        };
        match reason_of(span.kind) {
            Some(LossReason::Excluded(0)) if !inside() => losses.pass(span.range.size(), false),
            Some(reason) => losses.add(LostRange::new(span.range, reason))?,
            None if span.kind.is_readable() => losses.pass(span.range.size(), true),
            None => {}
        }
    }
    Ok(losses)
}

/// Room for the header, and the notes behind it with ours among them. Each segment keeps its
/// alignment; what of it could not be read is no longer claimed.
fn head_of(dump: &Dump<'_>, phdrs: &mut Vec<Phdr>, losses: &Losses) -> Result<(Vec<u8>, NotePlace), Error> {
    const NOTES: &str = "the notes of the new file";
    let encoding = dump.encoding();
    let mut cleaned = Vec::new();
    for (phdr, bytes) in phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE).zip(dump.notes().segments()) {
        push(&mut cleaned, NOTES, Cleaned::new(bytes, encoding.endian, phdr.p_align)?)?;
    }
    let holder = match holder(phdrs, &cleaned) {
        Some(index) => index,
        None => {
            push(phdrs, PHDRS, Phdr { p_type: PT_NOTE, p_align: 4, ..Phdr::default() })?;
            push(&mut cleaned, NOTES, Cleaned::new(&[], encoding.endian, 4)?)?;
            phdrs.len().saturating_sub(1)
        }
    };
    let layout = layout_of(dump, phdrs);
    let mut head = zeroed("the header of the new file", align_up(layout.size(), PAGE).unwrap_or(u64::MAX))?;
    let defects = source_defects(dump);
    let mut place = None;
    let notes = phdrs.iter_mut().enumerate().filter(|(_, phdr)| phdr.p_type == PT_NOTE);
    for ((index, phdr), cleaned) in notes.zip(&cleaned) {
        if index == holder {
            place = Some(NotePlace::append(&mut head, encoding, phdr, cleaned, &losses.ranges, defects)?);
            continue;
        }
        cleaned.append(&mut head, phdr)?;
    }
    let mut place =
        place.ok_or(Error::Corrupt { what: "number of PT_NOTEs", value: 0, expected: "at least 1" })?;
    let entry = usize::from(encoding.phdr_size());
    let table = layout.size().saturating_sub((phdrs.len() as u64).saturating_mul(entry as u64));
    place.phdr_at = usize::try_from(table).unwrap_or(usize::MAX).saturating_add(holder.saturating_mul(entry));
    let padding = (head.len() as u64).next_multiple_of(PAGE).saturating_sub(head.len() as u64);
    crate::room::append(&mut head, "the header of the new file", &zeroed("padding", padding)?)?;
    Ok((head, place))
}

/// Defects of the source besides lost memory. Those a copy has itself may be those its own source
/// had, whose notes it carries: they are not counted again with each generation.
pub(super) fn source_defects(dump: &Dump<'_>) -> u32 {
    let (mut own, mut inherited) = (0_u32, 0_u32);
    for defect in &dump.completeness().defects {
        match defect {
            Error::SourceDefects { count } => inherited = inherited.saturating_add(*count),
            _ => own = own.saturating_add(1),
        }
    }
    // What the headers list besides memory, and the file ends in front of.
    let state = dump.completeness();
    if own == 0 && state.missing == 0 && state.expected_size > state.file_size {
        own = 1;
    }
    own.max(inherited)
}
