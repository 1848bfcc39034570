//! The places that are read: the same for every reader, every format and every run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result, failed};
use crate::formats::Pages;
use lab::elf;

const PAGE: u64 = 4096;
/// Reads of 8 bytes in a list.
const READS: u64 = 100_000;
/// Reads of the hot set, which take a fraction of the time: fewer would measure how threads start.
const HOT_READS: u64 = 1_000_000;
/// Pages of the hot set.
const HOT: usize = 1000;
/// Pages that are read one after the other.
const SEQUENCE: usize = 1 << 16;
/// Bytes of a large read.
const LARGE: u64 = 1 << 20;
/// Below the kernel's text mapping, above user space: the linear map (x86_64).
const LINEAR: core::ops::Range<u64> = 0xff00_0000_0000_0000..0xffff_ffff_8000_0000;

/// A list of places, and how it is read.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) name: &'static str,
    /// `p` or `v`, as the readers take it.
    pub(super) space: &'static str,
    pub(super) threads: usize,
    /// Whether the list is read once before the clock starts.
    pub(super) warm: bool,
    pub(super) list: PathBuf,
    pub(super) reads: usize,
    pub(super) bytes: u64,
}

/// Addresses, and bytes from each on.
type Places = Vec<(u64, u64)>;

/// Every list with one thread and with two on one handle.
pub(super) fn jobs(dump: &Path, level: u64, dir: &Path) -> Result<Vec<Job>> {
    let pages = pages(dump, level)?;
    let sequence = pages.get(..pages.len().min(SEQUENCE)).unwrap_or_default();
    let middle = pages.len().checked_div(2).unwrap_or(0);
    let hot: Vec<u64> = pages.iter().skip(middle).take(HOT).copied().collect();
    let lists: [(&'static str, &'static str, bool, Places); 5] = [
        ("random", "p", false, words(&pages, READS)),
        ("hot set", "p", true, words(&hot, HOT_READS)),
        ("virtual", "v", false, words(&linear(dump, &pages)?, READS)),
        ("4 KiB", "p", false, sequence.iter().map(|&at| (at, PAGE)).collect()),
        ("1 MiB", "p", false, large(sequence)),
    ];
    let mut jobs = Vec::new();
    for (name, space, warm, places) in lists {
        let list = dir.join(format!("places-{}", name.replace(' ', "-")));
        let bytes: Vec<u8> =
            places.iter().flat_map(|(at, len)| [*at, *len]).flat_map(u64::to_le_bytes).collect();
        fs::write(&list, bytes).context(list.display())?;
        for threads in [1, 2] {
            let bytes = places.iter().map(|(_, len)| len).sum();
            jobs.push(Job { name, space, threads, warm, list: list.clone(), reads: places.len(), bytes });
        }
    }
    Ok(jobs)
}

/// The addresses of all whole pages that a dump of this level has.
fn pages(dump: &Path, level: u64) -> Result<Vec<u64>> {
    if level > 1 {
        return Err(failed(format!("--level {level}: 0, or 1 to leave pages of zeros out")));
    }
    let all = Pages::of_elf(dump)?;
    let has = |page: &Option<Vec<u8>>| level == 0 || page.iter().flatten().any(|&byte| byte != 0);
    let pages: Vec<u64> = all.0.iter().filter(|(_, page)| has(page)).map(|(at, _)| *at).collect();
    if pages.len() < HOT.saturating_mul(2) {
        return Err(failed(format!("{} has only {} pages", dump.display(), pages.len())));
    }
    Ok(pages)
}

/// Where the linear map has those of the pages it has.
fn linear(dump: &Path, pages: &[u64]) -> Result<Vec<u64>> {
    let wanted: BTreeSet<u64> = pages.iter().copied().collect();
    let mut all = Vec::new();
    let phdrs = elf::phdrs(dump)?;
    for phdr in phdrs.iter().filter(|phdr| phdr.kind == "PT_LOAD" && LINEAR.contains(&phdr.vaddr)) {
        let inside = wanted.range(phdr.paddr..phdr.paddr.saturating_add(phdr.filesz));
        all.extend(inside.map(|at| at.wrapping_sub(phdr.paddr).wrapping_add(phdr.vaddr)));
    }
    if all.is_empty() { Err(failed("no PT_LOAD of the linear map")) } else { Ok(all) }
}

/// Words at random places of the pages: xorshift64, the same in every run.
fn words(pages: &[u64], reads: u64) -> Places {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let index = usize::try_from(state.checked_rem(pages.len() as u64).unwrap_or(0)).unwrap_or(0);
        let page = pages.get(index).copied().unwrap_or(0);
        (page.wrapping_add(((state >> 40) & 511).wrapping_mul(8)), 8)
    };
    (0..reads).map(|_| next()).collect()
}

/// Reads of up to 1 MiB, each of pages without a gap.
fn large(pages: &[u64]) -> Places {
    let mut reads = Places::new();
    for &at in pages {
        match reads.last_mut() {
            Some((start, len)) if start.wrapping_add(*len) == at && *len < LARGE => {
                *len = len.saturating_add(PAGE);
            }
            _ => reads.push((at, PAGE)),
        }
    }
    reads
}
