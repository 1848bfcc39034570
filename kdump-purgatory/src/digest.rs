//! The digest a purgatory compares with.

use kdump_segments::purgatory::DigestRegion;
use sha2::{Digest, Sha256};

/// The SHA-256 of the bytes of all regions, in order, without anything between them.
#[must_use]
pub fn digest(regions: &[DigestRegion<'_>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for region in regions {
        hash.update(region.bytes);
    }
    hash.finalize().into()
}
