//! What holds for one architecture is not said of another.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs};
use kdump_segments::preflight::{
    Buffer, Candidate, CandidateSegment, Environment, Verdict, check, check_plan, control_pages,
};

use plan_support::{TestPurgatory, bzimage, options, synthetic};

/// Behind all that page tables of x86_64 reach.
const HIGH: u64 = 1 << 55;
const PAGE: u64 = 0x1000;
/// Architectures that nothing is planned for.
const OTHERS: [Arch; 2] = [Arch::Arm, Arch::S390x];

/// A load of one page into a region that lies high.
fn high(arch: Arch) -> (Candidate, Environment) {
    let mut environment = Environment::of_machine(&synthetic(2, 1)).unwrap();
    environment.arch = arch;
    environment.crash_region = PhysRange::from_len(HIGH, 1 << 20).ok();
    let segment = CandidateSegment { mem: HIGH, memsz: PAGE, bufsz: PAGE, buffer: Buffer::Readable };
    let flags = 1 | u64::from(arch.e_machine()) << 16;
    (Candidate { entry: HIGH, flags, segments: vec![segment] }, environment)
}

fn verdicts(arch: Arch) -> Vec<(&'static str, Verdict)> {
    let (candidate, environment) = high(arch);
    let report = check(&candidate, &environment).unwrap();
    report.findings.into_iter().map(|finding| (finding.rule, finding.verdict)).collect()
}

#[test]
fn the_limits_of_x86_64_are_not_those_of_others() {
    assert!(verdicts(Arch::X86_64).contains(&("destination_limit", Verdict::Fail)));
    for arch in OTHERS {
        let found = verdicts(arch);
        for rule in ["destination_limit", "control_pages"] {
            assert!(found.contains(&(rule, Verdict::Unknown)), "{}: {found:?}", arch.name());
        }
        assert!(found.contains(&("segments_in_crash_region", Verdict::Pass)), "{}", arch.name());
        let failing = found.iter().find(|(_, verdict)| *verdict == Verdict::Fail);
        assert_eq!(failing, None, "{}", arch.name());
        assert!(control_pages(&high(arch).1).unwrap().is_empty(), "{}", arch.name());
    }
}

#[test]
fn what_is_not_planned_for_is_refused_by_name() {
    let (kernel, options) = (bzimage(0x100_0000, 0x1000), options(BackupPolicy::Always));
    for arch in OTHERS {
        let mut machine = synthetic(2, 1);
        machine.arch = arch;
        let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).options(&options);
        let error = Plan::new(&inputs).unwrap_err().to_string();
        assert!(error.contains(&format!("a load for {} is not supported", arch.name())), "{error}");
    }
}

/// A plan whose architecture was changed keeps no rules, and is not taken for a good one.
#[test]
fn a_plan_that_has_no_rules_fails() {
    let (machine, kernel, options) =
        (synthetic(2, 1), bzimage(0x100_0000, 0x1000), options(BackupPolicy::Always));
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).options(&options);
    let mut plan = Plan::new(&inputs).unwrap();
    plan.arch = Arch::Arm;
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    let last = report.findings.last().unwrap();
    assert_eq!((last.rule, last.verdict), ("plan_rules", Verdict::Fail), "{last:?}");
}

#[test]
fn a_plan_for_x86_tells_the_capture_kernel_its_memory() {
    let (machine, kernel, options) =
        (synthetic(2, 1), bzimage(0x100_0000, 0x1000), options(BackupPolicy::Always));
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).options(&options);
    let plan = Plan::new(&inputs).unwrap();
    let ram = plan.target.capture_ram().unwrap();
    assert!(!ram.is_empty() && plan.x86().is_some_and(|x86| x86.e820.len() >= ram.iter().count()));
    let kernel = plan.segment(kdump_segments::segment::SegmentKind::Kernel).unwrap();
    let header = plan.segment(kdump_segments::segment::SegmentKind::Elfcorehdr).unwrap();
    assert!(ram.contains_range(kernel.range) && !ram.overlaps(header.range));
}

/// Whatever is asked for: there is no low memory that its kernels boot through.
#[test]
fn low_memory_is_kept_where_no_real_mode_is() {
    use kdump_segments::target::{LowMemoryDecision, x86::decide_low_memory};
    use kdump_segments::{Machine, MemoryKind, MemoryMap};
    let mut map = MemoryMap::new();
    map.insert(PhysRange::from_half_open(0, 1 << 30).unwrap(), MemoryKind::Ram);
    for policy in [BackupPolicy::Always, BackupPolicy::Never, BackupPolicy::Auto] {
        let decided = |arch| {
            let mut notes = Vec::new();
            let decision = decide_low_memory(&Machine::new(arch, 0x1000, map.clone()), policy, &mut notes);
            (decision.unwrap(), notes.len())
        };
        assert_eq!(decided(Arch::Arm64), (LowMemoryDecision::Keep, 0));
        assert_ne!(decided(Arch::X86_64).0, LowMemoryDecision::Keep);
    }
}
