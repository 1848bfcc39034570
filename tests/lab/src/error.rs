//! How work fails: its command was used wrongly, or it could not be done.

use core::fmt;

/// What work gives.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// Why there is no result.
#[derive(Debug)]
pub enum Error {
    /// The command line makes no sense.
    Usage(String),
    /// The work failed; the text names the thing and the cause.
    Failed(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

/// A command line that makes no sense.
#[must_use]
pub fn usage(text: impl Into<String>) -> Error {
    Error::Usage(text.into())
}

/// Work that failed.
#[must_use]
pub fn failed(text: impl Into<String>) -> Error {
    Error::Failed(text.into())
}

/// Puts the thing that was worked on in front of the cause.
pub trait Context<T> {
    /// The value, or an error that begins with `what`.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Error::Failed(format!("{what}: {cause}")))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::Failed(what.to_string()))
    }
}
