//! A few lines of ELF reading, independent of the crates under test (`elf(5)`).

use std::fs;
use std::path::Path;

use crate::error::{Context, Result, failed};

const EHDR: usize = 64;
const PHDR: usize = 56;

/// An ELF64 little-endian core file in memory.
#[derive(Debug)]
pub(crate) struct CoreFile {
    bytes: Vec<u8>,
    pub(crate) phdrs: Vec<Phdr>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Phdr {
    pub(crate) p_type: u64,
    offset: u64,
    vaddr: u64,
    pub(crate) paddr: u64,
    pub(crate) filesz: u64,
}

/// A note; the name with its NUL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) n_type: u64,
    pub(crate) desc: &'a [u8],
}

pub(crate) const PT_LOAD: u64 = 1;
pub(crate) const PT_NOTE: u64 = 4;

impl CoreFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).context(path.display())?;
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            return Err(failed(format!("{}: no little-endian ELF64 file", path.display())));
        }
        let (at, count) = (number(&bytes, 32, 8), number(&bytes, 56, 2));
        let table = piece(&bytes, at, count.saturating_mul(PHDR as u64)).context(path.display())?;
        let phdrs = table.chunks_exact(PHDR).map(|phdr| Phdr {
            p_type: number(phdr, 0, 4),
            offset: number(phdr, 8, 8),
            vaddr: number(phdr, 16, 8),
            paddr: number(phdr, 24, 8),
            filesz: number(phdr, 32, 8),
        });
        let phdrs = phdrs.collect();
        debug_assert!(EHDR <= bytes.len());
        Ok(Self { bytes, phdrs })
    }

    /// The whole file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Memory by physical address.
    pub(crate) fn phys(&self, paddr: u64, len: u64) -> Result<&[u8]> {
        self.find(paddr, len, |phdr| phdr.paddr)
    }

    /// Memory by virtual address.
    pub(crate) fn virt(&self, vaddr: u64, len: u64) -> Result<&[u8]> {
        self.find(vaddr, len, |phdr| phdr.vaddr)
    }

    /// The notes of all PT_NOTEs.
    pub(crate) fn notes(&self) -> Result<Vec<Note<'_>>> {
        let mut notes = Vec::new();
        for phdr in self.phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE) {
            let mut rest = piece(&self.bytes, phdr.offset, phdr.filesz)?;
            while rest.len() >= 12 && number(rest, 0, 4) != 0 {
                let (name, desc) = (number(rest, 0, 4), number(rest, 4, 4));
                let start = 12_u64.saturating_add(name.next_multiple_of(4));
                let end = start.saturating_add(desc.next_multiple_of(4));
                let note = Note {
                    name: piece(rest, 12, name)?,
                    n_type: number(rest, 8, 4),
                    desc: piece(rest, start, desc)?,
                };
                notes.push(note);
                rest = rest.get(usize::try_from(end).unwrap_or(usize::MAX)..).unwrap_or_default();
            }
        }
        Ok(notes)
    }

    fn find(&self, start: u64, len: u64, address: impl Fn(&Phdr) -> u64) -> Result<&[u8]> {
        let found = self.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD).find_map(|phdr| {
            let skip = start.checked_sub(address(phdr))?;
            (skip.checked_add(len)? <= phdr.filesz).then(|| phdr.offset.saturating_add(skip))
        });
        let offset = found.context(format!("no PT_LOAD has {len} bytes at {start:#x}"))?;
        piece(&self.bytes, offset, len)
    }
}

fn piece(bytes: &[u8], at: u64, len: u64) -> Result<&[u8]> {
    let range = usize::try_from(at).ok().zip(usize::try_from(len).ok());
    let cut = range.and_then(|(at, len)| bytes.get(at..)?.get(..len));
    cut.context(format!("the file ends before {len} bytes at {at:#x}"))
}

/// A little-endian number of `len` bytes at `at`; 0 behind the end.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let field = bytes.get(at..at.saturating_add(len)).unwrap_or_default();
    field.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}
