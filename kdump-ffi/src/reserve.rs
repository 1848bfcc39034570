//! Memory set aside for when there is none: small allocations come from it, so that a call can end
//! with LIBKDUMP_ERR_NO_MEMORY instead of ending the process.
//!
//! What the size of depends on input is allocated fallibly where it is needed. The many small
//! allocations in between (names, messages, lists of a few entries) are not: Rust has no way to let
//! them fail but to abort. They are served from here, and [`ran_short`] says so.
#![allow(unsafe_code, reason = "an allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes set aside. They are address space only until they are needed.
const ROOM: usize = 1 << 20;
/// The largest alignment served.
const ALIGN: usize = 64;

#[repr(C, align(64))]
struct Arena(UnsafeCell<[u8; ROOM]>);

// SAFETY: every byte is handed to one owner at a time, which `STATE` decides.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new([0; ROOM]));
/// How many allocations live in the arena (upper half), and how many of its bytes are used.
static STATE: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    static SHORT: Cell<bool> = const { Cell::new(false) };
}

/// Forgets what happened before: a call begins.
pub(crate) fn begin() {
    SHORT.set(false);
}

/// Whether memory ran out on this thread since the call began.
pub(crate) fn ran_short() -> bool {
    SHORT.get()
}

/// An allocator in front of the memory that is set aside.
#[derive(Debug)]
pub struct Reserve<A>(pub A);

/// Room for `layout`; NULL when the arena has none.
fn take(layout: Layout) -> *mut u8 {
    let _ = SHORT.try_with(|short| short.set(true));
    if layout.align() > ALIGN {
        return core::ptr::null_mut();
    }
    let mut start = 0;
    let place = |state: u64| {
        let used = usize::try_from(state & u64::from(u32::MAX)).ok()?;
        start = used.checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size()).filter(|&end| end <= ROOM)?;
        Some(((state >> 32).checked_add(1)? << 32) | end as u64)
    };
    if STATE.fetch_update(Ordering::AcqRel, Ordering::Relaxed, place).is_err() {
        return core::ptr::null_mut();
    }
    ARENA.0.get().cast::<u8>().wrapping_add(start)
}

/// Gives back what may be of the arena; whether it was.
fn give_back(start: *mut u8) -> bool {
    let first = ARENA.0.get().cast::<u8>().addr();
    if start.addr().checked_sub(first).is_none_or(|at| at >= ROOM) {
        return false;
    }
    // When the last allocation is gone everything is free again.
    let less = |state: u64| match state >> 32 {
        0 | 1 => Some(0),
        live => Some((live.saturating_sub(1) << 32) | (state & u64::from(u32::MAX))),
    };
    let _ = STATE.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    true
}

// SAFETY: blocks come from the allocator behind or from bytes of the arena that nobody else has, and
// go back where they came from.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Reserve<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on to the caller.
        let block = unsafe { self.0.alloc(layout) };
        if block.is_null() { take(layout) } else { block }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !give_back(block) {
            // SAFETY: passed on to the caller; it is not of the arena.
            unsafe { self.0.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let first = ARENA.0.get().cast::<u8>().addr();
        let ours = block.addr().checked_sub(first).is_some_and(|at| at < ROOM);
        if !ours {
            // SAFETY: passed on to the caller; it is not of the arena.
            let moved = unsafe { self.0.realloc(block, layout, size) };
            if !moved.is_null() {
                return moved;
            }
        }
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return core::ptr::null_mut() };
        let room = if ours {
            // SAFETY: the caller vouches that the size is not 0.
            unsafe { self.alloc(wanted) }
        } else {
            take(wanted)
        };
        if !room.is_null() {
            // SAFETY: both have that many bytes, and the new block overlaps no other.
            unsafe { core::ptr::copy_nonoverlapping(block, room, layout.size().min(size)) };
            // SAFETY: the caller gives it up.
            unsafe { self.dealloc(block, layout) };
        }
        room
    }
}

/// That of the library as it is installed, whose standard library is its own.
#[cfg(feature = "quiet")]
#[global_allocator]
static ALLOCATOR: Reserve<std::alloc::System> = Reserve(std::alloc::System);
