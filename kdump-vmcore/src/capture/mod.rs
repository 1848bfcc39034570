//! The capture kernel's side: what /proc/vmcore and /dev/oldmem show of old memory.

mod elfcorehdr;
mod oldmem_view;
mod vmcore_view;

pub use oldmem_view::OldmemView;
pub use vmcore_view::{RamOracle, ViewOptions, VmcoreView};
