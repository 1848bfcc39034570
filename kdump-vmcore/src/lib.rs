//! Reads the memory of a crashed kernel by physical address and writes dumps.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")
)]

extern crate alloc;

mod address_space;
mod completeness;
mod core_table;
mod cpu;
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
mod kernel_memory;
mod log_buf;
mod memory_range;
mod note_table;
mod old_memory;
mod oldmem_view;
mod page_walk;
mod printk_ring;
mod save;
mod scan;
mod source;
mod unreadable;
mod verify;
mod view;

pub use address_space::AddressSpace;
pub use completeness::Completeness;
pub use cpu::Cpu;
pub use dmesg::{Caller, Dmesg, LogRecord};
pub use dump::Dump;
pub use elf_dump::ElfDump;
pub use error::{Error, Stopped};
pub use format::Format;
pub use io_error::IoError;
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
