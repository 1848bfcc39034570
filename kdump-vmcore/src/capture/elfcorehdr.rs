//! The header the dead kernel's loader left for the capture kernel, judged before use.
//!
//! Stricter than Linux (fs/proc/vmcore.c), which takes the program headers to follow the file
//! header without looking at `e_phoff` and lets sums wrap.

use alloc::vec::Vec;

use kdump_elf::{Arch, CoreHeader, ET_CORE, Ehdr, Encoding, Endian, PN_XNUM, PT_LOAD, PT_NOTE, Paddr, Phdr};

use crate::error::Error;
use crate::error::elf;
use crate::room::zeroed;
use crate::source::OldMemory;

/// The largest PT_NOTE accepted: 64 KiB pages of VMCOREINFO and wide vector registers are far
/// below.
const MAX_NOTE_SEGMENT: u64 = 16 << 20;
/// The most notes accepted in all: 8192 CPUs with a page each fit.
const MAX_NOTES: u64 = 128 << 20;
/// Bytes that tell the class, and with it the size of the file header.
const IDENT: usize = 16;
/// Bytes of the longest file header.
const EHDR_ROOM: usize = 64;

/// A header that passed all checks which do not need old memory.
#[derive(Clone, Debug)]
pub(crate) struct ElfCoreHdr {
    pub(crate) ehdr: Ehdr,
    /// `e_ident` as it stands, unused bytes included: the vmcore shows the same.
    pub(crate) ident: [u8; IDENT],
    pub(crate) phdrs: Vec<Phdr>,
}

impl ElfCoreHdr {
    /// Parses and judges `bytes`; what follows the program headers is not looked at.
    pub(crate) fn parse(bytes: &[u8], arch: Option<Arch>) -> Result<Self, Error> {
        let ehdr = Ehdr::parse(bytes).map_err(elf("elfcorehdr"))?;
        judge_ehdr(&ehdr, arch)?;
        let header = CoreHeader::parse(bytes).map_err(elf("elfcorehdr"))?;
        let phdrs: Vec<Phdr> = header.phdrs().collect();
        let mut notes = 0_u64;
        for (index, phdr) in (0_u32..).zip(&phdrs) {
            notes = notes.saturating_add(judge_phdr(index, phdr, ehdr.encoding)?);
        }
        if notes > MAX_NOTES {
            return Err(Error::TooLarge { what: "size of all notes", value: notes, limit: MAX_NOTES });
        }
        judge_overlaps(&phdrs)?;
        let ident = bytes.first_chunk().copied().unwrap_or_default();
        Ok(Self { ehdr, ident, phdrs })
    }

    /// Reads a header from old memory: the file header first, then exactly the table it
    /// announces.
    pub(crate) fn read<M: OldMemory>(memory: &M, at: Paddr, arch: Option<Arch>) -> Result<Self, Error> {
        let read = |buf: &mut [u8]| memory.read_phys(at, buf).map_err(|stopped| stopped.error);
        let mut head = [0; EHDR_ROOM];
        read(head.get_mut(..IDENT).unwrap_or_default())?;
        let size = if head.get(4) == Some(&1) { 52 } else { EHDR_ROOM };
        let head = head.get_mut(..size).unwrap_or_default();
        read(head)?;
        let ehdr = Ehdr::parse(head).map_err(elf("elfcorehdr"))?;
        judge_ehdr(&ehdr, arch)?;
        let (offset, table) = ehdr.phdr_table(u32::from(ehdr.e_phnum)).map_err(elf("elfcorehdr"))?;
        let mut bytes = zeroed("the elfcorehdr", offset.saturating_add(table))?;
        read(&mut bytes)?;
        Self::parse(&bytes, arch)
    }
}

fn judge_ehdr(ehdr: &Ehdr, arch: Option<Arch>) -> Result<(), Error> {
    let wrong = |what, value: u64, expected| Err(Error::Corrupt { what, value, expected });
    if ehdr.e_type != ET_CORE {
        return wrong("e_type of the elfcorehdr", u64::from(ehdr.e_type), "4 (ET_CORE)");
    }
    if arch.is_some_and(|arch| arch.e_machine() != ehdr.e_machine) {
        let expected = "the machine of the capture kernel";
        return wrong("e_machine of the elfcorehdr", u64::from(ehdr.e_machine), expected);
    }
    let known = Arch::from_elf(ehdr.e_machine, ehdr.encoding.class);
    // Of the architectures known here only ARM and PowerPC have kernels of either byte order.
    let one_order = |arch| !matches!(arch, Arch::Arm | Arch::Arm64 | Arch::Ppc32 | Arch::Ppc64);
    if known.is_some_and(|arch| one_order(arch) && arch.endian() != ehdr.encoding.endian) {
        let value = if ehdr.encoding.endian == Endian::Little { 1 } else { 2 };
        return wrong("EI_DATA of the elfcorehdr", value, "the byte order of e_machine");
    }
    if ehdr.e_ehsize != ehdr.encoding.ehdr_size() {
        let expected = "the size of the file header";
        return wrong("e_ehsize of the elfcorehdr", u64::from(ehdr.e_ehsize), expected);
    }
    if ehdr.e_phoff != u64::from(ehdr.encoding.ehdr_size()) {
        let expected = "program headers directly behind the file header";
        return wrong("e_phoff of the elfcorehdr", ehdr.e_phoff, expected);
    }
    if ehdr.e_phnum == 0 || ehdr.e_phnum == PN_XNUM {
        return wrong("e_phnum of the elfcorehdr", u64::from(ehdr.e_phnum), "1 to 65534");
    }
    Ok(())
}

/// Judges one program header and returns how many bytes of notes it has.
fn judge_phdr(index: u32, phdr: &Phdr, encoding: Encoding) -> Result<u64, Error> {
    let wrong = |field, value, expected| {
        let error = kdump_elf::Error::Phdr { index, field, value, expected };
        Err(Error::Elf { what: "elfcorehdr", error })
    };
    let ends = |start: u64| start.checked_add(phdr.p_memsz).is_some_and(|end| end <= encoding.word_max());
    match phdr.p_type {
        PT_NOTE if phdr.p_memsz > MAX_NOTE_SEGMENT => {
            wrong("p_memsz", phdr.p_memsz, "at most 16 MiB of notes")
        }
        PT_NOTE | PT_LOAD if !ends(phdr.p_offset) => {
            wrong("p_offset", phdr.p_offset, "an end inside the address space")
        }
        PT_LOAD if !ends(phdr.p_paddr) => wrong("p_paddr", phdr.p_paddr, "an end inside the address space"),
        PT_NOTE | PT_LOAD if phdr.p_align != 0 && !phdr.p_align.is_power_of_two() => {
            wrong("p_align", phdr.p_align, "0 or a power of two")
        }
        PT_NOTE | PT_LOAD if phdr.p_filesz != phdr.p_memsz => {
            wrong("p_filesz", phdr.p_filesz, "the value of p_memsz")
        }
        PT_NOTE => Ok(phdr.p_memsz),
        // The layout of the file refuses other types and the wrong order.
        _ => Ok(0),
    }
}

/// Refuses PT_LOADs that say of one physical address that it is at two places. Those that agree,
/// as the kernel's text and the RAM it is in, may overlap.
fn judge_overlaps(phdrs: &[Phdr]) -> Result<(), Error> {
    let loads = (0_u32..).zip(phdrs).filter(|(_, phdr)| phdr.p_type == PT_LOAD && phdr.p_memsz != 0);
    let mut sorted: Vec<(u32, &Phdr)> = loads.collect();
    sorted.sort_by_key(|(_, phdr)| phdr.p_paddr);
    // Of those so far, all of which agree where they overlap, the one that reaches farthest.
    let mut farthest: Option<&Phdr> = None;
    for (index, phdr) in sorted {
        let end = |phdr: &Phdr| phdr.p_paddr.saturating_add(phdr.p_memsz);
        let shift = |phdr: &Phdr| phdr.p_offset.wrapping_sub(phdr.p_paddr);
        if farthest.is_some_and(|last| phdr.p_paddr < end(last) && shift(last) != shift(phdr)) {
            let (value, expected) = (phdr.p_offset, "the place another PT_LOAD gives for the same p_paddr");
            let error = kdump_elf::Error::Phdr { index, field: "p_offset", value, expected };
            return Err(Error::Elf { what: "elfcorehdr", error });
        }
        if farthest.is_none_or(|last| end(last) < end(phdr)) {
            farthest = Some(phdr);
        }
    }
    Ok(())
}
