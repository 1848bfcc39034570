//! Which pages a dump need not have: what the dead kernel says of each in its array of `struct page`.
//!
//! The keys of VMCOREINFO that are there decide how a page is judged, never the version of the
//! kernel. What a kernel does not tell is not guessed: a class that needs it is refused by the name of
//! the key.

mod classes;
mod compound;
mod field;
mod rules;
mod scan;
mod sections;

pub use classes::Classes;
pub use scan::{Scan, ScanReport};
