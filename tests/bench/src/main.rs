//! Benchmarks that print ratios against a peer in the same run.

fn main() {}
