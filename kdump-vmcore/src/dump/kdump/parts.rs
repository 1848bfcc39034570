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

/// Opens the dump that `parts` are.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Kdump<'_>, Error> {
    let mut defects = Vec::new();
    let mut opened: Vec<Opened<'_>> = Vec::new();
    for (number, source) in (1..).zip(parts) {
        let header = Header::read(&*source, &mut defects)?;
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
    let mut scratch = PageScratch::default();
    let missing = unknown(ram.as_ref(), &stored, header.max_mapnr).saturating_mul(header.block_size());
    let mut completeness = Completeness { missing, ..Completeness::default() };
    let mut remembered = Remembered::read(&notes, header.encoding.endian, 0, &mut defects)?;
    let good = set::remembered(&opened, &mut remembered, &mut defects)?;
    if header.main.status & INCOMPLETE != 0 && good.iter().all(Option::is_none) {
        defects.push(Error::Incomplete);
    }
    let mut files = Vec::new();
    let mut end = 0;
    // The note is that of the first file.
    let scattered = remembered.scattered.filter(|_| opened.len() == 1);
    for (index, part) in opened.into_iter().enumerate() {
        let pfns = part.pfns();
        if pfns.is_empty() {
            // It may say to have none anywhere, also inside another part.
            continue;
        }
        missing_part(end..pfns.start, &stored, &header, &mut completeness, &mut defects);
        end = pfns.end;
        let part_header = part.header.clone();
        let good = good.get(index).copied().flatten();
        let file = File::new(index, part, pfns, (&header, good, scattered), &stored, &mut scratch)?;
        // Where a writer stopped, or had pages it could not read, the first ones may have no data.
        let partial = header.main.status & INCOMPLETE != 0 || !remembered.is_empty();
        defects.extend(file.misplaced(&stored, (index, &header), partial, &mut scratch));
        defects.extend(file.hole(&stored, (index, &part_header), &notes, &mut scratch));
        let mut lost = file.expect(&stored, &mut completeness, &mut scratch, index);
        if scattered.is_some() {
            lost = lost.saturating_sub(file.noted(&stored, &remembered, header.block_size()));
        }
        completeness.missing = completeness.missing.saturating_add(lost.saturating_mul(header.block_size()));
        files.push(file);
    }
    missing_part(end..header.max_mapnr, &stored, &header, &mut completeness, &mut defects);
    let known = completeness.missing == 0 && remembered.is_empty();
    defects.extend(if known { no_page(&stored) } else { None });
    let text = files.first().map(|file| erase_info(&file.pages, &header, &mut completeness, &mut defects));
    completeness.defects = defects;
    count_remembered(&remembered, ram.as_ref(), header.block_size(), &mut completeness);
    let vmcoreinfo = notes.vmcoreinfo().and_then(|info| info.page_size());
    let page_size = vmcoreinfo.filter(|size| (0x1000..=0x10_0000).contains(size));
    // QEMU writes arm64 in blocks of the largest page there is, whatever the kernel's are.
    let block_size = (header.arch != Some(Arch::Arm64)).then(|| header.block_size());
    let mut details = details(&header, &files, &stored, text.as_deref().unwrap_or_default(), &mut scratch);
    details.extend(xen::detail(&notes));
    let facts = Facts {
        e_machine: header.arch.map_or(0, Arch::e_machine),
        arch: header.arch,
        page_size: page_size.or(block_size),
        dump_level: header.dump_level,
        notes,
        completeness,
        details,
        ..Facts::new(if header.diskdump { "diskdump" } else { "kdump" }, header.encoding)
    };
    let base = base.checked_next_multiple_of(header.block_size()).unwrap_or(0);
    let (max_mapnr, page_size) = (header.max_mapnr, header.block_size());
    Ok(Kdump { files, ram, stored, max_mapnr, page_size, base, remembered, facts })
}

/// Counts the pages of parts that were not given.
fn missing_part(
    gap: Range<u64>,
    stored: &Bitmap,
    header: &Header,
    completeness: &mut Completeness,
    defects: &mut Vec<Error>,
) {
    if gap.is_empty() {
        return;
    }
    let pages = stored.rank(gap.end).saturating_sub(stored.rank(gap.start));
    completeness.missing = completeness.missing.saturating_add(pages.saturating_mul(header.block_size()));
    defects.push(Error::PartNotGiven { start: gap.start, end: gap.end });
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
