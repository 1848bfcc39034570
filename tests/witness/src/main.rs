//! Fills pages with known bytes and reports their physical addresses before a crash.

fn main() {}
