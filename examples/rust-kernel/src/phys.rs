//! Where memory appears: the direct map of all of it, and the image of this kernel.

use core::sync::atomic::{AtomicU64, Ordering};

use kdump_elf::PhysRange;

/// Virtual address of physical address 0 (boot.s maps the first 512 GiB from here on).
pub(crate) const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;

/// Virtual address of the first byte of the image.
pub(crate) const KERNEL_VIRTUAL: u64 = 0xffff_ffff_8000_0000;

/// Bytes of a page frame.
pub(crate) const PAGE: u64 = 4096;

/// Physical address of the first byte of the image.
static IMAGE: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static image_end: u8;
    static mut pml4: [u64; 512];
    static mut image_pt: [u64; 2048];
}

/// Keeps where the image was loaded.
pub(crate) fn init(image: u64) {
    IMAGE.store(image, Ordering::Relaxed);
}

/// The memory of the image, .bss included.
pub(crate) fn image() -> Option<PhysRange> {
    let end = paddr_of((&raw const image_end).cast());
    PhysRange::from_half_open(IMAGE.load(Ordering::Relaxed), end).ok()
}

/// Physical address of something in the image or in the direct map.
pub(crate) fn paddr_of(pointer: *const u8) -> u64 {
    let vaddr = pointer as u64;
    if vaddr >= KERNEL_VIRTUAL {
        vaddr - KERNEL_VIRTUAL + IMAGE.load(Ordering::Relaxed)
    } else {
        vaddr - DIRECT_MAP
    }
}

/// Virtual address of the root of the page tables.
pub(crate) fn page_table_root() -> *mut u64 {
    (&raw mut pml4).cast()
}

/// Where `paddr` appears in the direct map.
pub(crate) fn pointer(paddr: u64) -> *mut u8 {
    (DIRECT_MAP + paddr) as *mut u8
}

/// Memory that nothing changes while the slice lives.
///
/// # Safety
/// The range is RAM or ROM, and neither the kernel nor a device writes it meanwhile.
pub(crate) unsafe fn bytes(paddr: u64, len: usize) -> &'static [u8] {
    // SAFETY: the direct map covers it; the rest is the caller's promise.
    unsafe { core::slice::from_raw_parts(pointer(paddr), len) }
}

/// Memory that belongs to the caller alone while the slice lives.
///
/// # Safety
/// The range is RAM and nothing else refers to it.
pub(crate) unsafe fn bytes_mut(paddr: u64, len: usize) -> &'static mut [u8] {
    // SAFETY: the direct map covers it; the rest is the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(pointer(paddr), len) }
}

/// A copy of a plain value, wherever it lies.
///
/// # Safety
/// The memory is readable and every bit pattern is a `T`.
pub(crate) unsafe fn read<T>(paddr: u64) -> T {
    // SAFETY: the caller's promise.
    unsafe { pointer(paddr).cast::<T>().read_unaligned() }
}

/// Shows physical memory a second time from virtual address 0 on, or ends that: while booting
/// and on the way into the next kernel. Otherwise the page at 0 must fault.
pub(crate) fn identity_map(on: bool) {
    let root = page_table_root();
    // SAFETY: entry 256 is the direct map, made by boot.s; entry 0 is used by nobody else.
    unsafe { root.write_volatile(if on { root.add(256).read_volatile() } else { 0 }) };
    crate::cpu::flush_tlb();
}

/// Takes a page of the image away, so that touching it faults.
pub(crate) fn make_guard(page: *const u8) {
    let index = (page as u64 - KERNEL_VIRTUAL) / PAGE;
    let table = (&raw mut image_pt).cast::<u64>();
    // SAFETY: the table has an entry for every page of the image; nobody uses this page.
    unsafe { table.add(index as usize).write_volatile(0) };
    crate::cpu::flush_tlb();
}
