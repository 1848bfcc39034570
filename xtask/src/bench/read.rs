//! `cargo xtask bench read`: the same places of the same dumps, read by this library, libkdumpfile
//! and drgn in the same run.

mod dumps;
mod places;
mod readers;
mod table;

use std::path::PathBuf;

use crate::apt::{self, Need};
use crate::args::Args;
use crate::error::{Result, usage};
use crate::progress::Clock;
use crate::repo;

use readers::Readers;
use table::Table;

pub(crate) const NEEDS: &[Need] = &[
    Need { what: "makedumpfile", package: "makedumpfile" },
    Need { what: "cc", package: "gcc" },
    Need { what: "/usr/include/libkdumpfile/kdumpfile.h", package: "libkdumpfile-dev" },
    Need { what: "python3", package: "python3" },
    // What a virtual environment of the distribution's Python needs.
    Need { what: "/usr/share/python-wheels", package: "python3-venv" },
];

const USAGE: &str = "bench read [--dump FILE | --mem SIZE] [--level N] [--rounds N] [--only FORMAT]";

/// `cargo xtask bench read`: prints a table of ours, the peer's and the goal. No figure is an
/// error; that two readers read different bytes is.
pub(crate) fn run(args: &[String]) -> Result {
    let mut args = Args::new(args);
    if args.flag("--help") {
        println!(
            "{USAGE}\n\n\
             FILE is an ELF core of an x86_64 guest; without it a guest with SIZE of memory (1G) crashes.\n\
             It is converted by makedumpfile at dump level N (0: all pages) into every format of\n\
             elf, zlib, lzo, snappy, zstd, or only into FORMAT. The best of N rounds (2) counts."
        );
        return Ok(());
    }
    let (dump, mem) = (args.value("--dump")?.map(PathBuf::from), args.value("--mem")?);
    let level = args.number("--level")?.unwrap_or(0);
    let rounds = args.number("--rounds")?.unwrap_or(2).max(1);
    let only = args.value("--only")?;
    args.finish()?;
    if dump.is_some() && mem.is_some() {
        return Err(usage("--dump and --mem exclude each other"));
    }
    apt::ensure(NEEDS)?;
    let clock = Clock::start();
    let dir = repo::scratch("bench-read")?;
    let dump = dumps::guest(dump, mem, clock)?;
    clock.say("building the readers");
    let readers = Readers::build(&dir)?;
    let dumps = dumps::convert(&dump, level, only.as_deref(), &readers, &dir, clock)?;
    clock.say("choosing the places that are read");
    let jobs = places::jobs(&dump, level, &dir)?;
    let mut table = Table::default();
    for made in &dumps {
        dumps::warm(&made.path)?;
        for job in &jobs {
            for round in 1..=rounds {
                clock.say(&format!("{}, {}, round {round} of {rounds}", made.name, job.name));
                for reader in readers.of(made, job) {
                    table.add(made, job, &reader, reader.run(made, job)?);
                }
            }
        }
    }
    if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        println!("\n{processors} processors, load average {load}");
    }
    table.print();
    table.compare()
}
