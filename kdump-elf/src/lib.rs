// SPDX-License-Identifier: MIT OR Apache-2.0
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
mod crash_cause;
mod crash_note;
mod crash_path;
mod ehdr;
mod error;
mod header;
mod header_writer;
mod ident;
mod note;
mod phdr;
mod prstatus;
mod raw;
mod vmcore_file;
mod vmcore_layout;
mod vmcore_notes;
mod vmcoreinfo;
mod vmcoreinfo_writer;

pub use addr::{Paddr, PhysRange, Vaddr, align_down, align_up};
pub use arch::Arch;
pub use capture_header::{CaptureHeader, MAX_CAPTURE_NOTES, MAX_CAPTURE_PHDRS};
pub use crash_cause::{CRASH_CAUSE_NOTE_NAME, CrashCause, NT_CRASH_CAUSE};
pub use crash_note::{CrashNote, crash_note_size, prstatus_note_size, write_crash_note};
pub use crash_path::{CrashPath, CrashRole};
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
pub use vmcore_file::{VmcoreCopied, VmcoreFile, VmcorePiece};
pub use vmcore_layout::{VmcoreExtent, VmcoreLayout, VmcorePhdr};
pub use vmcore_notes::{NoteCause, NoteDefect};
pub use vmcoreinfo::VmcoreInfo;
pub use vmcoreinfo_writer::VmcoreInfoWriter;

/// Names, order and widths of the registers in `pr_reg`, a structure per architecture.
///
/// Programs that know the architecture when they are built (kernels) fill the structure;
/// those that read or write notes of any architecture go by name ([`PrStatus::register`],
/// [`PrStatusMut::set_register`]) or by order ([`PrStatusMut::set_registers`]).
pub mod registers {
    pub use crate::prstatus::registers::{
        Arm, Arm64, I386, LoongArch64, Ppc32, Ppc64, Registers, Riscv64, S390x, X86_64, register_names,
    };
}
