//! How many pages there are of each kind: of a machine (`--mem-usage`), and in a report (`--show-stats`).

use core::ops::Range;
use std::path::{Path, PathBuf};

use kdump_elf::PhysRange;
use kdump_segments::load::Status;
use kdump_vmcore::{Classes, Dump, PageClass, Reader, SaveReport, Scan, SpanKind};

use super::open;
use super::options::Options;
use crate::failure::{CommandResult, Failure};

/// All classes (makedumpfile(8), "-d").
const ALL: u8 = 30;
/// Pages judged, and read, at once.
const BATCH: u64 = 1024;

/// Pages by kind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Usage {
    classes: [u64; PageClass::ALL.len()],
    zero: u64,
    kernel: u64,
    /// Of `kernel`: pages of which nothing could be told.
    unknown: u64,
}

impl Usage {
    fn of(&self, class: PageClass) -> u64 {
        PageClass::ALL
            .iter()
            .zip(self.classes)
            .find(|(other, _)| **other == class)
            .map_or(0, |(_, pages)| pages)
    }

    fn add(&mut self, class: PageClass, pages: u64) {
        for (sum, other) in self.classes.iter_mut().zip(PageClass::ALL) {
            *sum = if other == class { sum.saturating_add(pages) } else { *sum };
        }
    }

    fn total(&self) -> u64 {
        self.classes.iter().copied().fold(self.zero.saturating_add(self.kernel), u64::saturating_add)
    }
}

pub(super) fn print(from: &Path, options: &Options) -> CommandResult {
    let dump = open(&[PathBuf::from(from)], options)?;
    let size = dump.page_size().unwrap_or(4096);
    // Of the machine itself: what lies in the crash region is no memory of its kernel.
    let is_live = from.canonicalize().is_ok_and(|path| path == Path::new("/proc/kcore"));
    let reserved = if is_live { Status::collect(Path::new("/"))?.regions } else { Vec::new() };
    let usage = count(&dump, size, &reserved).map_err(|failure| failure.of(from.display()))?;
    if usage.unknown > 0 {
        let unknown = usage.unknown;
        crate::terminal::tell!(
            "makedumpfile: of {unknown} pages nothing could be told: counted as KERN_DATA"
        );
    }
    super::print(&table(&usage, size))
}

/// Goes over all memory once, but for what is `reserved`.
fn count(dump: &Dump<'_>, size: u64, reserved: &[PhysRange]) -> Result<Usage, Failure> {
    let mut scan = Scan::new(dump, Classes::from_level(ALL))?;
    let mut reader = dump.reader();
    let mut usage = Usage::default();
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(4096)];
    // A block of pages that was judged in front may reach into what follows.
    let mut next = 0;
    let spans = dump.spans().filter(|span| matches!(span.kind, SpanKind::Stored | SpanKind::Zero));
    for range in spans.flat_map(|span| without(span.range.start()..span.range.end(), reserved)) {
        let mut pfn = range.start.div_ceil(size.max(1)).max(next);
        let end = range.end.checked_div(size).unwrap_or(0);
        while pfn < end {
            let to = pfn.saturating_add(BATCH).min(end);
            let mut taken = Vec::new();
            let report = scan.run(core::slice::from_ref(&(pfn..to)), &mut |range, class| {
                // Blocks of free pages end with their zone, which may end in front of a block.
                taken.push((range.start.max(pfn)..range.end.min(end), class));
                Ok(())
            })?;
            usage.unknown = usage.unknown.saturating_add(report.unreadable).saturating_add(report.without);
            let mut at = pfn;
            for (range, class) in taken {
                rest(&mut reader, at..range.start, size, &mut bytes, &mut usage);
                usage.add(class, range.end.saturating_sub(range.start));
                at = range.end;
            }
            rest(&mut reader, at..to, size, &mut bytes, &mut usage);
            pfn = to.max(at);
        }
        next = next.max(pfn);
    }
    Ok(usage)
}

/// What is left of `range` without `reserved`, which is ascending.
fn without(range: Range<u64>, reserved: &[PhysRange]) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    let mut at = range.start;
    for region in reserved {
        let (start, end) =
            (region.start().clamp(at, range.end.max(at)), region.end().clamp(at, range.end.max(at)));
        left.push(at..start);
        at = end;
    }
    left.push(at..range.end);
    left.retain(|part| part.start < part.end);
    left
}

/// Pages of no class: zeros, or what only a whole dump has.
fn rest(reader: &mut Reader<'_>, pfns: Range<u64>, size: u64, bytes: &mut [u8], usage: &mut Usage) {
    use kdump_vmcore::PhysMemory;
    for pfn in pfns {
        let read = reader.read_phys(kdump_elf::Paddr(pfn.saturating_mul(size)), bytes);
        if read.is_ok() && bytes.iter().all(|&byte| byte == 0) {
            usage.zero = usage.zero.saturating_add(1);
        } else {
            usage.kernel = usage.kernel.saturating_add(1);
        }
    }
}

/// The table that scripts read: kind, pages, whether a level leaves them out, words.
fn table(usage: &Usage, size: u64) -> String {
    let rows = [
        ("ZERO", usage.zero, "yes", "Pages filled with zero"),
        ("NON_PRI_CACHE", usage.of(PageClass::Cache), "yes", "Cache pages without private flag"),
        ("PRI_CACHE", usage.of(PageClass::CachePrivate), "yes", "Cache pages with private flag"),
        ("USER", usage.of(PageClass::User), "yes", "User process pages"),
        ("FREE", usage.of(PageClass::Free), "yes", "Free pages"),
        ("KERN_DATA", usage.kernel, "no", "Dumpable kernel data"),
    ];
    let mut text =
        format!("\n{:<16}{:<24}{:<16}DESCRIPTION\n{}\n", "TYPE", "PAGES", "EXCLUDABLE", "-".repeat(80));
    for (kind, pages, excludable, words) in rows {
        text.push_str(&format!("{kind:<16}{pages:<24}{excludable:<16}{words}\n"));
    }
    let total = usage.total();
    let bytes = total.saturating_mul(size);
    text.push_str(&format!("\npage size:\t\t{size}\n"));
    text.push_str(&format!("Total pages on system:\t{total}\nTotal size on system:\t{bytes} Byte\n"));
    text
}

/// What was left out, in the lines of makedumpfile that this program can fill in. Pages of zeros share
/// one place and are not counted.
pub(super) fn statistics(report: &SaveReport) -> String {
    const PAGE: u64 = 4096;
    let names = [
        (PageClass::Cache, "Non-private cache pages"),
        (PageClass::CachePrivate, "Private cache pages"),
        (PageClass::User, "User process data pages"),
        (PageClass::Free, "Free pages"),
        (PageClass::HwPoison, "Hwpoison pages"),
        (PageClass::Offline, "Offline pages"),
    ];
    let (excluded, kept) = (report.left_out.pages(), report.memory.checked_div(PAGE).unwrap_or(0));
    let original = excluded.saturating_add(kept);
    let percent = kept.saturating_mul(100).checked_div(original).unwrap_or(100);
    let mut text = format!("\nOriginal pages  : {original:#018x}\n  Excluded pages   : {excluded:#018x}\n");
    for (class, name) in names {
        let pages =
            report.left_out.classes().find(|(other, _)| *other == class).map_or(0, |(_, pages)| pages);
        text.push_str(&format!("    {name:<24}: {pages:#018x}\n"));
    }
    text.push_str(&format!("  Remaining pages  : {kept:#018x}\n"));
    text.push_str(&format!("  (The number of pages is reduced to {percent}%.)\n"));
    text.push_str(&format!("Write bytes     : {}", report.file_size));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_in_one_row() {
        let mut usage = Usage { zero: 1, kernel: 2, ..Usage::default() };
        usage.add(PageClass::User, 4);
        usage.add(PageClass::Offline, 8);
        assert_eq!((usage.total(), usage.of(PageClass::User), usage.of(PageClass::Free)), (15, 4, 0));
        let text = table(&usage, 4096);
        assert!(text.contains("Total pages on system:\t15\n") && text.contains("61440 Byte"), "{text}");
        let user = text.lines().find(|line| line.starts_with("USER")).unwrap();
        assert_eq!(user.split_whitespace().take(3).collect::<Vec<_>>(), ["USER", "4", "yes"]);
    }

    #[test]
    fn the_crash_region_is_left_out() {
        let region = |start, end| PhysRange::from_half_open(start, end).unwrap();
        let left = |range, reserved: &[PhysRange]| -> Vec<(u64, u64)> {
            without(range, reserved).iter().map(|part| (part.start, part.end)).collect()
        };
        assert_eq!(left(0..10, &[]), [(0, 10)]);
        assert_eq!(left(0..10, &[region(2, 4), region(8, 20)]), [(0, 2), (4, 8)]);
        assert_eq!(left(4..10, &[region(0, 2), region(3, 5), region(30, 40)]), [(5, 10)]);
        assert_eq!(left(4..10, &[region(0, 20)]), []);
    }

    #[test]
    fn a_report_of_nothing_is_no_division() {
        let text = statistics(&SaveReport::default());
        assert!(text.contains("reduced to 100%"), "{text}");
    }
}
