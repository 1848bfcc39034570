//! /proc/kcore: which virtual addresses map which memory, and the VMCOREINFO text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{CoreHeader, Encoding, NoteAlign, Notes, PT_LOAD, PT_NOTE, Phdr, VMCOREINFO_NOTE_NAME};

use crate::{Error, room};

/// What messages call what is held of it.
const PARTS: &str = "program headers of proc/kcore";

/// A stretch of virtual addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KcoreLoad {
    /// First virtual address.
    pub(crate) vaddr: u64,
    /// Physical address behind it; `None` when it is mapped page by page, and on kernels that
    /// do not tell.
    pub(crate) paddr: Option<u64>,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Offset in the file.
    pub(crate) offset: u64,
}

impl KcoreLoad {
    /// Offset of `vaddr` in this stretch.
    pub(crate) fn offset_of(&self, vaddr: u64) -> Option<u64> {
        vaddr.checked_sub(self.vaddr).filter(|&inside| inside < self.size)
    }

    /// The first virtual address behind it.
    pub(crate) fn end(&self) -> u64 {
        self.vaddr.saturating_add(self.size)
    }
}

/// What the beginning of /proc/kcore tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kcore {
    pub(crate) encoding: Encoding,
    pub(crate) e_machine: u16,
    pub(crate) loads: Vec<KcoreLoad>,
    pub(crate) vmcoreinfo: Option<Vec<u8>>,
    pub(crate) notes: Vec<String>,
}

impl Kcore {
    /// Reads ELF header, program headers and notes from the beginning of the file.
    ///
    /// Notes that are cut off are reported, not an error: they lie behind what matters more.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let header = CoreHeader::parse(bytes)?;
        let encoding = header.encoding();
        let mut kcore = Self {
            encoding,
            e_machine: header.ehdr().e_machine,
            loads: Vec::new(),
            vmcoreinfo: None,
            notes: Vec::new(),
        };
        // Old kernels leave p_paddr 0 everywhere; newer ones tell at least what has none.
        let tells_paddr = header.phdrs().any(|phdr| phdr.p_type == PT_LOAD && phdr.p_paddr != 0);
        for phdr in header.phdrs() {
            match phdr.p_type {
                PT_LOAD => room::push(
                    &mut kcore.loads,
                    PARTS,
                    KcoreLoad {
                        vaddr: phdr.p_vaddr,
                        paddr: if tells_paddr { stated_paddr(&phdr, encoding) } else { None },
                        size: phdr.p_memsz,
                        offset: phdr.p_offset,
                    },
                )?,
                PT_NOTE => kcore.read_notes(bytes, &phdr)?,
                _ => {}
            }
        }
        Ok(kcore)
    }

    /// The stretch in which `vaddr` lies.
    pub(crate) fn load_of(&self, vaddr: u64) -> Option<&KcoreLoad> {
        self.loads.iter().find(|load| load.offset_of(vaddr).is_some())
    }

    fn read_notes(&mut self, bytes: &[u8], phdr: &Phdr) -> Result<(), Error> {
        let rest =
            usize::try_from(phdr.p_offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let size = usize::try_from(phdr.p_filesz).unwrap_or(usize::MAX);
        let area = rest.get(..size).unwrap_or(rest);
        if area.len() < size {
            let (offset, have) = (phdr.p_offset, area.len());
            let text = format!("its notes at offset {offset:#x} are cut off after {have:#x} bytes");
            room::push(&mut self.notes, PARTS, text)?;
        }
        // 4 whatever p_align says, as Linux writes them.
        for note in Notes::in_file(area, self.encoding.endian, NoteAlign::Four) {
            match note {
                Ok(note) if note.name == VMCOREINFO_NOTE_NAME => {
                    self.vmcoreinfo = Some(room::copy("VMCOREINFO", note.desc)?);
                }
                Ok(_) => {}
                Err(error) => {
                    room::push(&mut self.notes, PARTS, format!("its notes are damaged: {error}"))?;
                }
            }
        }
        Ok(())
    }
}

/// All ones means that there is no single physical address.
fn stated_paddr(phdr: &Phdr, encoding: Encoding) -> Option<u64> {
    Some(phdr.p_paddr).filter(|&paddr| paddr != encoding.word_max())
}
