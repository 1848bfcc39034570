//! The ways to die, and how each is brought about.

use core::time::Duration;
use std::path::{Path, PathBuf};

use super::build::Build;
use super::guest::Guest;
use super::stream::{self, Received};
use super::witness::{TASKS_PER_CPU, Witness};
use crate::error::Result;

/// How long a stage of the guest may take: ten times what an idle machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a kernel that must not start is watched.
const SILENCE: Duration = Duration::from_secs(2);

/// Said by each task of the workload once its pages hold what they shall.
const FILLED: &str = "witness filled";

const CMDLINE: &str = "crashkernel=15M";

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Two complete dumps.
    Dump,
    /// The purgatory refuses to enter the second kernel.
    Refused,
    /// The second kernel refuses the elfcorehdr and dumps RAM without notes.
    RawDump,
    /// It complains, about the elfcorehdr or only about its notes, and dumps what it can.
    Complaint,
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Typed on the console, in this order; `nmi` is asked of QEMU instead.
    commands: &'static [&'static str],
    /// More on the command line.
    options: &'static str,
    /// The CPU that dies first.
    pub(crate) cpu: usize,
    /// What it must have been doing.
    pub(crate) place: Place,
    pub(crate) outcome: Outcome,
}

/// Where a backtrace must lead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Through this function of `cause.rs`, at the line marked with the scenario's name.
    Cause(&'static str),
    /// Anywhere in a task.
    Task,
}

const fn dump(name: &'static str, command: &'static [&'static str; 1], cpu: usize, place: Place) -> Scenario {
    Scenario { name, commands: command, options: "", cpu, place, outcome: Outcome::Dump }
}

/// An elfcorehdr that may be rewritten is not part of the digest, so that the damage gets as far
/// as the second kernel.
const fn damaged_header(
    name: &'static str,
    commands: &'static [&'static str; 2],
    outcome: Outcome,
) -> Scenario {
    let place = Place::Cause("explicit_panic");
    Scenario { name, commands, options: " hotplug=1", cpu: 0, place, outcome }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    dump("null", &["null"], 0, Place::Cause("null_dereference")),
    // The second kernel then starts on a CPU that the firmware did not start.
    dump("null-cpu1", &["null 1"], 1, Place::Cause("null_dereference")),
    dump("panic", &["panic"], 0, Place::Cause("explicit_panic")),
    dump("nmi", &["nmi"], 0, Place::Task),
    dump("double-fault", &["double-fault"], 0, Place::Cause("overflow_stack")),
    Scenario {
        name: "damaged-image",
        commands: &["damage image", "panic"],
        options: "",
        cpu: 0,
        place: Place::Cause("explicit_panic"),
        outcome: Outcome::Refused,
    },
    damaged_header("damaged-elfcorehdr", &["damage elfcorehdr", "panic"], Outcome::RawDump),
    // Notes that would take more memory than the second kernel has.
    damaged_header("damaged-note-size", &["damage note-size", "panic"], Outcome::Complaint),
];

/// What came of a crash.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) console: Vec<String>,
    pub(crate) witness: Witness,
    /// The ELF file from the disk and from the stream; none when there must not be any.
    pub(crate) dumps: Option<Dumps>,
}

#[derive(Debug)]
pub(crate) struct Dumps {
    pub(crate) disk: PathBuf,
    pub(crate) streamed: PathBuf,
    /// The stream as it came over the line.
    pub(crate) line: PathBuf,
    pub(crate) received: Received,
}

impl Scenario {
    /// What the line that is to blame is marked with.
    pub(crate) fn marker(&self) -> &'static str {
        self.commands.last().and_then(|command| command.split(' ').next()).unwrap_or_default()
    }

    pub(crate) fn run(&self, build: &Build, cpus: usize, dir: &Path) -> Result<Run> {
        let mut guest = Guest::start(build, dir, cpus, &format!("{CMDLINE}{}", self.options))?;
        guest.wait_for("armed", PATIENCE)?;
        // The other CPU begins before the first one has armed anything.
        let filled = |guest: &Guest| guest.console().iter().filter(|line| line.contains(FILLED)).count();
        while filled(&guest) < cpus.saturating_mul(TASKS_PER_CPU) {
            guest.wait_for(FILLED, PATIENCE)?;
        }
        let witness = Witness::parse(guest.console(), cpus)?;
        for command in self.commands {
            match *command {
                "nmi" => guest.inject_nmi()?,
                command => guest.type_line(command)?,
            }
        }
        guest.wait_for("crash: ", PATIENCE)?;
        if self.outcome == Outcome::Refused {
            guest.wait_for("purgatory: digest mismatch", PATIENCE)?;
            guest.wait_for_end(SILENCE)?;
            return Ok(Run { console: guest.console().to_vec(), witness, dumps: None });
        }
        guest.wait_for("capture: done", PATIENCE)?;
        guest.wait_for_end(PATIENCE)?;
        let (disk, streamed) = (dir.join("vmcore-disk"), dir.join("vmcore-stream"));
        let line = dir.join("stream.bin");
        let received = stream::receive(&line, &streamed)?;
        stream::copy_prefix(&dir.join("disk.img"), &disk, received.file_size)?;
        let dumps = Some(Dumps { disk, streamed, line, received });
        Ok(Run { console: guest.console().to_vec(), witness, dumps })
    }
}
