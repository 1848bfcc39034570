//! The commands, one file each.

use clap::{ArgMatches, Command};

use crate::failure::CommandResult;

/// A command of the tool.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) command: fn() -> Command,
    pub(crate) run: fn(&ArgMatches) -> CommandResult,
}

/// All commands in the order of the help text.
pub(crate) const ALL: &[Entry] = &[];
