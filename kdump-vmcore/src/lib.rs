//! Reads the memory of a crashed kernel by physical address and writes dumps.
//!
//! - [`Dump`] opens a dump file and is shared by all threads; each has a [`Reader`] for its
//!   memory, or a [`KernelMemory`] for the dead kernel's virtual addresses. [`Dmesg`] reads its
//!   log, [`Dump::cpus`] its registers.
//! - [`VmcoreView`] is for the capture side: it makes of old memory and its elfcorehdr the ELF
//!   core that /proc/vmcore shows; [`OldmemView`] is the same without headers.
//! - [`SavePlan`] lays out a copy as an ELF core and writes it, [`KdumpPlan`] as a kdump-compressed
//!   file, which [`Flatten`] makes a stream of; with `std`, [`save`] puts it
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
//! use kdump_vmcore::{Dmesg, Dump, KernelMemory, PhysMemory};
//!
//! let dump = Dump::open(std::fs::File::open("/var/crash/vmcore")?)?;
//! let mut page = [0; 4096];
//! dump.reader().read_phys(Paddr(0x10_0000), &mut page)?;
//! if let Some(info) = dump.vmcoreinfo() {
//!     let log = Dmesg::read(&mut KernelMemory::new(&dump), info)?;
//!     println!("{} records", log.records.len());
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "std"))]
//! # fn main() {}
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
// But for source/mapped_file.rs (docs/ARCHITECTURE.md).
#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")
)]

extern crate alloc;

mod capture;
pub mod codec;
mod dump;
mod error;
mod extent_map;
mod filter;
mod io_error;
mod kernel;
mod progress;
mod room;
mod save;
mod source;
mod translate;

pub use capture::{OldmemView, RamOracle, ViewOptions, VmcoreView};
pub use dump::{
    Completeness, Cpu, Dump, Facts, Format, MAX_UNREADABLE, NoteTable, PageClass, RawImage, ReadOptions,
    Reader, Scratch, Span, SpanKind, Unreadable, UnreadableRange, Verification, verify,
};
pub use error::{Error, PageFault, Stopped, TableFault};
pub use filter::{BtfKeys, ClassMap, Classes, Scan, ScanReport};
pub use io_error::IoError;
pub use kernel::{
    Btf, Caller, CpuList, CpuRegisters, Dmesg, Kallsyms, KernelMemory, LogRecord, RegisterSource, UnreadCpu,
    cpu_registers, note_registers,
};
pub use progress::Progress;
pub use save::{
    Doubt, ElfOptions, Flatten, Interrupted, KdumpOptions, KdumpPlan, LeftOut, RawPlan, SaveOrder, SavePlan,
    SaveReport, StageTimes, StoredPages, WriteAt, WrittenOrder,
};
#[cfg(feature = "std")]
pub use save::{
    Draft, Estimate, OnFull, SaveFailure, SaveFormat, SaveOptions, SplitFailure, estimate, free_space, save,
    save_split, save_stream,
};
pub use source::{FileId, Flattened, MemoryImage, OldMemory, PhysMemory, ReadAt};
#[cfg(feature = "std")]
pub use source::{MappedFile, VmcoreWindows, open_dump_file};
pub use translate::{AddressSpace, Mapping, Radix, TranslationCache};

/// Compiles the example of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
