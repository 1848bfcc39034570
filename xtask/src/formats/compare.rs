//! Memory in pages, and whether two readers have the same of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, failed};
use crate::shell;
use lab::elf;

pub(super) const PAGE: usize = 4096;
const PAGE_SIZE: u64 = 4096;

/// What a reader has of each page, by physical address; `None` when it has no data.
#[derive(Debug, Default)]
pub(crate) struct Pages(pub(crate) BTreeMap<u64, Option<Vec<u8>>>);

impl Pages {
    /// All whole pages that the PT_LOADs of an ELF core have.
    pub(crate) fn of_elf(path: &Path) -> Result<Self> {
        let file = File::open(path).context(path.display())?;
        let mut pages = Self::default();
        for phdr in elf::phdrs(path)?.iter().filter(|phdr| phdr.kind == "PT_LOAD") {
            let first = phdr.paddr.next_multiple_of(PAGE_SIZE);
            let end = phdr.paddr.saturating_add(phdr.filesz);
            let starts = (first..end.saturating_sub(PAGE_SIZE.saturating_sub(1))).step_by(PAGE);
            for paddr in starts {
                let mut page = vec![0; PAGE];
                let offset = phdr.offset.saturating_add(paddr.saturating_sub(phdr.paddr));
                file.read_exact_at(&mut page, offset).context(path.display())?;
                pages.0.insert(paddr, Some(page));
            }
        }
        Ok(pages)
    }

    /// The pages of a file that is memory from `base` on.
    pub(super) fn of_raw(path: &Path, base: u64) -> Result<Self> {
        let bytes = std::fs::read(path).context(path.display())?;
        let pages = (base..).step_by(PAGE).zip(bytes.chunks_exact(PAGE));
        Ok(Self(pages.map(|(paddr, page)| (paddr, Some(page.to_vec()))).collect()))
    }

    /// Ranges of addresses without a break.
    fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for &paddr in self.0.keys() {
            match runs.last_mut() {
                Some((_, end)) if *end == paddr => *end = paddr.saturating_add(PAGE_SIZE),
                _ => runs.push((paddr, paddr.saturating_add(PAGE_SIZE))),
            }
        }
        runs
    }
}

/// Ranges of physical addresses, from start to end, sorted.
type Ranges = Vec<(u64, u64)>;

/// What `kdump map` says: memory without a hole, and what of it has data.
fn map(kdump: &Path, files: &[PathBuf]) -> Result<(Ranges, Ranges)> {
    let text = shell::stdout(std::process::Command::new(kdump).arg("map").arg("--json").args(files))?;
    let map: serde_json::Value = serde_json::from_slice(&text).context("kdump map --json")?;
    let ranges = map.get("ranges").and_then(|ranges| ranges.as_array()).context("no ranges in the map")?;
    let (mut whole, mut listed) = (Ranges::new(), Ranges::new());
    for range in ranges {
        let start = range.get("start").and_then(|start| start.as_str()).context("a range without start")?;
        let start = u64::from_str_radix(start.trim_start_matches("0x"), 16).context(start)?;
        let size = range.get("size").and_then(serde_json::Value::as_u64).context("a range without size")?;
        let kind = range.get("kind").and_then(|kind| kind.as_str()).context("a range without kind")?;
        let end = start.saturating_add(size);
        match kind {
            "stored" | "zero" => listed.push((start, end)),
            "excluded" => {}
            "hole" => continue,
            other => return Err(failed(format!("{other} at {start:#x} in a sound dump"))),
        }
        match whole.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            _ => whole.push((start, end)),
        }
    }
    Ok((whole, listed))
}

/// What `kdump map` and `kdump read` say of the pages of `source`.
pub(super) fn ours(kdump: &Path, files: &[PathBuf], source: &Pages) -> Result<Pages> {
    let (whole, listed) = map(kdump, files)?;
    let mut pages = Pages::default();
    for (start, end) in source.runs() {
        (start..end).step_by(PAGE).for_each(|paddr| drop(pages.0.insert(paddr, None)));
        // Runs of the source may be longer or shorter than what is listed.
        for &(from, to) in whole.iter().filter(|(from, to)| *from < end && *to > start) {
            let from = from.max(start).next_multiple_of(PAGE_SIZE);
            let to = to.min(end);
            let len = to.saturating_sub(from) & !PAGE_SIZE.saturating_sub(1);
            if len == 0 {
                continue;
            }
            // One process for thousands of ranges: what is in none of them is not looked at.
            let mut read = std::process::Command::new(kdump);
            read.args(["read", "--zero-excluded"]).args(files);
            read.args(["--phys", &from.to_string(), "--len", &len.to_string()]);
            let bytes = shell::stdout(&mut read)?;
            if bytes.len() as u64 != len {
                return Err(failed(format!("{} bytes at {from:#x} instead of {len}", bytes.len())));
            }
            let mut rest = listed.as_slice();
            for (paddr, page) in (from..).step_by(PAGE).zip(bytes.chunks_exact(PAGE)) {
                while let Some((_, others)) = rest.split_first().filter(|((_, end), _)| *end <= paddr) {
                    rest = others;
                }
                let end = paddr.saturating_add(PAGE_SIZE);
                if rest.first().is_some_and(|(first, last)| *first <= paddr && *last >= end) {
                    pages.0.insert(paddr, Some(page.to_vec()));
                }
            }
        }
    }
    Ok(pages)
}

/// Every page that was read has the bytes it has in `source`.
pub(super) fn same_bytes(whose: &str, source: &Pages, read: &Pages) -> Result<String> {
    let mut stored: usize = 0;
    for (paddr, page) in &read.0 {
        let Some(page) = page else { continue };
        let original =
            source.0.get(paddr).and_then(Option::as_ref).context(format!("{paddr:#x} in {whose}"))?;
        if page != original {
            return Err(failed(format!("the page at {paddr:#x} is not that of {whose}")));
        }
        stored = stored.saturating_add(1);
    }
    if stored == 0 {
        return Err(failed("no page is stored"));
    }
    Ok(format!("{stored} pages stored, {} left out", read.0.len().saturating_sub(stored)))
}

/// Both have the same pages, and the same bytes in them. Of an ELF core (`is_elf`) libkdumpfile takes the page in
/// front of a segment for zeros, though no segment has it.
pub(super) fn same_states(ours: &Pages, theirs: &Pages, is_elf: bool) -> Result {
    let all = ours;
    let is_in_front = |paddr: u64| all.0.get(&paddr.saturating_add(PAGE_SIZE)).is_some_and(Option::is_some);
    for (paddr, theirs) in &theirs.0 {
        let ours = all.0.get(paddr).context(format!("{paddr:#x}"))?;
        let zeros = theirs.as_ref().is_some_and(|page| page.iter().all(|byte| *byte == 0));
        if is_elf && ours.is_none() && zeros && is_in_front(*paddr) {
            continue;
        }
        if ours != theirs {
            let what = |page: &Option<Vec<u8>>| if page.is_some() { "stored" } else { "no data" };
            let (ours, theirs) = (what(ours), what(theirs));
            return Err(failed(format!("the page at {paddr:#x}: {ours}, libkdumpfile has {theirs}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(list: &[(u64, Option<u8>)]) -> Pages {
        Pages(list.iter().map(|(paddr, byte)| (*paddr, byte.map(|byte| vec![byte; PAGE]))).collect())
    }

    #[test]
    fn a_single_page_that_differs_is_found() {
        let source = pages(&[(0, Some(1)), (0x1000, Some(2)), (0x3000, Some(3))]);
        assert_eq!(source.runs(), [(0, 0x2000), (0x3000, 0x4000)]);
        assert!(same_bytes("it", &source, &pages(&[(0, Some(1)), (0x1000, None)])).is_ok());
        assert!(same_bytes("it", &source, &pages(&[(0, Some(1)), (0x1000, Some(3))])).is_err());
        assert!(same_bytes("it", &source, &pages(&[(0x2000, Some(1))])).is_err());
        assert!(same_bytes("it", &source, &pages(&[(0, None)])).is_err());
        assert!(same_states(&source, &source, false).is_ok());
        assert!(same_states(&source, &pages(&[(0, None)]), true).is_err());
        assert!(same_states(&source, &pages(&[(0x5000, None)]), true).is_err());
        let lacking = pages(&[(0, None), (0x1000, Some(2)), (0x2000, None)]);
        for (place, byte, is_elf, good) in
            [(0, 0, true, true), (0, 0, false, false), (0, 1, true, false), (0x2000, 0, true, false)]
        {
            assert_eq!(
                same_states(&lacking, &pages(&[(place, Some(byte))]), is_elf).is_ok(),
                good,
                "{place:#x}"
            );
        }
    }
}
