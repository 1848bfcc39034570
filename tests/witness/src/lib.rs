//! What a witness saw before a crash: page contents that can be regenerated from a seed, and the
//! list that says where each page and each thread was.
//!
//! The guest program writes the list, the host reads it back after the crash. Nothing here knows
//! how a dump is laid out.

mod list;
mod pattern;

pub use list::{Cpu, List, ParseError, Role, Witness};
pub use pattern::{PAGE, SplitMix, page, spinner_magic};
