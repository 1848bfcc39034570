//! Where bytes and memory come from: files, devices, buffers, memory images.

#[cfg(feature = "std")]
mod file;
mod flattened;
#[cfg(feature = "std")]
mod mapped_file;
mod phys_memory;
mod read_at;
#[cfg(feature = "std")]
mod vmcore_windows;

#[cfg(feature = "std")]
pub(crate) use file::custom;
#[cfg(feature = "std")]
pub use file::open_dump_file;
pub use flattened::Flattened;
pub(crate) use flattened::{FLATTENED_END, FLATTENED_HEAD, MAX_GAPS, flattened_head, flattened_record};
#[cfg(feature = "std")]
pub use mapped_file::MappedFile;
pub use phys_memory::{MemoryImage, OldMemory, PhysMemory};
pub use read_at::{FileId, ReadAt};
#[cfg(feature = "std")]
pub use vmcore_windows::VmcoreWindows;
