//! The caches, which a dead x86 kernel leaves on.

use crate::digest::Region;

/// What was switched on for the digest: nothing.
pub(crate) struct Caches;

impl Caches {
    /// # Safety
    /// None; that of other architectures' has conditions.
    pub(crate) unsafe fn on(_regions: *const Region) -> Self {
        Self
    }

    /// # Safety
    /// None.
    pub(crate) unsafe fn off(self, _regions: *const Region) -> &'static str {
        "\r\n"
    }
}
