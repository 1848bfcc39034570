//! `kdump unload`: removes the capture kernel.

use std::path::Path;

use clap::{ArgMatches, Command};
use kdump_segments::load::{self, LoadRecord};

use crate::failure::CommandResult;

const LONG: &str = "\
Remove the capture kernel that is loaded. A panic will then not end in a dump. It is no error when
none is loaded.";

const EXAMPLES: &str = "\
Examples:
  kdump unload";

pub(crate) fn command() -> Command {
    Command::new("unload").about("Remove the capture kernel").long_about(LONG).after_help(EXAMPLES)
}

pub(crate) fn run(_: &ArgMatches) -> CommandResult {
    load::unload()?;
    // The note belongs to what is gone.
    Ok(LoadRecord::remove(Path::new("/"))?)
}
