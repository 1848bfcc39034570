//! What each architecture supplies to a plan.

pub mod x86;
