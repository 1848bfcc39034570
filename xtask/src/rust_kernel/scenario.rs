//! The ways to die, and how each is brought about.

use core::time::Duration;
use std::path::{Path, PathBuf};

use lab::guest::Guest;

use super::build::Build;
use super::guest::{self, Machine};
use super::stream::{self, Received};
use super::witness::{TASKS_PER_CPU, Witness};
use crate::error::Result;

/// Memory of the guest beside what grows with its CPUs.
const MEMORY_MIB: u64 = 32;

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
    pub(crate) commands: &'static [&'static str],
    /// More on the command line.
    options: &'static str,
    /// The CPU that dies first.
    pub(crate) cpu: usize,
    /// CPUs of the guest, if not as many as are asked for.
    cpus: Option<usize>,
    /// Whether CPUs number each other with 32 bits instead of 8.
    pub(crate) x2apic: bool,
    /// What is not as it should be.
    pub(crate) flaw: Flaw,
    /// What the note of the CPU that dies says.
    pub(crate) cause: Cause,
    /// Whether it belongs to the runs of every change.
    pub(crate) always: bool,
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

/// What a dump shows the lack of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// The task of the CPU that dies first.
    Task,
    /// The registers of CPU 1.
    Cpu1,
    /// The file on the disk.
    Disk,
    /// The report of the crash.
    Report,
}

/// The exception number of x86 and the beginning of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    pub(crate) exception: u64,
    pub(crate) text: &'static str,
}

const NMI: Cause = Cause { exception: 2, text: "NMI" };
const PANIC: Cause = Cause { exception: 6, text: "src/cause.rs:" };
const DOUBLE_FAULT: Cause = Cause { exception: 8, text: "double fault" };
const PAGE_FAULT: Cause = Cause { exception: 14, text: "page fault" };

/// A panic on CPU 0 that leads to a whole dump.
const DUMP: Scenario = Scenario {
    name: "panic",
    commands: &["panic"],
    options: "",
    cpu: 0,
    cpus: None,
    x2apic: false,
    flaw: Flaw::None,
    cause: PANIC,
    always: true,
    place: Place::Cause("explicit_panic"),
    outcome: Outcome::Dump,
};

/// A null pointer followed on CPU 0.
const NULL: Scenario = Scenario {
    name: "null",
    commands: &["null"],
    cause: PAGE_FAULT,
    place: Place::Cause("null_dereference"),
    ..DUMP
};

/// An elfcorehdr that may be rewritten is not part of the digest, so that the damage gets as far
/// as the second kernel.
const DAMAGED_HEADER: Scenario = Scenario {
    name: "damaged-elfcorehdr",
    commands: &["damage elfcorehdr", "panic"],
    options: " hotplug=1",
    outcome: Outcome::RawDump,
    ..DUMP
};

pub(crate) const SCENARIOS: &[Scenario] = &[
    // The one behind it shows the same and more.
    Scenario { always: false, ..NULL },
    // The second kernel then starts on a CPU that the firmware did not start.
    Scenario { name: "null-cpu1", commands: &["null 1"], cpu: 1, ..NULL },
    DUMP,
    Scenario { name: "nmi", commands: &["nmi"], cause: NMI, place: Place::Task, ..DUMP },
    Scenario {
        name: "double-fault",
        commands: &["double-fault"],
        cause: DOUBLE_FAULT,
        place: Place::Cause("overflow_stack"),
        ..DUMP
    },
    Scenario {
        name: "damaged-image",
        commands: &["damage image", "panic"],
        outcome: Outcome::Refused,
        ..DUMP
    },
    DAMAGED_HEADER,
    // Notes that would take more memory than the second kernel has.
    Scenario {
        name: "damaged-note-size",
        commands: &["damage note-size", "panic"],
        outcome: Outcome::Complaint,
        always: false,
        ..DAMAGED_HEADER
    },
    Scenario { name: "many-cpus", cpus: Some(12), ..DUMP },
    Scenario { name: "x2apic", cpus: Some(12), x2apic: true, ..DUMP },
    Scenario { name: "two-at-once", commands: &["hurt together", "null all"], ..NULL },
    Scenario { name: "console-faults", commands: &["hurt console", "null"], flaw: Flaw::Report, ..NULL },
    Scenario {
        name: "damaged-run-queue",
        commands: &["run-queue"],
        flaw: Flaw::Task,
        place: Place::Cause("damaged_run_queue"),
        ..NULL
    },
    Scenario { name: "second-nmi", commands: &["hurt nmi", "null"], flaw: Flaw::Report, ..NULL },
    Scenario { name: "nmi-in-save", commands: &["hurt nmi-in-save", "null"], always: false, ..NULL },
    Scenario { name: "deaf-cpu", commands: &["hurt deaf", "null"], flaw: Flaw::Cpu1, always: false, ..NULL },
    Scenario { name: "damaged-page-tables", commands: &["damage page-tables", "null"], ..NULL },
    Scenario { name: "no-disk", flaw: Flaw::Disk, ..DUMP },
    Scenario {
        name: "many-at-once",
        commands: &["hurt together", "null all"],
        cpus: Some(24),
        always: false,
        ..NULL
    },
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
        let cpus = self.cpus.unwrap_or(cpus);
        // Stacks and pages of the workload take half a megabyte per CPU.
        let memory_mib = MEMORY_MIB.saturating_add(cpus as u64);
        let machine = Machine { cpus, memory_mib, disk: self.flaw != Flaw::Disk, x2apic: self.x2apic };
        // The CPUs of the guest share those of the host.
        let patience = PATIENCE.saturating_mul(if cpus > 8 { 4 } else { 1 });
        let (mut guest, monitor) = guest::start(build, dir, machine, &format!("{CMDLINE}{}", self.options))?;
        guest.wait_for(&["armed"], patience)?;
        // The other CPU begins before the first one has armed anything.
        let filled = |guest: &Guest| guest.console().iter().filter(|line| line.contains(FILLED)).count();
        while filled(&guest) < cpus.saturating_mul(TASKS_PER_CPU) {
            guest.wait_for(&[FILLED], patience)?;
        }
        let witness = Witness::parse(guest.console(), cpus)?;
        for command in self.commands {
            match *command {
                "nmi" => guest::inject_nmi(&monitor)?,
                command => guest.type_line(command)?,
            }
        }
        if self.flaw != Flaw::Report {
            guest.wait_for(&["crash: "], patience)?;
        }
        if self.outcome == Outcome::Refused {
            guest.wait_for(&["purgatory: digest mismatch"], patience)?;
            guest.hear(&[], SILENCE)?;
            return Ok(Run { console: guest.console().to_vec(), witness, dumps: None });
        }
        guest.wait_for(&["capture: done"], patience)?;
        guest.wait_for_end(patience)?;
        let (disk, streamed) = (dir.join("vmcore-disk"), dir.join("vmcore-stream"));
        let line = dir.join("stream.bin");
        let received = stream::receive(&line, &streamed)?;
        // What a disk has that is not there.
        let from = if self.flaw == Flaw::Disk { &streamed } else { &dir.join("disk.img") };
        stream::copy_prefix(from, &disk, received.file_size)?;
        let dumps = Some(Dumps { disk, streamed, line, received });
        Ok(Run { console: guest.console().to_vec(), witness, dumps })
    }
}
