//! Where bytes and memory come from: files, devices, buffers, memory images.

#[cfg(feature = "std")]
mod file;
#[cfg(feature = "std")]
pub(crate) use file::custom;
#[cfg(feature = "std")]
pub use file::open_dump_file;
mod phys_memory;
mod read_at;

pub use phys_memory::{MemoryImage, OldMemory, PhysMemory};
pub use read_at::{FileId, ReadAt};
