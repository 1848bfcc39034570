//! `kdump unload`: removes the capture kernel.

use clap::{ArgMatches, Command};

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
    kdump_segments::load::unload()?;
    Ok(())
}
