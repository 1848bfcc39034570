//! Plans the segments of a kdump capture kernel, checks the plan and loads it.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_op_in_unsafe_fn)]

extern crate alloc;

mod crashkernel;
mod errno;
mod error;
mod iomem;
mod kernel_layout;
mod le;
mod machine;
mod machine_error;
mod memory_map;
mod range_set;

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
    CpuNote, EfiHandover, EfiMemoryDescriptor, KexecState, Machine, MachineFiles, MachineNote, VmcoreinfoNote,
};
pub use machine_error::MachineError;
pub use memory_map::{MemoryKind, MemoryMap, MemoryRange};
pub use range_set::RangeSet;
