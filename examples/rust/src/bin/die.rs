//! `die DIR`: a kernel of three CPUs dies, and leaves `DIR/elfcorehdr` and `DIR/memory` behind.
//!
//! The kernel's share is `src/lib.rs`, which has neither std nor an allocator.
#![allow(clippy::print_stderr, reason = "a command-line program")]

use core::error::Error;
use std::path::PathBuf;

use dying_kernel::{CPUS, RAM_SIZE, describe_yourself, die, prepare};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: die DIR")?);
    // A pattern by which bytes can be told apart.
    let mut memory: Vec<u8> = (0..RAM_SIZE).map(|at| (at >> 8).to_le_bytes()[0]).collect();
    memory.get_mut(..0x1000).ok_or("no memory")?.fill(0);
    let mut header = [0; 4096];
    let size = usize::try_from(prepare(&mut header)?)?;
    describe_yourself(&mut memory, "1.0-example")?;
    for cpu in 0..CPUS {
        let rip = 0xffff_ffff_8100_0000_u64.saturating_add(cpu as u64);
        die(&mut memory, cpu, i32::try_from(cpu)?.saturating_add(100), &[("rip", rip), ("rsp", 0x10_8000)])?;
    }
    if die(&mut memory, CPUS, 0, &[]).is_ok() {
        return Err("a CPU that does not exist had a slot".into());
    }
    std::fs::write(dir.join("elfcorehdr"), header.get(..size).ok_or("no header")?)?;
    std::fs::write(dir.join("memory"), memory)?;
    eprintln!("{CPUS} CPUs died");
    Ok(())
}
