//! A few lines of ELF64 little-endian reading, independent of the crates under test.
//!
//! Layouts: `elf(5)`; struct elf_prstatus and the registers of x86_64 and arm64 as in <sys/procfs.h> and
//! <sys/user.h> of either system.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Context, Result, failed};

const EHDR: usize = 64;
const PHDR: usize = 56;
const NT_PRSTATUS: u64 = 1;
const EM_AARCH64: u64 = 183;
/// The bits of arm64's `pstate` that are 0 in a program.
pub const ARM64_MODE: u64 = 0xf;

/// A program header, as a plan predicts it and as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phdr {
    /// `PT_LOAD`, `PT_NOTE`, or the number of another type.
    pub kind: String,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub vaddr: u64,
    /// `p_paddr`.
    pub paddr: u64,
    /// `p_filesz`.
    pub filesz: u64,
    /// `p_memsz`.
    pub memsz: u64,
    /// `p_flags`.
    pub flags: u64,
}

/// The registers of one CPU that the witness can recognise.
#[derive(Debug, Clone, Copy)]
pub struct Registers {
    /// `pr_pid`.
    pub pid: u64,
    /// r12 to r15, or x20 to x23.
    pub saved: [u64; 4],
    /// The program counter.
    pub rip: u64,
    /// The stack pointer.
    pub rsp: u64,
    /// Whether a program ran.
    pub user: bool,
}

/// The program headers at the start of `path`.
pub fn phdrs(path: &Path) -> Result<Vec<Phdr>> {
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
pub fn registers(path: &Path) -> Result<Vec<Registers>> {
    let file = File::open(path).context(path.display())?;
    let arm64 = word(&read(&file, 0, EHDR).context(path.display())?, 18, 2)? == EM_AARCH64;
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
                found.push(prstatus(body, arm64)?);
            }
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    Ok(found)
}

/// pr_pid is at 32, pr_reg at 112: on x86_64 r15 is its first word and rip its seventeenth, on arm64
/// x0 is the first and behind x30 come sp, pc and pstate.
fn prstatus(desc: &[u8], arm64: bool) -> Result<Registers> {
    let register = |index: usize| word(desc, index.saturating_mul(8).saturating_add(112), 8);
    let pid = word(desc, 32, 4)?;
    let numbers = if arm64 { [20, 21, 22, 23] } else { [3, 2, 1, 0] };
    let mut saved = [0; 4];
    for (place, index) in saved.iter_mut().zip(numbers) {
        *place = register(index)?;
    }
    if arm64 {
        let user = register(33)? & ARM64_MODE == 0;
        return Ok(Registers { pid, saved, rip: register(32)?, rsp: register(31)?, user });
    }
    Ok(Registers { pid, saved, rip: register(16)?, rsp: register(19)?, user: register(17)? & 3 == 3 })
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
