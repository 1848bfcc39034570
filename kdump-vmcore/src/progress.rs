//! How far work over all of a dump's memory is.

/// How far saving or verifying is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of memory copied.
    pub done: u64,
    /// Bytes of memory to copy.
    pub total: u64,
    /// Bytes written so far; zero pages are skipped where the destination allows it.
    pub written: u64,
}
