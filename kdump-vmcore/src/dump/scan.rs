//! Reading all of a dump's memory in order, passing over what cannot be read.

use kdump_elf::{Paddr, PhysRange};

use crate::error::Error;
use crate::source::PhysMemory;

/// The part of an offset or address that is inside its unit, a power of two.
pub(crate) fn offset_in(value: u64, unit: u64) -> usize {
    usize::try_from(value & unit.wrapping_sub(1)).unwrap_or(0)
}

/// Whether all bytes are zero, told at the speed of memory whatever memcmp a libc has.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const STEP: usize = 128;
    let mut steps = bytes.chunks_exact(STEP);
    // Pages that are not zero show it early; the sum over a step needs no branch.
    let zero = |step: &[u8]| step.iter().fold(0, |sum, byte| sum | byte) == 0;
    steps.by_ref().all(zero) && zero(steps.remainder())
}

/// Fills `bytes` with the memory from `paddr` on. What cannot be read becomes zeros and is told to
/// `bad`, as little as `unit` bytes at a time: also where a source has ended, because what is
/// behind may stand in front of it, or in another file.
pub(crate) fn read_or_zero<M: PhysMemory>(
    memory: &mut M,
    paddr: u64,
    bytes: &mut [u8],
    unit: u64,
    bad: &mut dyn FnMut(PhysRange, Error),
) {
    let mut unreadable = |start: u64, end: u64, error: Error| {
        if let Ok(range) = PhysRange::from_half_open(start, end) {
            bad(range, error);
        }
    };
    let Err(stopped) = memory.read_phys(Paddr(paddr), bytes) else { return };
    bytes.get_mut(stopped.read..).unwrap_or_default().fill(0);
    let mut done = stopped.read;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = paddr.saturating_add(done as u64);
        let count = usize::try_from(unit).unwrap_or(1).saturating_sub(offset_in(at, unit)).max(1);
        let count = count.min(rest.len());
        let page = rest.get_mut(..count).unwrap_or_default();
        if let Err(stopped) = memory.read_phys(Paddr(at), page) {
            page.get_mut(stopped.read..).unwrap_or_default().fill(0);
            unreadable(stopped.at, at.saturating_add(count as u64), stopped.error);
        }
        done = done.saturating_add(count);
    }
}
