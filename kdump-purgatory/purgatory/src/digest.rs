//! The digest over the loaded regions.

use crate::handover::REGIONS;
use crate::sha256::{Digest, Sha256};

/// One row of `sha256_regions`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Region {
    /// Address of the first byte.
    pub(crate) start: u64,
    /// Bytes; 0 marks an unused row.
    pub(crate) len: u64,
}

/// The SHA-256 of the bytes of all regions in table order.
///
/// # Safety
/// `regions` is a table of [`REGIONS`] rows; each row that is used names readable memory.
/// `sha` may be true only if the processor has the SHA instructions; on arm64 it is asked as well.
pub(crate) unsafe fn digest(regions: *const Region, sha: bool) -> Digest {
    #[cfg(target_arch = "aarch64")]
    let sha = sha && crate::cpu::has_sha();
    cpufeatures::allow_sha(sha);
    let mut hash = Sha256::new();
    // SAFETY: the caller's promise.
    for region in unsafe { used(regions) } {
        // SAFETY: the caller's promise.
        unsafe { hash.update(region.start, region.len) };
    }
    hash.finish()
}

/// The rows that are used.
///
/// # Safety
/// `regions` is a table of [`REGIONS`] rows.
pub(crate) unsafe fn used(regions: *const Region) -> impl Iterator<Item = Region> {
    let rows = (0..REGIONS).map(move |index| {
        // SAFETY: within the table by the range.
        let row = unsafe { regions.add(index) };
        // SAFETY: a row of the table. Volatile: the loader wrote it.
        unsafe { row.read_volatile() }
    });
    rows.filter(|region| region.len != 0)
}

/// The digest as a function of its own, which is not used between kernels: a test or a
/// benchmark maps the object and calls it, with `sha` not 0 for the SHA instructions.
///
/// # Safety
/// `regions` and `sha` as for [`digest`], `out` points to 32 writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn purgatory_digest(regions: *const Region, out: *mut Digest, sha: u32) {
    // SAFETY: the caller's promise.
    let digest = unsafe { digest(regions, sha != 0) };
    // SAFETY: the caller's promise.
    unsafe { out.write(digest) };
}
