//! What /proc/vmcore will show after a crash, said before it.

use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Phdr, VMCOREINFO_NOTE_NAME, VmcoreLayout, note_size, prstatus_note_size};

use crate::elfcorehdr::ElfCoreHeader;
use crate::{Error, Machine, room};

/// `CRASHTIME=`, ten digits and a newline, which the dying kernel appends to its VMCOREINFO.
const CRASHTIME_LINE: usize = "CRASHTIME=".len() + 10 + 1;

/// The file the capture kernel will export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VmcorePrediction {
    /// Its size in bytes.
    pub size: u64,
    /// Its program headers; `p_offset` is a file offset.
    pub phdrs: Vec<Phdr>,
    /// Bytes of all notes together.
    pub notes_len: u64,
    /// Whether the length of a note had to be guessed. Notes are rounded up to pages, so the
    /// size is usually right all the same.
    pub estimated: bool,
}

impl VmcorePrediction {
    /// Predicts the file for a capture kernel with the page size of `machine`, when every CPU
    /// answers.
    ///
    /// # Errors
    /// As [`VmcorePrediction::with_page_size`].
    pub fn new(machine: &Machine, header: &ElfCoreHeader, notes: &mut Vec<String>) -> Result<Self, Error> {
        Self::with_page_size(machine, header, machine.page_size, notes)
    }

    /// Predicts the file for a capture kernel with pages of `page_size` bytes, whatever the machine's are: the
    /// kernel that shows the file rounds to its own.
    ///
    /// # Errors
    /// [`Error::Elf`] when the header is one the capture kernel would not read.
    pub fn with_page_size(
        machine: &Machine,
        header: &ElfCoreHeader,
        page_size: u64,
        notes: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let prstatus = prstatus_note_size(machine.arch) as u64;
        let cpus = machine.cpu_notes.iter().map(|note| prstatus.min(note.size)).fold(0, u64::saturating_add);
        let (vmcoreinfo, estimated) = vmcoreinfo_len(machine, notes);
        let notes_len = cpus.saturating_add(vmcoreinfo);
        let phdrs = header.phdrs().iter().copied();
        let layout = VmcoreLayout::new(header.encoding(), page_size, phdrs.clone(), notes_len)?;
        let exported = room::collect("program headers", layout.phdrs(phdrs).map(|exported| exported.phdr))?;
        Ok(Self { size: layout.size(), phdrs: exported, notes_len, estimated })
    }
}

/// Length of the VMCOREINFO note and whether it is a guess.
fn vmcoreinfo_len(machine: &Machine, notes: &mut Vec<String>) -> (u64, bool) {
    let Some(note) = machine.vmcoreinfo.as_ref() else { return (0, false) };
    let size = |text: usize| note_size(VMCOREINFO_NOTE_NAME.len(), text);
    if let Some(text) = note.text.as_ref() {
        let line = if text.windows(10).any(|window| window == b"CRASHTIME=") { 0 } else { CRASHTIME_LINE };
        return (size(text.len().saturating_add(line)).min(note.size), false);
    }
    notes.push(String::from(
        "the VMCOREINFO text is not shown: the vmcore size is predicted for a text of 3 KiB",
    ));
    (size(3 << 10).min(note.size), true)
}
