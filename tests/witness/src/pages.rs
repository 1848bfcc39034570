//! Locked memory with known content at known physical addresses.

#![allow(unsafe_code, reason = "maps and locks memory, and fills it")]

use core::ptr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use kdump_witness::{PAGE, SplitMix, Witness, page};

/// Bytes of one pagemap entry, its "present" bit and its pfn field
/// (Documentation/admin-guide/mm/pagemap.rst).
const ENTRY: u64 = 8;
const PRESENT: u64 = 1 << 63;
const PFN: u64 = (1 << 55) - 1;

/// A page of the arena: where it is in this process and in the machine.
#[derive(Clone, Copy)]
struct Place {
    vaddr: *mut u8,
    paddr: u64,
}

/// Maps and locks `mib` MiB, keeps `count` pages spread from the lowest to the highest physical
/// address, and fills each with its content. The memory is never given back.
pub(crate) fn plant(mib: usize, count: usize, seed: u64) -> io::Result<Vec<Witness>> {
    let places = arena(mib)?;
    if places.len() < count {
        let text = format!("{} pages locked, {count} wanted", places.len());
        return Err(io::Error::other(text));
    }
    let stratum = places.len().checked_div(count).unwrap_or(1).max(1);
    let mut random = SplitMix::new(seed);
    let mut pages = Vec::with_capacity(count);
    let pagemap = File::open("/proc/self/pagemap")?;
    for (index, slice) in (0_u64..).zip(places.chunks_exact(stratum).take(count)) {
        let draw = usize::try_from(random.draw() >> 32).unwrap_or(0);
        let pick = draw.checked_rem(slice.len()).unwrap_or(0);
        let Some(place) = slice.get(pick) else {
            continue;
        };
        let content = page(seed, index);
        // SAFETY: `vaddr` is the start of a page of the private writable mapping made by
        // `arena`, PAGE bytes long and referenced by nothing else; `content` is PAGE bytes.
        unsafe { ptr::copy_nonoverlapping(content.as_ptr(), place.vaddr, PAGE) };
        if paddr(&pagemap, place.vaddr)? != place.paddr {
            return Err(io::Error::other("a locked page moved while it was filled"));
        }
        pages.push(Witness { index, paddr: place.paddr });
    }
    Ok(pages)
}

/// `mib` MiB of touched and locked small pages, sorted by physical address.
fn arena(mib: usize) -> io::Result<Vec<Place>> {
    let len = mib.saturating_mul(1 << 20);
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `base` and `len` are exactly the mapping made above; the advice does not change
    // its content.
    if unsafe { libc::madvise(base, len, libc::MADV_NOHUGEPAGE) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; locking touches the pages and leaves them zero.
    if unsafe { libc::mlock(base, len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let pagemap = File::open("/proc/self/pagemap")?;
    let base = base.cast::<u8>();
    let mut places = Vec::with_capacity(len / PAGE);
    for offset in (0..len).step_by(PAGE) {
        let vaddr = base.wrapping_add(offset);
        places.push(Place { vaddr, paddr: paddr(&pagemap, vaddr)? });
    }
    places.sort_by_key(|place| place.paddr);
    Ok(places)
}

fn paddr(pagemap: &File, vaddr: *const u8) -> io::Result<u64> {
    // SAFETY: sysconf has no preconditions.
    let size = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
    let address = u64::try_from(vaddr.addr()).map_err(io::Error::other)?;
    let (vpn, offset) = (address.checked_div(size).unwrap_or(0), address.checked_rem(size).unwrap_or(0));
    let mut entry = [0; 8];
    pagemap.read_exact_at(&mut entry, vpn.saturating_mul(ENTRY))?;
    let entry = u64::from_le_bytes(entry);
    let pfn = entry & PFN;
    if entry & PRESENT == 0 || pfn == 0 {
        return Err(io::Error::other("pagemap shows no page frame (not present, or not root)"));
    }
    // A witness page may be a part of a page of this kernel.
    Ok(pfn.saturating_mul(size).saturating_add(offset))
}
