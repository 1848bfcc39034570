//! A few lines of ELF64 little-endian reading, independent of the crates under test.
//!
//! Layouts: `elf(5)`; struct elf_prstatus and user_regs_struct of x86_64 as in the system's
//! <sys/procfs.h> and <sys/user.h>.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::plan::Phdr;
use crate::error::{Context, Result, failed};

const EHDR: usize = 64;
const PHDR: usize = 56;
const NT_PRSTATUS: u64 = 1;

/// The registers of one CPU that the witness can recognise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    pub(crate) pid: u64,
    /// r12 to r15.
    pub(crate) saved: [u64; 4],
    pub(crate) rip: u64,
    pub(crate) rsp: u64,
    pub(crate) cs: u64,
}

/// The program headers at the start of `path`.
pub(crate) fn phdrs(path: &Path) -> Result<Vec<Phdr>> {
    let file = File::open(path).context(path.display())?;
    let ehdr = read(&file, 0, EHDR).context(path.display())?;
    // ELF magic, ELFCLASS64, ELFDATA2LSB.
    if !ehdr.starts_with(b"\x7fELF\x02\x01") {
        return Err(failed(format!("{}: no little-endian ELF64 file", path.display())));
    }
    let (at, count) = (word(&ehdr, 32, 8)?, word(&ehdr, 56, 2)?);
    let len = usize::try_from(count).context("e_phnum")?.saturating_mul(PHDR);
    let table = read(&file, at, len).context(path.display())?;
    table.chunks_exact(PHDR).map(phdr).collect()
}

fn phdr(bytes: &[u8]) -> Result<Phdr> {
    Ok(Phdr {
        kind: match word(bytes, 0, 4)? {
            1 => "PT_LOAD".to_owned(),
            4 => "PT_NOTE".to_owned(),
            other => format!("{other:#x}"),
        },
        flags: word(bytes, 4, 4)?,
        offset: word(bytes, 8, 8)?,
        vaddr: word(bytes, 16, 8)?,
        paddr: word(bytes, 24, 8)?,
        filesz: word(bytes, 32, 8)?,
        memsz: word(bytes, 40, 8)?,
    })
}

/// The registers of every NT_PRSTATUS note, in order.
pub(crate) fn registers(path: &Path) -> Result<Vec<Registers>> {
    let file = File::open(path).context(path.display())?;
    let mut found = Vec::new();
    for note in phdrs(path)?.iter().filter(|phdr| phdr.kind == "PT_NOTE") {
        let len = usize::try_from(note.filesz).context("p_filesz")?;
        let bytes = read(&file, note.offset, len).context(path.display())?;
        let mut rest = bytes.as_slice();
        while rest.len() >= 12 {
            let (namesz, descsz) = (word(rest, 0, 4)?, word(rest, 4, 4)?);
            let sizes = [12, namesz, descsz].map(|size| size.next_multiple_of(4));
            let [head, name, desc] = sizes.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
            let start = head.saturating_add(name);
            let end = start.saturating_add(desc);
            let body = rest.get(start..end).context("a note longer than its segment")?;
            if word(rest, 8, 4)? == NT_PRSTATUS {
                found.push(prstatus(body)?);
            }
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    Ok(found)
}

/// pr_pid is at 32, pr_reg at 112; r15 is its first word and rip its seventeenth.
fn prstatus(desc: &[u8]) -> Result<Registers> {
    let register = |index: usize| word(desc, index.saturating_mul(8).saturating_add(112), 8);
    Ok(Registers {
        pid: word(desc, 32, 4)?,
        saved: [register(3)?, register(2)?, register(1)?, register(0)?],
        rip: register(16)?,
        cs: register(17)?,
        rsp: register(19)?,
    })
}

fn read(file: &File, at: u64, len: usize) -> std::io::Result<Vec<u8>> {
    // Checked before allocation: the length comes from the file.
    if at.saturating_add(len as u64) > file.metadata()?.len() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// A little-endian number of `len` bytes at `at`.
fn word(bytes: &[u8], at: usize, len: usize) -> Result<u64> {
    let field = bytes.get(at..at.saturating_add(len)).context("an ELF structure is cut short")?;
    Ok(field.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
}
