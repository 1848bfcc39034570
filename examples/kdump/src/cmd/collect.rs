//! `kdump collect`: records a machine, to plan for it elsewhere.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use kdump_segments::Machine;

use super::plan::root_arg;
use crate::failure::{CommandResult, Failure};

const LONG: &str = "\
Copy the files of /proc and /sys that a plan is made from into DIR, which must be empty or not
exist. `kdump plan --root DIR` then plans for this machine on any host. Run it as root: addresses
are hidden from others.";

const EXAMPLES: &str = "\
Examples:
  kdump collect machine/
  kdump plan --root machine/ --kernel vmlinuz";

pub(crate) fn command() -> Command {
    Command::new("collect")
        .about("Record this machine, to plan for it elsewhere")
        .long_about(LONG)
        .after_help(EXAMPLES)
        .arg(
            Arg::new("dir")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("Where to write"),
        )
        .arg(root_arg("Record the machine whose proc/ and sys/ are in DIR"))
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let root = matches.get_one::<PathBuf>("root").map_or(Path::new("/"), PathBuf::as_path);
    let dir = matches.get_one::<PathBuf>("dir").ok_or_else(|| Failure::usage("DIR is needed"))?;
    let recorded = Machine::record(root, dir)?;
    let bytes = recorded.copied.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(*size));
    let head = format!("{} files, {bytes} bytes in {}", recorded.copied.len(), dir.display());
    let unreadable = recorded.unreadable.iter().map(|(path, cause)| format!("not readable: {path}: {cause}"));
    let missing = recorded.missing.iter().map(|path| format!("not there: {path}"));
    let mut out = crate::terminal::out();
    let mut lines = core::iter::once(head).chain(unreadable).chain(missing);
    Ok(lines.try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush())?)
}
