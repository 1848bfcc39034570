//! Tests of the C interface from the side of its callers.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]

mod layout;
mod threads;
