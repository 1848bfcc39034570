//! Plans the segments of a kdump capture kernel, checks the plan and loads it.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_op_in_unsafe_fn)]

extern crate alloc;

mod error;

pub mod purgatory;

pub use error::Error;
