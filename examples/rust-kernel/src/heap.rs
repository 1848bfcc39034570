//! The global allocator, which counts: the crash path has to prove that it does not use it.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use linked_list_allocator::Heap;
use spin::Mutex;

use crate::{frames, phys};

/// Bytes of the heap: the plan holds a copy of the second kernel.
const SIZE: u64 = 8 << 20;

#[global_allocator]
static HEAP: CountingHeap = CountingHeap(Mutex::new(Heap::empty()));

/// Calls of the allocator, successful or not.
#[unsafe(no_mangle)]
pub(crate) static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Most bytes in use at a time.
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Most bytes that were in use at a time.
pub(crate) fn peak() -> usize {
    PEAK.load(Ordering::Relaxed)
}

struct CountingHeap(Mutex<Heap>);

// SAFETY: Heap hands out disjoint memory of the layout asked for. A request that cannot be met
// gives null, which `try_reserve` and its kind turn into an error.
unsafe impl GlobalAlloc for CountingHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        let mut heap = self.0.lock();
        let pointer = heap.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr);
        PEAK.fetch_max(heap.used(), Ordering::Relaxed);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller got it from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(pointer, layout) };
        }
    }
}

/// Gives the heap its memory, above the first MiB. Says whether there was enough.
pub(crate) fn init() -> bool {
    let Some(range) = frames::allocate_range(SIZE, phys::PAGE, 1 << 20) else { return false };
    // SAFETY: the frames are ours from now on, mapped, and the heap is initialised once.
    unsafe { HEAP.0.lock().init(phys::pointer(range.start()), SIZE as usize) };
    true
}
