//! Plans the segments of a kdump capture kernel, checks the plan and loads it.
//!
//! | to | begin with |
//! |---|---|
//! | describe a machine, the running one or a recorded one | [`Machine::collect`], [`Machine::from_files`] |
//! | lay out what is loaded | [`plan::Plan`] |
//! | know what the kernel would say of it | [`preflight::check_plan`], [`preflight::check`] for segments of one's own |
//! | load it | [`load::load`](mod@load), with `std` |
//! | read or judge a `crashkernel=` | [`CrashkernelRequest`], [`capture_need`] |
//!
//! A plan is a pure function of a machine, a kernel image and a [`purgatory`](purgatory::Purgatory), which
//! the crate kdump-purgatory has:
//!
//! ```no_run
//! # #[cfg(feature = "std")]
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! use std::path::Path;
//!
//! use kdump_segments::Machine;
//! use kdump_segments::load::{load, probe_environment};
//! use kdump_segments::plan::{Plan, PlanInputs, PlanOptions};
//! use kdump_segments::preflight::check_plan;
//! # fn purgatory(_: kdump_elf::Arch) -> Box<dyn kdump_segments::purgatory::Purgatory> { unimplemented!() }
//!
//! let machine = Machine::collect(Path::new("/"))?;
//! let (kernel, initrd) = (std::fs::read("/boot/vmlinuz")?, std::fs::read("/boot/initrd-kdump")?);
//! // ObjectPurgatory::builtin(machine.arch)? of kdump-purgatory.
//! let purgatory = purgatory(machine.arch);
//! let options = PlanOptions::default().reuse_cmdline(true);
//! let inputs = PlanInputs::new(&machine, &kernel, &*purgatory).initrd(Some(&initrd)).options(&options);
//! let plan = Plan::new(&inputs)?;
//! let report = check_plan(&plan, &machine, &probe_environment(&machine, Path::new("/"))?)?;
//! match report.failure() {
//!     Some(finding) => println!("{}: {}", finding.rule, finding.detail),
//!     None => load(&plan, &report)?,
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "std"))]
//! # fn main() {}
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_op_in_unsafe_fn)]

extern crate alloc;

#[macro_use]
mod setters;

mod crashkernel;
mod errno;
mod error;
mod iomem;
mod kernel_layout;
mod le;
mod machine;
mod memory_map;
mod range_set;
mod room;

pub mod capture_need;
pub mod cmdline;
pub mod elfcorehdr;
pub mod image;
#[cfg(feature = "std")]
pub mod load;
pub mod placement;
pub mod plan;
pub mod preflight;
pub mod purgatory;
pub mod segment;
pub mod target;
pub mod vmcore_prediction;

pub use crashkernel::{CrashkernelLimits, CrashkernelRequest, Reservation, memparse};
pub use errno::Errno;
pub use error::{AllParts, Error};
pub use iomem::{Iomem, IomemEntry};
pub use kernel_layout::{KernelLayout, Source, Sourced, TextMapping};
#[cfg(feature = "std")]
pub use machine::Recorded;
pub use machine::{
    CpuNote, EfiHandover, EfiMemoryDescriptor, KexecState, Machine, MachineFiles, Remark, VmcoreinfoNote,
};
pub use memory_map::{MemoryKind, MemoryMap, MemoryRange};
pub use range_set::RangeSet;
