//! The registers one CPU saved when the kernel died.

use kdump_elf::{Arch, Endian, Note, PrStatus};

use super::NoteTable;
use crate::error::Error;
use crate::error::elf;

/// A CPU's NT_PRSTATUS note.
///
/// `index` counts notes, not CPUs: a CPU that did not answer the crashing one left no note,
/// and all later ones move up by one. [`cpu_registers`](crate::cpu_registers) finds the CPUs.
#[derive(Clone, Copy, Debug)]
pub struct Cpu<'a> {
    /// Place among the NT_PRSTATUS notes of the dump, from 0.
    pub index: usize,
    /// The note; its offset is a file offset.
    pub note: Note<'a>,
    prstatus: Result<PrStatus<'a>, Error>,
}

impl<'a> Cpu<'a> {
    pub(crate) fn from_notes(
        notes: &'a NoteTable,
        arch: Option<Arch>,
        endian: Endian,
    ) -> impl Iterator<Item = Self> + use<'a> {
        notes.prstatus().enumerate().map(move |(index, note)| Self::new(index, note, arch, endian))
    }

    pub(crate) fn new(index: usize, note: Note<'a>, arch: Option<Arch>, endian: Endian) -> Self {
        let prstatus = match arch {
            Some(arch) => PrStatus::parse(note.desc, arch, endian).map_err(elf("NT_PRSTATUS")),
            None => Err(Error::Unsupported { what: "registers of an unknown architecture (e_machine)" }),
        };
        Self { index, note, prstatus }
    }

    /// The registers and the task that ran.
    ///
    /// # Errors
    /// When the note is too short or the architecture is not known.
    pub fn prstatus(&self) -> Result<PrStatus<'a>, Error> {
        self.prstatus
    }
}
