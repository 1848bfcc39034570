//! Reads the memory of a crashed kernel by physical address and writes dumps.
//!
//! - [`Dump`] opens a dump file; [`OldMemory::read_phys`] reads its memory, [`KernelMemory`]
//!   the dead kernel's virtual addresses, [`Dmesg`] its log, [`Dump::cpus`] its registers.
//! - [`VmcoreView`] is for the capture side: it makes of old memory and its elfcorehdr the ELF
//!   core that /proc/vmcore shows; [`OldmemView`] is the same without headers.
//! - [`SavePlan`] lays out a copy as an ELF core and writes it; with `std`, [`save`] puts it
//!   in a file so that an incomplete one is never taken for a complete one.
//!
//! A read that cannot be completed gives [`Stopped`]: how many bytes are good, where it
//! stopped, and why: excluded, hole, not mapped, truncated, corrupt or input/output error.
//! Nothing missing reads as zeros unless asked for.
//!
//! ```no_run
//! # #[cfg(feature = "std")]
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! use kdump_elf::Paddr;
//! use kdump_vmcore::{Dmesg, Dump, KernelMemory, OldMemory};
//!
//! let dump = Dump::open(std::fs::File::open("/var/crash/vmcore")?)?;
//! let mut page = [0; 4096];
//! dump.read_phys(Paddr(0x10_0000), &mut page)?;
//! if let Some(info) = dump.vmcoreinfo() {
//!     let log = Dmesg::read(&KernelMemory::new(&dump), info)?;
//!     println!("{} records", log.records.len());
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "std"))]
//! # fn main() {}
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")
)]

extern crate alloc;

mod address_space;
pub mod codec;
mod completeness;
mod core_table;
mod cpu;
mod cpu_number;
mod dmesg;
mod dump;
mod elf_dump;
mod elfcorehdr;
mod error;
mod extent_map;
#[cfg(feature = "std")]
mod file_source;
mod format;
mod io_error;
mod kallsyms;
mod kernel_memory;
mod log_buf;
mod memory_range;
mod note_table;
mod old_memory;
mod oldmem_view;
mod page_walk;
mod printk_ring;
mod room;
mod save;
mod scan;
mod source;
mod unreadable;
mod verify;
mod view;

pub use address_space::AddressSpace;
pub use completeness::Completeness;
pub use cpu::Cpu;
pub use cpu_number::cpu_numbers;
pub use dmesg::{Caller, Dmesg, LogRecord};
pub use dump::Dump;
pub use elf_dump::ElfDump;
pub use error::{Error, Stopped};
pub use format::Format;
pub use io_error::IoError;
pub use kallsyms::Kallsyms;
pub use kernel_memory::KernelMemory;
pub use memory_range::{MemoryRange, RangeKind};
pub use note_table::NoteTable;
pub use old_memory::{MemoryImage, OldMemory};
pub use oldmem_view::OldmemView;
pub use page_walk::{Mapping, PageTables};
pub use save::{Interrupted, Progress, SavePlan, SaveReport, WriteAt};
#[cfg(feature = "std")]
pub use save::{SaveFailure, save};
pub use source::ReadAt;
pub use unreadable::{MAX_UNREADABLE, Unreadable, UnreadableRange};
pub use verify::{Verification, verify};
pub use view::{RamOracle, ViewOptions, VmcoreView};

/// Compiles the example of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
