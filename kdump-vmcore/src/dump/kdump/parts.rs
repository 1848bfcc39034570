//! The files of a dump: one, or the parts of a set that makedumpfile made with `--split`.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::Arch;

use super::Kdump;
use super::bitmap::Bitmap;
use super::damage::{no_page, no_ram};
use super::describe::details;
use super::file::{File, INCOMPLETE, Opened};
use super::header::{Extent, Header, MACHINE, fill};
use super::notes::notes;
use super::page::{PageScratch, Pages};
use super::set;
use crate::dump::part::Part;
use crate::dump::remembered::Remembered;
use crate::dump::{Completeness, Facts, NoteTable, SpanKind, xen};
use crate::error::Error;
use crate::room::zeroed;

/// What is known of all files together.
struct Joined {
    header: Header,
    stored: Bitmap,
    notes: NoteTable,
    remembered: Remembered,
    completeness: Completeness,
    defects: Vec<Error>,
    scratch: PageScratch,
}

/// Opens the dump that `parts` are.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Kdump<'_>, Error> {
    let mut defects = Vec::new();
    let (mut opened, mut header) = headers(parts, &mut defects)?;
    let (ram, stored) = set::bitmaps(&mut opened, &header, &mut defects)?;
    defects.extend(ram.as_ref().and_then(|ram| no_ram(&stored, ram)));
    let notes = match opened.first() {
        Some(first) => notes(&*first.source, &header, &mut defects)?,
        None => NoteTable::new(header.encoding.endian),
    };
    // Page frame 0 of ARM is where its RAM begins.
    let base = if header.arch == Some(Arch::Arm) { header.phys_base } else { 0 };
    // QEMU calls the machine "Unknown" but for x86 and s390x. One that has a name which is none of ours is
    // another, whatever the size of its registers.
    if matches!(header.name(MACHINE).as_str(), "" | "Unknown") {
        header.arch = header.arch.or_else(|| notes.arch());
    }
    let missing = unknown(ram.as_ref(), &stored, header.max_mapnr).saturating_mul(header.block_size());
    let completeness = Completeness { missing, ..Completeness::default() };
    let mut remembered = Remembered::read(&notes, header.encoding.endian, 0, &mut defects)?;
    let good = set::remembered(&opened, &mut remembered, &mut defects)?;
    if header.main.status & INCOMPLETE != 0 && good.iter().all(Option::is_none) {
        defects.push(Error::Incomplete);
    }
    let scratch = PageScratch::default();
    let mut joined = Joined { header, stored, notes, remembered, completeness, defects, scratch };
    let files = joined.files(opened, &good)?;
    count_remembered(&joined.remembered, ram.as_ref(), joined.header.block_size(), &mut joined.completeness);
    let base = base.checked_next_multiple_of(joined.header.block_size()).unwrap_or(0);
    let (max_mapnr, page_size) = (joined.header.max_mapnr, joined.header.block_size());
    let facts = joined.facts(&files);
    Ok(Kdump {
        files,
        ram,
        stored: joined.stored,
        max_mapnr,
        page_size,
        base,
        remembered: joined.remembered,
        facts,
    })
}

/// The headers of all files in the order of their pages, and the one that holds for all of them.
fn headers<'d>(parts: Vec<Part<'d>>, defects: &mut Vec<Error>) -> Result<(Vec<Opened<'d>>, Header), Error> {
    let mut opened: Vec<Opened<'_>> = Vec::new();
    for (number, source) in (1..).zip(parts) {
        let header = Header::read(&*source, defects)?;
        opened.push(Opened { source, header, number, ones: 0 });
    }
    if opened.len() > 1 {
        set::check(&opened)?;
    }
    opened.sort_by_key(|opened| (opened.pfns().start, opened.pfns().end));
    let Some(mut header) = opened.first().map(|first| first.header.clone()) else {
        return Err(Error::Unsupported { what: "a dump of no file; name one at least" });
    };
    // A set lacks what any of its parts lacks.
    header.main.status |= opened.iter().fold(0, |all, part| all | part.header.main.status & INCOMPLETE);
    Ok((opened, header))
}

impl Joined {
    /// The files that have pages; counts what they and the gaps between them lack.
    fn files<'d>(&mut self, opened: Vec<Opened<'d>>, good: &[Option<u64>]) -> Result<Vec<File<'d>>, Error> {
        let mut files = Vec::new();
        let mut end = 0;
        // The note is that of the first file.
        let scattered = self.remembered.scattered.filter(|_| opened.len() == 1);
        for (index, part) in opened.into_iter().enumerate() {
            let pfns = part.pfns();
            if pfns.is_empty() {
                // It may say to have none anywhere, also inside another part.
                continue;
            }
            self.not_given(end..pfns.start);
            end = pfns.end;
            let good = good.get(index).copied().flatten();
            files.push(self.file(index, part, (good, scattered))?);
        }
        self.not_given(end..self.header.max_mapnr);
        let known = self.completeness.missing == 0 && self.remembered.is_empty();
        self.defects.extend(if known { no_page(&self.stored) } else { None });
        Ok(files)
    }

    /// File number `index`; counts what it lacks.
    fn file<'d>(
        &mut self,
        index: usize,
        part: Opened<'d>,
        (good, scattered): (Option<u64>, Option<u64>),
    ) -> Result<File<'d>, Error> {
        let Self { header, stored, scratch, .. } = self;
        let part_header = part.header.clone();
        let pfns = part.pfns();
        let file = File::new(index, part, pfns, (header, good, scattered), stored, scratch)?;
        // Where a writer stopped, or had pages it could not read, the first ones may have no data.
        let partial = header.main.status & INCOMPLETE != 0 || !self.remembered.is_empty();
        self.defects.extend(file.misplaced(stored, (index, header), partial, scratch));
        self.defects.extend(file.hole(stored, (index, &part_header), &self.notes, scratch));
        let mut lost = file.expect(stored, &mut self.completeness, scratch, index);
        if scattered.is_some() {
            lost = lost.saturating_sub(file.noted(stored, &self.remembered, header.block_size()));
        }
        self.lacks(lost);
        Ok(file)
    }

    /// Counts `pages` that are missing.
    fn lacks(&mut self, pages: u64) {
        let bytes = pages.saturating_mul(self.header.block_size());
        self.completeness.missing = self.completeness.missing.saturating_add(bytes);
    }

    /// Counts the pages of parts that were not given.
    fn not_given(&mut self, gap: Range<u64>) {
        if gap.is_empty() {
            return;
        }
        self.lacks(self.stored.rank(gap.end).saturating_sub(self.stored.rank(gap.start)));
        self.defects.push(Error::PartNotGiven { start: gap.start, end: gap.end });
    }

    /// What the dump says of itself. Takes the notes and what was counted.
    fn facts(&mut self, files: &[File<'_>]) -> Facts {
        let Self { header, stored, completeness, defects, scratch, .. } = self;
        let text = files.first().map(|file| erase_info(&file.pages, header, completeness, defects));
        completeness.defects = core::mem::take(defects);
        let mut details = details(header, files, stored, text.as_deref().unwrap_or_default(), scratch);
        details.extend(xen::detail(&self.notes));
        let vmcoreinfo = self.notes.vmcoreinfo().and_then(|info| info.page_size());
        let page_size = vmcoreinfo.filter(|size| (0x1000..=0x10_0000).contains(size));
        // QEMU writes arm64 in blocks of the largest page there is, whatever the kernel's are.
        let block_size = (header.arch != Some(Arch::Arm64)).then(|| header.block_size());
        let none = NoteTable::new(header.encoding.endian);
        Facts {
            e_machine: header.arch.map_or(0, Arch::e_machine),
            arch: header.arch,
            page_size: page_size.or(block_size),
            dump_level: header.dump_level,
            notes: core::mem::replace(&mut self.notes, none),
            completeness: core::mem::take(completeness),
            details,
            ..Facts::new(if header.diskdump { "diskdump" } else { "kdump" }, header.encoding)
        }
    }
}

/// Pages that may be RAM and of which nobody knows whether they were stored, because the file
/// ends before their bits.
fn unknown(ram: Option<&Bitmap>, stored: &Bitmap, max_mapnr: u64) -> u64 {
    let (len, known) = (stored.len(), ram.map_or(0, Bitmap::len));
    let listed = ram.map_or(0, |ram| ram.ones().saturating_sub(ram.rank(len)));
    listed.saturating_add(max_mapnr.saturating_sub(len.max(known)))
}

/// Counts the RAM that a note of ours lists as lost.
fn count_remembered(
    remembered: &Remembered,
    ram: Option<&Bitmap>,
    page: u64,
    completeness: &mut Completeness,
) {
    let Some(ram) = ram else { return };
    for span in remembered.ranges().iter().filter(|span| span.kind.is_lost()) {
        let start = ram.rank(span.range.start().checked_div(page).unwrap_or(0));
        let bytes = ram.rank(span.range.end().div_ceil(page)).saturating_sub(start).saturating_mul(page);
        let sum = match span.kind {
            SpanKind::Missing => &mut completeness.missing,
            _ => &mut completeness.unreadable,
        };
        *sum = sum.saturating_add(bytes);
    }
}

/// Text that says what was erased.
fn erase_info(
    pages: &Pages<'_>,
    header: &Header,
    sum: &mut Completeness,
    defects: &mut Vec<Error>,
) -> String {
    /// Longer texts are cut when shown.
    const MAX: u64 = 64 << 10;
    let Extent { offset, size } = header.erase_info;
    if size == 0 {
        return String::new();
    }
    let read = || {
        let mut text = zeroed("erase info", size.min(MAX))?;
        fill(&*pages.source, offset, "erase info", &mut text)?;
        // It is lines of text: what stands behind a NUL is something else.
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Ok(String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned())
    };
    sum.expected_size = sum.expected_size.max(offset.saturating_add(size));
    read().unwrap_or_else(|error| {
        defects.push(error);
        String::new()
    })
}
