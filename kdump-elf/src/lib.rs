// SPDX-License-Identifier: MIT OR Apache-2.0
//! ELF core headers, notes, registers and VMCOREINFO of Linux crash dumps.
//!
//! Everything here is a pure function of bytes and values, needs no allocator and no
//! operating system, and treats its input as hostile. Byte order, word size and
//! architecture of the dump are values.
//!
//! | to | begin with |
//! |---|---|
//! | leave registers behind when a kernel dies | [`CrashNote`], [`CrashPath`], [`registers`] |
//! | write notes of any architecture | [`write_crash_note`], [`write_note`], [`VmcoreInfoWriter`] |
//! | write the header of a core, before or after the memory is known | [`HeaderLayout`] |
//! | read a core | [`CoreHeader`], [`Notes`], [`PrStatus`], [`VmcoreInfo`] |
//! | capture a dead kernel's memory without an allocator | [`CaptureHeader`], [`VmcoreFile`] |
//!
//! # Capturing without an allocator
//!
//! The elfcorehdr, a function that reads old memory, one buffer, and somewhere for the file to go
//! (`examples/capture.rs` is the same with everything around it):
//!
//! ```
//! use kdump_elf::{Arch, CaptureHeader, Error, VmcoreCopied, VmcoreFile};
//!
//! fn capture(
//!     elfcorehdr: &[u8],
//!     mut read: impl FnMut(u64, &mut [u8]) -> Result<(), ()>,
//!     room: &mut [u8],
//!     write: impl FnMut(u64, &[u8]) -> Result<(), Error>,
//! ) -> Result<VmcoreCopied, Error> {
//!     const PAGE: u64 = 4096;
//!     // Refuses headers that would show wrong memory.
//!     let header = CaptureHeader::parse(elfcorehdr, Some(Arch::X86_64))?;
//!     // Head and notes stay in the buffer; what they leave, a page at least, is for copying.
//!     let want = VmcoreFile::workspace_size(&header, PAGE)?.min((room.len() as u64).saturating_sub(PAGE));
//!     let (workspace, batch) = room.split_at_mut(want as usize);
//!     let file = VmcoreFile::build(&header, PAGE, workspace, &mut read, |_defect| { /* say it */ })?;
//!     file.copy(batch, read, write, |_paddr, _len, _| { /* zeros in the file: say it */ })
//! }
//!
//! # use kdump_elf::{Class, Encoding, Endian, HeaderLayout, PhysRange};
//! # let encoding = Encoding { class: Class::Elf64, endian: Endian::Little };
//! # let layout = HeaderLayout::elfcorehdr(encoding, 62, 2).unwrap();
//! # let mut header = [0; 176];
//! # layout.write_plain(&mut header, [PhysRange::from_len(0x1000, 0x2000).unwrap()], 0).unwrap();
//! let (mut room, mut bytes) = ([0; 0x4000], 0);
//! let copied = capture(&header, |_, page| Ok(page.fill(1)), &mut room, |_, out| Ok(bytes += out.len()));
//! assert_eq!(copied.unwrap().written, bytes as u64);
//! ```
//!
//! # Numbers of CPUs
//!
//! Notes have no field for the number of a CPU. Readers count the notes in the order of the
//! elfcorehdr; gdb tells threads apart by `pr_pid` alone. A kernel that is not Linux therefore
//! writes one PT_NOTE per CPU in the order of its own numbers, and a pid that no other CPU has: the
//! number of the task, or one made of the CPU's number where there is no task.
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
mod number;
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
pub use bytes::front;
pub use capture_header::{CaptureHeader, MAX_CAPTURE_NOTES, MAX_CAPTURE_PHDRS};
pub use crash_cause::{CRASH_CAUSE_NOTE_NAME, CrashCause, NT_CRASH_CAUSE};
pub use crash_note::{CrashNote, write_crash_note};
pub use crash_path::{CrashPath, CrashRole};
pub use ehdr::{ET_CORE, Ehdr, Encoding, PN_XNUM};
pub use error::Error;
pub use header::{CoreHeader, PhdrTable, Phdrs};
pub use header_writer::{HeaderLayout, HeaderWriter};
pub use ident::{Class, Endian};
pub use note::{
    CORE_NOTE_NAME, NHDR_SIZE, NT_PRSTATUS, NT_VMCOREINFO, Note, NoteAlign, Notes, VMCOREINFO_NOTE_NAME,
    note_size, write_note,
};
pub use number::Number;
pub use phdr::{PF_RWX, PT_LOAD, PT_NOTE, Phdr};
pub use prstatus::note_size::{crash_note_size, prstatus_note_size};
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
