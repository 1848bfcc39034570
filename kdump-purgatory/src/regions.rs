//! The purgatory's table of digest regions.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_segments::purgatory::DigestRegion;

use crate::Error;

/// Rows of the table, and bytes of it: {u64 start, u64 length} each.
const ROWS: usize = 16;
const TABLE: usize = ROWS * 16;

/// Encodes the regions in the order they are hashed. Empty regions are left out and a region
/// that begins where the one before ends is joined to it; neither changes the digest.
///
/// # Errors
/// More than 16 separate regions, a region beyond the address space, or one that shares memory
/// with the purgatory, whose stack and variables change before the digest is taken.
pub(crate) fn encode(regions: &[DigestRegion<'_>], purgatory: &Range<u64>) -> Result<[u8; TABLE], Error> {
    let mut rows: Vec<Range<u64>> = Vec::new();
    for region in regions.iter().filter(|region| !region.bytes.is_empty()) {
        let range = range(region)?;
        if range.start < purgatory.end && purgatory.start < range.end {
            return Err(refused(region, "shares memory with the purgatory"));
        }
        match rows.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => rows.push(range),
        }
    }
    if rows.len() > ROWS {
        return Err(Error::TooManyRegions { count: rows.len(), limit: ROWS });
    }
    let mut table = [0; TABLE];
    for (row, range) in table.chunks_exact_mut(16).zip(rows) {
        let len = range.end.saturating_sub(range.start);
        let encoded = (u128::from(len) << 64) | u128::from(range.start);
        row.copy_from_slice(&encoded.to_le_bytes());
    }
    Ok(table)
}

/// The addresses of a region.
fn range(region: &DigestRegion<'_>) -> Result<Range<u64>, Error> {
    u64::try_from(region.bytes.len())
        .ok()
        .and_then(|len| region.start.checked_add(len))
        .map(|end| region.start..end)
        .ok_or_else(|| refused(region, "reaches beyond the address space"))
}

fn refused(region: &DigestRegion<'_>, why: &'static str) -> Error {
    Error::Region { start: region.start, size: u64::try_from(region.bytes.len()).unwrap_or(u64::MAX), why }
}
