//! From the dead kernel's virtual addresses to physical ones.

mod address_space;
mod page_walk;

pub use address_space::AddressSpace;
pub use page_walk::{Mapping, PageTables};
