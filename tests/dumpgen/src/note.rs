//! Notes and their contents.

use crate::Wire;

/// One note, name NUL-terminated, both parts padded to 4.
#[must_use]
pub fn note(wire: Wire, name: &str, n_type: u32, desc: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire.u32(&mut out, name.len() as u32 + 1);
    wire.u32(&mut out, desc.len() as u32);
    wire.u32(&mut out, n_type);
    out.extend(name.as_bytes());
    out.push(0);
    out.resize(out.len().div_ceil(4) * 4, 0);
    out.extend(desc);
    out.resize(out.len().div_ceil(4) * 4, 0);
    out
}

/// The 336 bytes of `elf_prstatus` of x86_64: pid at 32, 27 registers from 112 on.
#[must_use]
pub fn prstatus_x86_64(pid: u32, registers: [u64; 27]) -> Vec<u8> {
    let mut out = vec![0; 32];
    Wire::LE64.u32(&mut out, pid);
    out.resize(112, 0);
    for register in registers {
        Wire::LE64.u64(&mut out, register);
    }
    out.resize(336, 0);
    out
}

/// A CPU's `crash_notes` buffer of `size` bytes: the notes and zeros behind them.
#[must_use]
pub fn crash_notes_buffer(notes: &[u8], size: usize) -> Vec<u8> {
    let mut out = notes.to_vec();
    out.resize(size, 0);
    out
}
