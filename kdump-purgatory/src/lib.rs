//! Links and patches the purgatory, the program that runs between a dead kernel and its capture
//! kernel: it verifies what was loaded, saves low memory and enters the capture kernel.
//!
//! [`ObjectPurgatory`] is a relocatable ELF object, either the one shipped with this crate or a
//! foreign one that uses the symbol names of kexec-tools, behind the planner's
//! [`Purgatory`](kdump_segments::purgatory::Purgatory) trait. [`RelObject`] and [`LinkedImage`] are the
//! linker below it.
//!
//! ```
//! use kdump_elf::Arch;
//! use kdump_purgatory::ObjectPurgatory;
//! use kdump_segments::purgatory::{DigestRegion, Entry, Handover, MismatchAction, Purgatory};
//!
//! # fn main() -> Result<(), kdump_segments::purgatory::PurgatoryError> {
//! let purgatory = ObjectPurgatory::builtin(Arch::X86_64)?;
//! let regions = [DigestRegion { start: 0x1_0000_0000, bytes: b"the capture kernel" }];
//! let entry = Entry::X86Bits64 { rip: 0x1_0000_0200, boot_params: 0x1_4000_0000 };
//! let handover = Handover::new(&regions, entry).on_mismatch(MismatchAction::Reset);
//! let linked = purgatory.link(0x2_0000_0000, &handover)?;
//! assert!(u64::try_from(linked.bytes.len())? <= purgatory.memsz());
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod arm64;
mod digest;
mod elf;
mod error;
mod i386;
mod image;
mod layout;
mod object;
mod patch;
mod ppc64;
mod purgatory;
mod regions;
mod reloc;
mod riscv64;
mod x86_64;

pub use digest::digest;
pub use error::{Error, Place};
pub use image::LinkedImage;
pub use object::RelObject;
pub use purgatory::ObjectPurgatory;
