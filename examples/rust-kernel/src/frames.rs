//! The page-frame allocator: a bitmap of free frames, lowest first.

use alloc::vec::Vec;

use kdump_elf::PhysRange;
use spin::Mutex;

use crate::phys::PAGE;

/// Memory above 4 GiB is left alone; it is in the dump all the same.
const MAX_FRAMES: usize = 1 << 20;

static FRAMES: Mutex<Frames> = Mutex::new(Frames { free: [0; MAX_FRAMES / 64] });

/// A set bit is a free frame.
struct Frames {
    free: [u64; MAX_FRAMES / 64],
}

impl Frames {
    fn is_free(&self, frame: usize) -> bool {
        self.free.get(frame / 64).is_some_and(|word| word >> (frame % 64) & 1 == 1)
    }

    fn set(&mut self, frame: usize, free: bool) {
        if let Some(word) = self.free.get_mut(frame / 64) {
            *word = *word & !(1 << (frame % 64)) | u64::from(free) << (frame % 64);
        }
    }
}

/// Adds usable memory; only whole frames count. Frame 0 stays unused: it is the null page.
pub(crate) fn add(range: PhysRange) {
    if let Some(whole) = range.align_inward(PAGE) {
        set(whole, true);
        FRAMES.lock().set(0, false);
    }
}

/// Takes memory out that is in use already.
pub(crate) fn reserve(range: PhysRange) {
    set(range.align_outward(PAGE), false);
}

fn set(range: PhysRange, free: bool) {
    let mut frames = FRAMES.lock();
    for frame in range.start() / PAGE..range.end() / PAGE {
        frames.set(frame as usize, free);
    }
}

/// One frame.
pub(crate) fn allocate() -> Option<u64> {
    allocate_range(PAGE, PAGE, 0).map(PhysRange::start)
}

/// The lowest free range of `size` bytes from `least` on, aligned to `align`; all multiples
/// of a page.
pub(crate) fn allocate_range(size: u64, align: u64, least: u64) -> Option<PhysRange> {
    let mut frames = FRAMES.lock();
    let (count, step) = ((size / PAGE) as usize, (align / PAGE) as usize);
    let mut first = (least.next_multiple_of(align) / PAGE) as usize;
    while first + count <= MAX_FRAMES {
        match (first..first + count).rev().find(|&frame| !frames.is_free(frame)) {
            Some(used) => first = (used + 1).next_multiple_of(step),
            None => {
                (first..first + count).for_each(|frame| frames.set(frame, false));
                return PhysRange::from_len(first as u64 * PAGE, size).ok();
            }
        }
    }
    None
}

/// The free frames, in runs.
pub(crate) fn free() -> Vec<PhysRange> {
    let frames = FRAMES.lock();
    let mut runs = Vec::new();
    let mut start = None;
    for frame in 0..=MAX_FRAMES {
        match (start, frames.is_free(frame)) {
            (None, true) => start = Some(frame as u64 * PAGE),
            (Some(first), false) => {
                runs.extend(PhysRange::from_half_open(first, frame as u64 * PAGE));
                start = None;
            }
            _ => {}
        }
    }
    runs
}
