//! The kernel's rules for a crash load, evaluated before the system call.
//!
//! The kernel frees the capture kernel that is armed before it looks at the new one, so a
//! refused load leaves a machine without crash dumps. Each rule says whether a load passes;
//! together they predict the errno and whether the armed image is lost.

mod candidate;
mod control_pages;
mod environment;
pub(crate) mod header;
pub(crate) mod plan_rules;
mod rules;

use alloc::string::String;
use alloc::vec::Vec;

pub use crate::target::x86::ControlPages;
pub use candidate::{Buffer, Candidate, CandidateSegment};
pub use control_pages::{Allocation, Obstacles, Shortage, control_pages, find_control_pages};
pub use environment::Environment;
pub use plan_rules::check_plan;
pub use rules::check;

use kdump_elf::Phdr;

use crate::plan::Plan;
use crate::{Errno, Machine, RangeSet};

/// What a rule says about a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The kernel will not object.
    Pass,
    /// The kernel will refuse the load, or the capture kernel will not work.
    Fail,
    /// The environment does not tell.
    Unknown,
}

impl Verdict {
    /// The name used in plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// Good news or bad news about one rule.
pub(crate) type Outcome = Result<String, String>;

/// A plan, and what its rules look at, made once.
pub(crate) struct Checked<'c> {
    pub(crate) plan: &'c Plan<'c>,
    pub(crate) machine: &'c Machine,
    /// All RAM of the machine.
    pub(crate) ram: RangeSet,
    /// What the capture kernel is told to use.
    pub(crate) capture_ram: RangeSet,
    /// What `mem=` on its command line leaves of that.
    pub(crate) within_limit: RangeSet,
    /// The program headers as they are read back; none when they cannot be.
    pub(crate) phdrs: Vec<Phdr>,
}

/// A rule of a target: its name and what it says.
pub(crate) type PlanRule = (&'static str, fn(&Checked<'_>) -> Outcome);

/// One rule and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// Its verdict.
    pub verdict: Verdict,
    /// The value found and the limit.
    pub detail: String,
}

/// All rules and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Every rule, in the order the kernel applies them.
    pub findings: Vec<Finding>,
    /// The errno of the system call; `None` when it will succeed.
    pub errno: Option<Errno>,
    /// Whether the capture kernel armed before is gone after the refusal.
    pub armed_image_lost: bool,
}

impl Report {
    /// The first rule that fails.
    #[must_use]
    pub fn failure(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.verdict == Verdict::Fail)
    }

    fn push(&mut self, rule: &'static str, verdict: Verdict, detail: String) {
        self.findings.push(Finding { rule, verdict, detail });
    }
}
