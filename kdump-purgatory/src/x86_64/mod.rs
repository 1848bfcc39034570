//! x86_64: its object, its relocations, and what its hand-over looks like.

mod entry;
pub(crate) mod reloc;
mod serial;

pub(crate) use entry::enter;
pub(crate) use serial::serial;

/// Built by `cargo xtask purgatory`.
pub(crate) const OBJECT: &[u8] = include_bytes!("../../objects/x86_64.o");
