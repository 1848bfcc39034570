//! How a command fails: a sentence for the user and an exit status for scripts.

use std::fmt;
use std::process::ExitCode;

use crate::hint;

/// What every command returns.
pub(crate) type CommandResult = Result<(), Failure>;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    status: u8,
    /// Whoever read standard output has had enough: nothing to be told.
    silent: bool,
}

impl Failure {
    /// The command was understood but could not be done; exit status 1.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 1, silent: false }
    }

    /// The command makes no sense as given; exit status 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 2, silent: false }
    }

    /// The command is done, and what it worked on lacked something; exit status 3.
    pub(crate) fn lacking(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), status: 3, silent: false }
    }

    /// The command is done in part, and what it left is of use; exit status 4.
    pub(crate) fn in_part(self) -> Self {
        Self { status: 4, ..self }
    }

    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        self.status
    }

    /// The same failure with more to say about it.
    pub(crate) fn and_says(self, more: &str) -> Self {
        self.followed_by("; ").followed_by(more)
    }

    /// The same failure with `text` behind it.
    pub(crate) fn followed_by(mut self, text: &str) -> Self {
        self.message.push_str(text);
        self
    }

    /// The same failure, told of `what`.
    pub(crate) fn of(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Whether there is something to be told.
    pub(crate) fn is_worth_telling(&self) -> bool {
        !self.silent
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: core::error::Error + 'static> From<E> for Failure {
    /// The error and all its causes, in one line.
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut hint = hint::of(&error);
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            hint = hint.or_else(|| hint::of(error));
            cause = error.source();
        }
        if let Some(hint) = hint {
            message.push_str("; ");
            message.push_str(hint);
        }
        let any: &(dyn core::error::Error + 'static) = &error;
        let io = any.downcast_ref::<std::io::Error>();
        let silent = io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe);
        Self { message, status: 1, silent }
    }
}
