//! The commands, one file each.

mod collect;
pub(crate) mod dmesg;
pub(crate) mod info;
pub(crate) mod load;
mod map;
mod notes;
mod plan;
mod read;
pub(crate) mod save;
mod status;
pub(crate) mod unload;
mod verify;
mod view;

use clap::{ArgMatches, Command};

use crate::failure::CommandResult;

/// A command of the tool.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) command: fn() -> Command,
    pub(crate) run: fn(&ArgMatches) -> CommandResult,
}

/// All commands in the order of the help text.
pub(crate) const ALL: &[Entry] = &[
    Entry { name: "collect", command: collect::command, run: collect::run },
    Entry { name: "plan", command: plan::command, run: plan::run },
    Entry { name: "load", command: load::command, run: load::run },
    Entry { name: "unload", command: unload::command, run: unload::run },
    Entry { name: "status", command: status::command, run: status::run },
    Entry { name: "info", command: info::command, run: info::run },
    Entry { name: "notes", command: notes::command, run: notes::run },
    Entry { name: "dmesg", command: dmesg::command, run: dmesg::run },
    Entry { name: "read", command: read::command, run: read::run },
    Entry { name: "map", command: map::command, run: map::run },
    Entry { name: "save", command: save::command, run: save::run },
    Entry { name: "verify", command: verify::command, run: verify::run },
    Entry { name: "view", command: view::command, run: view::run },
];
