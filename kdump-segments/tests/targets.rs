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
    Buffer, Candidate, CandidateSegment, Environment, Verdict, check, control_pages,
};

use plan_support::{TestPurgatory, bzimage, options, synthetic};

/// Behind all that page tables of x86_64 reach.
const HIGH: u64 = 1 << 55;
const PAGE: u64 = 0x1000;
/// Architectures that nothing is planned for.
const OTHERS: [Arch; 4] = [Arch::Arm, Arch::Riscv64, Arch::S390x, Arch::LoongArch64];

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
