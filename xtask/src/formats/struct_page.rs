//! The kernel's own records of pages, read without the filter under test, to explain where two programs
//! take one for something else (Documentation/admin-guide/kdump/vmcoreinfo.rst).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::compare::Pages;
use crate::error::{Context, Result, failed};
use crate::shell;

/// Where notes are.
const HEAD: u64 = 1 << 20;
/// Bit 1 of `section_mem_map`, and all bits that are flags.
const HAS_MAP: u64 = 2;
const FLAGS: u64 = 0x3f;
/// Differences that are listed.
const LISTED: usize = 3;

/// The array of `struct page` of a dump of a 64-bit machine with SPARSEMEM.
pub(super) struct PageArray {
    kdump: PathBuf,
    dump: PathBuf,
    info: BTreeMap<String, String>,
}

impl PageArray {
    /// Of an ELF core.
    pub(super) fn of(kdump: &Path, dump: &Path) -> Result<Self> {
        let mut head = Vec::new();
        File::open(dump).and_then(|file| file.take(HEAD).read_to_end(&mut head)).context(dump.display())?;
        let text = String::from_utf8_lossy(&head);
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let info = text.split(['\n', '\0']).filter_map(pair).collect();
        Ok(Self { kdump: kdump.to_owned(), dump: dump.to_owned(), info })
    }

    /// A number of VMCOREINFO: symbols are hexadecimal.
    fn number(&self, key: &str) -> Result<u64> {
        let text = self.info.get(key).context(format!("no {key} in the notes"))?;
        let number = match key.starts_with("SYMBOL") {
            true => u64::from_str_radix(text, 16).ok(),
            false => text.parse::<i64>().ok().map(|number| u64::from_ne_bytes(number.to_ne_bytes())),
        };
        number.context(format!("{key}={text}"))
    }

    fn read(&self, vaddr: u64, len: u64) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.kdump);
        command.args(["read", "--virt", &format!("{vaddr:#x}"), "--len", &len.to_string()]).arg(&self.dump);
        shell::stdout(&mut command)
    }

    fn word(&self, vaddr: u64) -> Result<u64> {
        let bytes = self.read(vaddr, 8)?;
        let word = bytes.first_chunk().context("a word")?;
        Ok(u64::from_le_bytes(*word))
    }

    /// The record of the page at an address.
    fn record(&self, paddr: u64) -> Result<Vec<u8>> {
        let (page, bits) = (self.number("SIZE(page)")?, self.number("NUMBER(SECTION_SIZE_BITS)")?);
        let entry = self.number("SIZE(mem_section)")?;
        let section = paddr >> bits;
        let per_root = 4096_u64.checked_div(entry).context("SIZE(mem_section)")?;
        let (root, index) = (section.checked_div(per_root), section.checked_rem(per_root));
        let (root, index) = root.zip(index).context("SIZE(mem_section)")?;
        let place = self.number("SYMBOL(mem_section)")?.wrapping_add(root.wrapping_mul(8));
        let at = self.word(place)?.wrapping_add(index.wrapping_mul(entry));
        let map = self.word(at.wrapping_add(self.number("OFFSET(mem_section.section_mem_map)")?))?;
        if map & HAS_MAP == 0 {
            return Err(failed(format!("the section of {paddr:#x} has no records")));
        }
        self.read((map & !FLAGS).wrapping_add((paddr >> 12).wrapping_mul(page)), page)
    }

    /// What a record says, for people; and whether it is of the slab allocator by its type, which kernels tell since
    /// Linux 6.10 (`NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)`).
    fn describe(&self, record: &[u8]) -> Result<(String, bool)> {
        let field = |key: &str, len: usize| -> Result<u64> {
            let at = usize::try_from(self.number(key)?).context(key)?;
            let bytes = record.get(at..at.saturating_add(len)).context(key)?;
            Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
        };
        let mapcount = field("OFFSET(page._mapcount)", 4)?;
        let slab = self.number("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)").ok().map(|kind| kind & 0xffff_ffff);
        let text = format!(
            "flags {:#x} mapping {:#x} _mapcount {mapcount:#x} private {:#x} compound_head {:#x}",
            field("OFFSET(page.flags)", 8)?,
            field("OFFSET(page.mapping)", 8)?,
            field("OFFSET(page.private)", 8)?,
            field("OFFSET(page.compound_head)", 8)?
        );
        // The low 24 bits of a type in the top byte may be the owner's.
        Ok((text, slab.is_some_and(|kind| kind >> 24 == mapcount >> 24)))
    }
}

/// Explains every page that one program stored and the other left out: pages of the slab allocator that makedumpfile
/// 1.7.2 takes for a process's, because it does not know them by their type.
pub(super) fn explain(array: &PageArray, ours: &Pages, theirs: &Pages) -> Result<String> {
    let (mut slab, mut listed) = (0_usize, Vec::new());
    for (paddr, theirs) in &theirs.0 {
        let ours = ours.0.get(paddr).context(format!("{paddr:#x}"))?;
        if ours == theirs {
            continue;
        }
        let record = head_of(array, *paddr)?;
        let (text, is_slab) = array.describe(&record)?;
        let line = format!("{paddr:#x}: {text}");
        if !(is_slab && ours.is_some() && theirs.is_none()) {
            return Err(failed(format!("stored by one program alone, which nothing explains: {line}")));
        }
        slab = slab.saturating_add(1);
        if listed.len() < LISTED {
            listed.push(line);
        }
    }
    match slab {
        0 => Ok("as makedumpfile".to_owned()),
        _ => Ok(format!(
            "as makedumpfile but for {slab} pages of the slab allocator, which are kept\n{}",
            listed.join("\n")
        )),
    }
}

/// The record of a page, or of the head of the compound page it is in.
fn head_of(array: &PageArray, paddr: u64) -> Result<Vec<u8>> {
    let record = array.record(paddr)?;
    let at = usize::try_from(array.number("OFFSET(page.compound_head)")?).context("compound_head")?;
    let word = record.get(at..).and_then(|rest| rest.first_chunk()).context("compound_head")?;
    match u64::from_le_bytes(*word) {
        word if word & 1 != 0 => array.read(word & !1, array.number("SIZE(page)")?),
        _ => Ok(record),
    }
}
