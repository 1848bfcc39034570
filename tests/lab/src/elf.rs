//! A few lines of little-endian ELF reading, independent of the crates under test.
//!
//! Layouts: `elf(5)`; struct elf_prstatus and the registers of x86_64, i386, arm64 and ppc64 as in <sys/procfs.h>
//! and <sys/user.h> of either system.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Context, Result, failed};

const EHDR: usize = 64;
const NT_PRSTATUS: u64 = 1;
const EM_386: u64 = 3;
const EM_PPC64: u64 = 21;
const EM_AARCH64: u64 = 183;
/// The bits of arm64's `pstate` that are 0 in a program.
pub const ARM64_MODE: u64 = 0xf;
/// The bit of ppc64's `msr` that is 1 in a program (Power ISA, MSR: PR).
pub const PPC64_PROBLEM_STATE: u64 = 1 << 14;

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
    /// r12 to r15, x20 to x23, gpr14 to gpr17, or eax, ecx, edx and edi.
    pub saved: [u64; 4],
    /// Bits of a register.
    pub bits: u32,
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
    // ELF magic, class, ELFDATA2LSB; e_phoff, e_phnum and the size of a program header.
    let (at, count, size) = match ehdr.get(..6) {
        Some(b"\x7fELF\x02\x01") => (word(&ehdr, 32, 8)?, word(&ehdr, 56, 2)?, 56),
        Some(b"\x7fELF\x01\x01") => (word(&ehdr, 28, 4)?, word(&ehdr, 44, 2)?, 32),
        _ => return Err(failed(format!("{}: no little-endian ELF file", path.display()))),
    };
    let len = usize::try_from(count).context("e_phnum")?.saturating_mul(size);
    let table = read(&file, at, len).context(path.display())?;
    table.chunks_exact(size).map(phdr).collect()
}

/// A program header: 56 bytes of ELF64, 32 of ELF32, which has the flags elsewhere.
fn phdr(bytes: &[u8]) -> Result<Phdr> {
    let (wide, flags, first) = if bytes.len() == 56 { (8, 4, 8) } else { (4, 24, 4) };
    let field = |index: usize| word(bytes, index.saturating_mul(wide).saturating_add(first), wide);
    Ok(Phdr {
        kind: match word(bytes, 0, 4)? {
            1 => "PT_LOAD".to_owned(),
            4 => "PT_NOTE".to_owned(),
            other => format!("{other:#x}"),
        },
        flags: word(bytes, flags, 4)?,
        offset: field(0)?,
        vaddr: field(1)?,
        paddr: field(2)?,
        filesz: field(3)?,
        memsz: field(4)?,
    })
}

/// The registers of every NT_PRSTATUS note, in order.
pub fn registers(path: &Path) -> Result<Vec<Registers>> {
    let file = File::open(path).context(path.display())?;
    let machine = word(&read(&file, 0, EHDR).context(path.display())?, 18, 2)?;
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
                found.push(prstatus(body, machine)?);
            }
            rest = rest.get(end..).unwrap_or_default();
        }
    }
    Ok(found)
}

/// pr_pid is at 32, pr_reg at 112: on x86_64 r15 is its first word and rip its seventeenth, on arm64
/// x0 is the first and behind x30 come sp, pc and pstate, on ppc64 gpr0 is the first and behind gpr31 come nip and msr. On i386, whose words have 4 bytes, they are at
/// 24 and 72, and ebx is the first word.
fn prstatus(desc: &[u8], machine: u64) -> Result<Registers> {
    let (pid, at, size) = if machine == EM_386 { (24, 72, 4) } else { (32, 112, 8) };
    let register = |index: usize| word(desc, index.saturating_mul(size).saturating_add(at), size);
    let (numbers, [rip, rsp, state]) = match machine {
        EM_386 => ([6, 1, 2, 4], [12, 15, 13]),
        EM_AARCH64 => ([20, 21, 22, 23], [32, 31, 33]),
        EM_PPC64 => ([14, 15, 16, 17], [32, 1, 33]),
        _ => ([3, 2, 1, 0], [16, 19, 17]),
    };
    let mut saved = [0; 4];
    for (place, index) in saved.iter_mut().zip(numbers) {
        *place = register(index)?;
    }
    let user = match machine {
        EM_AARCH64 => register(state)? & ARM64_MODE == 0,
        EM_PPC64 => register(state)? & PPC64_PROBLEM_STATE != 0,
        _ => register(state)? & 3 == 3,
    };
    let bits = if size == 4 { 32 } else { 64 };
    Ok(Registers { pid: word(desc, pid, 4)?, saved, bits, rip: register(rip)?, rsp: register(rsp)?, user })
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
