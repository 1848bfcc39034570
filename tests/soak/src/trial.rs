//! Calls, predictions, and what differs.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use kdump_segments::Machine;
use kdump_segments::load::probe_environment;
use kdump_segments::preflight::{
    Allocation, Candidate, ControlPages, Environment, Obstacles, Report, Verdict, check, control_pages,
    find_control_pages,
};

use crate::case::Case;
use crate::generate::{self, Field};
use crate::kernel::{self, ARENA, Kernel, Outcome};
use crate::random::Random;
use crate::report;
use crate::shape;

/// How often the guest says that it is still at work.
const PROGRESS: u64 = 1000;
/// Calls that differ and are shown; the rest is only counted.
const SHOWN: u64 = 100;
/// Calls of each rule, and at each edge, that are shown, to be kept as test data.
const SAMPLES: u64 = 2;
const EDGE_SAMPLES: u64 = 5;
/// Calls tried in each state that forbids all.
const FORBIDDEN: u64 = 20;
const LOAD_LIMIT: &str = "/proc/sys/kernel/kexec_load_limit_panic";

struct Trial {
    kernel: Kernel,
    machine: Machine,
    /// As probed, and with the way this kernel takes its control pages.
    environment: Environment,
    control_pages: ControlPages,
    field: Field,
    tally: BTreeMap<String, u64>,
}

pub(crate) fn soak(candidates: u64, seed: u64) -> io::Result<()> {
    let mut trial = Trial::begin()?;
    let mut random = Random::new(seed);
    for done in 0..candidates {
        if done % PROGRESS == 0 {
            println!("soak: tried {done}");
        }
        trial.compare(&generate::draw(&mut random, &trial.field))?;
    }
    trial.forbid(&mut random)?;
    trial.end()
}

/// Tries the calls of a file, one a line; `#` begins a comment.
pub(crate) fn replay(path: &str) -> io::Result<()> {
    let mut trial = Trial::begin()?;
    let text = fs::read_to_string(path)?;
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let case: Case = line.parse().map_err(io::Error::other)?;
        let outcome = trial.compare(&case)?;
        println!("soak: replayed {case} -> {}", report::outcome(outcome));
    }
    trial.end()
}

impl Trial {
    fn begin() -> io::Result<Self> {
        let machine = Machine::collect(Path::new("/")).map_err(io::Error::other)?;
        let environment = probe_environment(&machine, Path::new("/")).map_err(io::Error::other)?;
        let region =
            environment.crash_region.ok_or_else(|| io::Error::other("no crash region is reserved"))?;
        let total_ram = environment.total_ram.ok_or_else(|| io::Error::other("no MemTotal"))?;
        let field = Field { region, regions: machine.crash_regions.clone(), total_ram };
        let kernel = Kernel::open()?;
        let control_pages = shape::find(&kernel, &environment)?;
        let tally = BTreeMap::new();
        let trial = Self { kernel, machine, environment, control_pages, field, tally };
        println!("soak: {}", report::environment(&trial.known()));
        Ok(trial)
    }

    fn known(&self) -> Environment {
        self.environment.clone().control_pages(self.control_pages)
    }

    /// One call, from an armed machine.
    fn compare(&mut self, case: &Case) -> io::Result<Outcome> {
        self.arm()?;
        let candidate = case.candidate(ARENA as u64);
        let known = check(&candidate, &self.known()).map_err(io::Error::other)?;
        let probed = check(&candidate, &self.environment).map_err(io::Error::other)?;
        let measured = self.kernel.try_case(case)?;
        if expected(&known, case) != measured {
            self.differs(case, measured, &known);
        } else if is_open(&probed) {
            // It says that it does not know, so it is not wrong.
            self.count("control_pages not known without measuring");
        } else if expected(&probed, case) != measured {
            self.differs(case, measured, &probed);
        }
        let edge = self.edge(&candidate).is_some_and(|what| self.count(what) < EDGE_SAMPLES);
        let rule = known.failure().map_or("accepted", |finding| finding.rule);
        if self.count(&format!("rule {rule}")) < SAMPLES || edge {
            println!("soak: sample {case} -> {} {rule}", report::outcome(measured));
        }
        for finding in &known.findings {
            if finding.verdict == Verdict::Unknown {
                self.count(&format!("open {}", finding.rule));
            }
        }
        Ok(measured)
    }

    /// Whether the control pages take the last free page, or lack one.
    fn edge(&self, candidate: &Candidate) -> Option<&'static str> {
        let environment = self.known();
        let region = environment.crash_region?;
        let segments = candidate.segments.iter().map(|segment| (segment.mem, segment.memsz));
        let segments = Obstacles::new(segments).ok()?;
        let fit = |list: &[Allocation]| find_control_pages(region, environment.page_size, &segments, list);
        let mut list = control_pages(&environment).ok()?.into_iter().next()?;
        if let Err(shortage) = fit(&list) {
            let one = shortage.found.saturating_add(1) == shortage.needed;
            return one.then_some("edge: one control page too few");
        }
        list.push(Allocation { order: 0, count: 1 });
        fit(&list).is_err().then_some("edge: not one control page to spare")
    }

    fn differs(&mut self, case: &Case, measured: Outcome, report: &Report) {
        if self.count("differs") < SHOWN {
            let why = report
                .failure()
                .map_or_else(String::new, |found| format!("{}: {}", found.rule, found.detail));
            let (measured, expected) = (report::outcome(measured), report::outcome(expected(report, case)));
            println!("soak: differs {case} -> {measured}, predicted {expected} {why}");
        }
    }

    /// Loads the known good image unless something is loaded.
    fn arm(&self) -> io::Result<()> {
        if kernel::loaded()? {
            return Ok(());
        }
        let armed = self.kernel.try_case(&generate::known_good(self.field.region))?;
        if armed.loaded {
            return Ok(());
        }
        Err(io::Error::other(format!("the machine cannot be armed: {armed:?}")))
    }

    /// Counts and says how often before.
    fn count(&mut self, what: &str) -> u64 {
        let entry = self.tally.entry(what.to_owned()).or_default();
        let before = *entry;
        *entry = before.saturating_add(1);
        before
    }

    /// States in which no load is allowed; those that cannot be left again come last.
    fn forbid(&mut self, random: &mut Random) -> io::Result<()> {
        self.arm()?;
        std::thread::scope(|scope| {
            let nobody = scope.spawn(|| {
                kernel::become_nobody()?;
                self.environment.capable = Some(false);
                self.some(random)
            });
            nobody.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })?;
        for (path, value) in [
            ("/sys/kernel/security/lockdown", "integrity"),
            (LOAD_LIMIT, "0"),
            ("/proc/sys/kernel/kexec_load_disabled", "1"),
        ] {
            if !fs::exists(path)? {
                self.count(&format!("without {path}"));
            } else {
                fs::write(path, value)?;
                let environment = probe_environment(&self.machine, Path::new("/"));
                self.environment = environment.map_err(io::Error::other)?;
                self.some(random)?;
            }
        }
        Ok(())
    }

    fn some(&mut self, random: &mut Random) -> io::Result<()> {
        println!("soak: {}", report::environment(&self.known()));
        for _ in 0..FORBIDDEN {
            self.compare(&generate::draw(random, &self.field))?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let candidate = generate::known_good(self.field.region).candidate(0);
        for finding in check(&candidate, &self.known()).map_err(io::Error::other)?.findings {
            // What this kernel does not have cannot refuse anything.
            let absent = finding.rule == "load_limit" && !fs::exists(LOAD_LIMIT).unwrap_or(true);
            if !absent {
                self.tally.entry(format!("rule {}", finding.rule)).or_default();
            }
        }
        for (what, count) in &self.tally {
            println!("soak: tally {count} {what}");
        }
        println!("soak: done");
        Ok(())
    }
}

/// What a report predicts for an armed machine.
fn expected(report: &Report, case: &Case) -> Outcome {
    let unloads = report.errno.is_none() && case.segments.is_empty();
    Outcome { errno: report.errno.map(|errno| errno.0), loaded: !report.armed_image_lost && !unloads }
}

/// Whether it depends on the control pages alone, and those are not known.
fn is_open(report: &Report) -> bool {
    let at = |rule: &str| report.findings.iter().position(|finding| finding.rule == rule);
    let first = report.findings.iter().position(|finding| finding.verdict == Verdict::Fail);
    let control_pages = at("control_pages");
    let open = |at: usize| report.findings.get(at).is_some_and(|finding| finding.verdict == Verdict::Unknown);
    control_pages.is_some_and(|at| open(at) && first.is_none_or(|first| first > at))
}
