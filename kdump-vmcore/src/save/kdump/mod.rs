//! Saving a dump as a kdump-compressed file, version 6: makedumpfile's format.
//!
//! Which pages have a descriptor is known before a byte is written, so that every table has its
//! place; where the data of a page stands is known when it is written. Batches of pages are read
//! and compressed by any thread in any order and written by one in theirs: the file is the same
//! for every number of threads.

mod batch;
mod block;
mod head;
mod order;
mod part;
mod plan;
#[cfg(feature = "std")]
mod set;
mod stream;
#[cfg(feature = "std")]
mod threads;
mod write;

pub use order::SaveOrder;
pub use plan::{KdumpOptions, KdumpPlan};
