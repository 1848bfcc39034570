//! ELF core headers, notes, registers and VMCOREINFO of Linux crash dumps.
//!
//! Everything here is a pure function of bytes and values, needs no allocator and no
//! operating system, and treats its input as hostile. Byte order, word size and
//! architecture of the dump are values.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod addr;
mod arch;
mod bytes;
mod capture_header;
mod crash_note;
mod ehdr;
mod error;
mod header;
mod header_writer;
mod ident;
mod note;
mod phdr;
mod prstatus;
mod raw;
mod save_note;
mod vmcore_file;
mod vmcore_layout;
mod vmcore_notes;
mod vmcoreinfo;
mod vmcoreinfo_writer;

pub use addr::{Paddr, PhysRange, Vaddr, align_down, align_up};
pub use arch::Arch;
pub use capture_header::{CaptureHeader, MAX_CAPTURE_NOTES, MAX_CAPTURE_PHDRS};
pub use crash_note::{crash_note_size, prstatus_note_size, write_crash_note};
pub use ehdr::{ET_CORE, Ehdr, Encoding, PN_XNUM};
pub use error::Error;
pub use header::{CoreHeader, Phdrs, extended_phnum};
pub use header_writer::{HeaderLayout, HeaderWriter};
pub use ident::{Class, Endian};
pub use note::{
    CORE_NOTE_NAME, NHDR_SIZE, NT_PRSTATUS, NT_VMCOREINFO, Note, NoteAlign, Notes, VMCOREINFO_NOTE_NAME,
    note_size, write_note,
};
pub use phdr::{PF_RWX, PT_LOAD, PT_NOTE, Phdr};
pub use prstatus::{PrStatus, PrStatusMut, prstatus_size};
pub use save_note::{
    EF_INCOMPLETE, LIBKDUMP_NOTE_NAME, LossReason, LostRange, NT_LIBKDUMP_SAVE, SAVE_NOTE_ENTRY,
    SAVE_NOTE_HEAD, SaveNote, SaveState,
};
pub use vmcore_file::{VmcoreCopied, VmcoreFile, VmcorePiece};
pub use vmcore_layout::{VmcoreExtent, VmcoreLayout, VmcorePhdr};
pub use vmcore_notes::{NoteCause, NoteDefect};
pub use vmcoreinfo::VmcoreInfo;
pub use vmcoreinfo_writer::VmcoreInfoWriter;
