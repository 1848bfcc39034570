//! An error number of the operating system, kept as a value.

use core::fmt;

/// What the operating system said when it could not read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IoError {
    errno: i32,
}

/// `EIO`, the same number on every Linux architecture.
const EIO: i32 = 5;
/// `EFBIG`, the same number on every Linux architecture.
const EFBIG: i32 = 27;
/// `ENOSPC`, the same number on every Linux architecture.
const ENOSPC: i32 = 28;

impl IoError {
    /// From an error number of the system, for example 5 for `EIO`.
    #[must_use]
    pub const fn from_errno(errno: i32) -> Self {
        Self { errno }
    }

    /// The error number.
    #[must_use]
    pub const fn errno(self) -> i32 {
        self.errno
    }

    /// Whether a device or file system was full, or a file had as many bytes as it may have there
    /// (`RLIMIT_FSIZE`, or a file system with a limit).
    #[must_use]
    pub const fn is_out_of_space(self) -> bool {
        matches!(self.errno, ENOSPC | EFBIG)
    }
}

impl Default for IoError {
    /// `EIO`: the data could not be read, for a reason unknown.
    fn default() -> Self {
        Self { errno: EIO }
    }
}

#[cfg(feature = "std")]
impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&std::io::Error::from_raw_os_error(self.errno), f)
    }
}

#[cfg(not(feature = "std"))]
impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "os error {}", self.errno)
    }
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for IoError {
    /// Errors without a number of the system become `EIO`, but for a full sink.
    fn from(error: &std::io::Error) -> Self {
        let errno = match error.kind() {
            std::io::ErrorKind::WriteZero => ENOSPC,
            _ => EIO,
        };
        Self { errno: error.raw_os_error().unwrap_or(errno) }
    }
}
