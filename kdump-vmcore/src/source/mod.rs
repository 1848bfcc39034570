//! Where bytes and memory come from: files, devices, buffers, memory images.

#[cfg(feature = "std")]
mod file;
mod flattened;
mod phys_memory;
mod read_at;

pub use flattened::Flattened;
pub use phys_memory::{MemoryImage, OldMemory, PhysMemory};
pub use read_at::ReadAt;
