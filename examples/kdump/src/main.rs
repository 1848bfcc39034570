//! The kdump command-line tool.

fn main() {}
