//! A kcore to measure: ELF header, program headers and a VMCOREINFO note, with every address
//! chosen by the test.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may fail anywhere")]

use kdump_elf::{Arch, Encoding, HeaderLayout, PT_LOAD, PT_NOTE, Phdr, note_size, write_note};

/// What the kcore is to hold.
pub(crate) struct Kcore {
    pub(crate) arch: Arch,
    /// Virtual address, physical address, size.
    pub(crate) loads: Vec<(u64, u64, u64)>,
    pub(crate) vmcoreinfo: String,
    /// Unused bytes between the program headers and the notes.
    pub(crate) gap: u64,
}

impl Kcore {
    pub(crate) fn new(arch: Arch, loads: &[(u64, u64, u64)], vmcoreinfo: &str) -> Self {
        Self { arch, loads: loads.to_vec(), vmcoreinfo: vmcoreinfo.to_owned(), gap: 0 }
    }

    /// The bytes, and where the notes begin.
    pub(crate) fn build(&self) -> (Vec<u8>, usize) {
        let encoding = Encoding { class: self.arch.class(), endian: self.arch.endian() };
        let phnum = u32::try_from(self.loads.len() + 1).unwrap();
        let layout = HeaderLayout::file(encoding, self.arch.e_machine(), phnum);
        let notes_size = note_size(b"VMCOREINFO".len(), self.vmcoreinfo.len());
        let notes_at = layout.size() + self.gap;
        let mut bytes = vec![0; usize::try_from(notes_at + notes_size).unwrap()];
        let mut writer = layout.writer(&mut bytes).unwrap();
        let note = Phdr { p_type: PT_NOTE, p_offset: notes_at, p_filesz: notes_size, ..Phdr::default() };
        writer.push(&note).unwrap();
        for &(p_vaddr, p_paddr, size) in &self.loads {
            // Linux makes the offset from the virtual address; any will do.
            let p_offset = (p_vaddr & 0x00ff_ffff) + 0x0100_0000;
            let (p_filesz, p_memsz) = (size, size);
            let load =
                Phdr { p_type: PT_LOAD, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, ..Phdr::default() };
            writer.push(&load).unwrap();
        }
        writer.finish().unwrap();
        let notes_at = usize::try_from(notes_at).unwrap();
        let text = self.vmcoreinfo.as_bytes();
        write_note(&mut bytes[notes_at..], encoding.endian, b"VMCOREINFO", 0, text).unwrap();
        (bytes, notes_at)
    }
}
