//! Where memory appears: the direct map of all of it, and the image of this kernel.

use core::cell::UnsafeCell;
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
    static mut direct_pdpt: [u64; 512];
    static mut image_pt: [u64; 2048];
}

/// Bits of a page-table entry (Intel SDM vol. 3, "4-Level Paging").
const PRESENT_AND_WRITABLE: u64 = 3;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

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

/// Shows physical memory a second time from virtual address 0 on, or ends that: while booting.
/// Otherwise the page at 0 must fault.
pub(crate) fn identity_map(on: bool) {
    let root = page_table_root();
    // SAFETY: entry 256 is the direct map, made by boot.s; entry 0 is used by nobody else.
    unsafe { root.write_volatile(if on { root.add(256).read_volatile() } else { 0 }) };
    crate::cpu::flush_tlb();
}

/// Takes a page of the image or of the direct map away, so that touching it faults. Says whether
/// there was memory for the tables this takes. CPUs that run already may know the page a while
/// longer.
pub(crate) fn make_guard(page: *const u8) -> bool {
    let entry = if page as u64 >= KERNEL_VIRTUAL {
        let index = (page as u64 - KERNEL_VIRTUAL) / PAGE;
        // SAFETY: the table has an entry for every page of the image.
        unsafe { (&raw mut image_pt).cast::<u64>().add(index as usize) }
    } else {
        let paddr = paddr_of(page);
        // SAFETY: boot.s made the table: one entry per GiB.
        let gib = unsafe { (&raw mut direct_pdpt).cast::<u64>().add((paddr >> 30) as usize) };
        let Some(directory) = split(gib, 21) else { return false };
        // SAFETY: a table of 512 entries.
        let Some(table) = split(unsafe { directory.add((paddr >> 21 & 511) as usize) }, 12) else {
            return false;
        };
        // SAFETY: likewise.
        unsafe { table.add((paddr >> 12 & 511) as usize) }
    };
    // SAFETY: nobody uses this page.
    unsafe { entry.write_volatile(0) };
    crate::cpu::flush_tlb();
    true
}

/// The table behind an entry; a large page is split into 512 smaller ones of `1 << shift` bytes.
fn split(entry: *mut u64, shift: u32) -> Option<*mut u64> {
    // SAFETY: an entry of our page tables.
    let value = unsafe { entry.read_volatile() };
    if value & LARGE == 0 {
        return Some(pointer(value & ADDRESS).cast());
    }
    let paddr = crate::frames::allocate()?;
    let table = pointer(paddr).cast::<u64>();
    let large = if shift == 12 { 0 } else { LARGE };
    for index in 0..512 {
        let page = (value & ADDRESS) + ((index as u64) << shift);
        // SAFETY: a frame of our own.
        unsafe { table.add(index).write_volatile(page | large | PRESENT_AND_WRITABLE) };
    }
    // SAFETY: the table shows the same memory as the large page did.
    unsafe { entry.write_volatile(paddr | PRESENT_AND_WRITABLE) };
    Some(table)
}

/// Page tables for the way out: nothing in them is older than the crash.
#[repr(C, align(4096))]
struct WayOut(UnsafeCell<[[u64; 512]; 8]>);

// SAFETY: written by the CPU that owns the crash alone.
unsafe impl Sync for WayOut {}

static WAY_OUT: WayOut = WayOut(UnsafeCell::new([[0; 512]; 8]));

/// Makes new page tables and takes them: all memory from 0 and from [`DIRECT_MAP`] on, and the
/// image. Part of the crash path: whatever happened to the tables in use, so much works again.
pub(crate) fn take_way_out() {
    let tables = WAY_OUT.0.get().cast::<u64>();
    let table = |index: usize| paddr_of(tables.wrapping_add(index * 512).cast());
    // SAFETY: in bounds; nobody walks these tables before they are taken, and taking them again
    // writes the same values.
    let put = |index: usize, slot: usize, value: u64| unsafe {
        tables.add(index * 512 + slot).write_volatile(value);
    };
    let [root, gibs, image_gibs, image_megs, image_pages] = [0, 1, 2, 3, 4];
    for slot in 0..512 {
        put(gibs, slot, (slot as u64) << 30 | LARGE | PRESENT_AND_WRITABLE);
    }
    let image = IMAGE.load(Ordering::Relaxed);
    for slot in 0..4 * 512 {
        put(image_pages, slot, (image + slot as u64 * PAGE) | PRESENT_AND_WRITABLE);
    }
    for slot in 0..4 {
        put(image_megs, slot, table(image_pages + slot) | PRESENT_AND_WRITABLE);
    }
    put(image_gibs, 510, table(image_megs) | PRESENT_AND_WRITABLE);
    for slot in [0, 256] {
        put(root, slot, table(gibs) | PRESENT_AND_WRITABLE);
    }
    put(root, 511, table(image_gibs) | PRESENT_AND_WRITABLE);
    // SAFETY: code, data and stacks are where they were.
    unsafe { crate::cpu::set_cr3(table(root)) };
}

/// Takes the last of the first four GiB out of the direct map, for tests: the local APIC is there.
pub(crate) fn damage_direct_map() {
    // SAFETY: none, which is the point.
    unsafe { (&raw mut direct_pdpt).cast::<u64>().add(3).write_volatile(0) };
    crate::cpu::flush_tlb();
}
