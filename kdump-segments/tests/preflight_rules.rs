//! Every rule there is has a load or a plan that breaks it: a rule without one fails the test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use std::collections::BTreeSet;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::cmdline::CommandLine;
use kdump_segments::plan::{BackupPolicy, KexecFlags, Plan, PlanInputs};
use kdump_segments::preflight::{
    Buffer, Candidate, CandidateSegment, Environment, Report, Verdict, check, check_plan,
};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::target::TargetPlan;
use kdump_segments::target::x86::X86Plan;
use kdump_segments::{Errno, Machine, MemoryKind};

use plan_support::{TestPurgatory, bzimage, options, synthetic};

const PAGE: u64 = 0x1000;
/// The crash region of [`synthetic`].
const REGION: (u64, u64) = (0x2000_0000, 0x3000_0000);

/// The rules that find something wrong, the first one first.
fn broken(report: &Report) -> Vec<&'static str> {
    let failing = report.findings.iter().filter(|finding| finding.verdict == Verdict::Fail);
    failing.map(|finding| finding.rule).collect()
}

/// A load with room for everything, in a kernel about which all is known.
fn good() -> (Candidate, Environment) {
    let segment = |index: u64| CandidateSegment {
        mem: REGION.0 + (1 + 2 * index) * PAGE,
        memsz: PAGE,
        bufsz: PAGE,
        buffer: Buffer::Readable,
    };
    let flags = KexecFlags::ON_CRASH.bits() | 62 << 16;
    let candidate =
        Candidate { entry: REGION.0 + PAGE, flags, segments: vec![segment(0), segment(1), segment(2)] };
    let environment = Environment::of_machine(&synthetic(2, 1))
        .unwrap()
        .total_ram(Some(1 << 30))
        .five_levels(Some(true))
        .gib_pages(Some(true))
        .update_elfcorehdr(Some(false))
        .hotplug_support(Some(false))
        .capable(Some(true))
        .load_disabled(Some(false))
        .load_limit(Some(-1))
        .locked_down(Some(false));
    (candidate, environment)
}

/// What is done to a load, the rule that must find it, and what the kernel would answer.
type Damage = (&'static str, Errno, fn(&mut Candidate, &mut Environment));

/// Before the image that is armed is freed.
const BEFORE: [Damage; 9] = [
    ("capability", Errno::EPERM, |_, kernel| kernel.capable = Some(false)),
    ("load_disabled", Errno::EPERM, |_, kernel| kernel.load_disabled = Some(true)),
    ("load_limit", Errno::EPERM, |_, kernel| kernel.load_limit = Some(0)),
    ("lockdown", Errno::EPERM, |_, kernel| kernel.locked_down = Some(true)),
    ("flags", Errno::EINVAL, |load, _| load.flags &= !KexecFlags::ON_CRASH.bits()),
    ("flags", Errno::EINVAL, |load, _| load.flags |= KexecFlags::CRASH_HOTPLUG_SUPPORT.bits()),
    ("flags", Errno::EINVAL, |load, _| load.flags |= 0x8000),
    ("segment_count", Errno::EINVAL, |load, _| {
        let next =
            |index: u64| CandidateSegment { mem: REGION.0 + (1 + 2 * index) * PAGE, ..load.segments[0] };
        load.segments = (0..17).map(next).collect();
    }),
    ("architecture", Errno::EINVAL, |load, _| load.flags ^= (62 ^ 183) << 16),
];

/// Behind it, so that a machine is left without one.
const AFTER: [Damage; 14] = [
    ("entry_in_crash_region", Errno::EADDRNOTAVAIL, |load, _| load.entry = REGION.0 - 1),
    ("entry_in_crash_region", Errno::EADDRNOTAVAIL, |load, _| load.entry = REGION.1),
    ("entry_in_crash_region", Errno::EADDRNOTAVAIL, |_, kernel| kernel.crash_region = None),
    ("no_wrap", Errno::EADDRNOTAVAIL, |load, _| load.segments[2].mem = PAGE.wrapping_neg()),
    ("page_aligned", Errno::EADDRNOTAVAIL, |load, _| load.segments[1].mem += 8),
    ("page_aligned", Errno::EADDRNOTAVAIL, |load, _| load.segments[1].memsz += 8),
    ("destination_limit", Errno::EADDRNOTAVAIL, |load, _| load.segments[2].mem = (1 << 52) - PAGE),
    ("destination_limit", Errno::EADDRNOTAVAIL, |load, kernel| {
        kernel.five_levels = Some(false);
        load.segments[2].mem = (1 << 46) - PAGE;
    }),
    ("no_overlap", Errno::EINVAL, |load, _| load.segments[2] = load.segments[0]),
    ("bufsz_within_memsz", Errno::EINVAL, |load, _| load.segments[0].bufsz += 1),
    ("half_of_ram", Errno::EINVAL, |_, kernel| kernel.total_ram = Some(6 * PAGE - 1)),
    ("segments_in_crash_region", Errno::EADDRNOTAVAIL, |load, _| load.segments[2].mem = REGION.1),
    ("control_pages", Errno::ENOMEM, |_, kernel| {
        kernel.crash_region = Some(PhysRange::from_len(REGION.0, 6 * PAGE).unwrap());
    }),
    ("buffers_readable", Errno::EFAULT, |load, _| load.segments[0].buffer = Buffer::Bad),
];

#[test]
fn every_rule_of_a_load_is_broken_by_one() {
    let (candidate, environment) = good();
    let report = check(&candidate, &environment).unwrap();
    let passes = |verdict: &Verdict| *verdict == Verdict::Pass;
    assert!(report.findings.iter().all(|finding| passes(&finding.verdict)), "{:#?}", report.findings);
    assert_eq!((report.errno, report.armed_image_lost), (None, false));
    let all: BTreeSet<&str> = report.findings.iter().map(|finding| finding.rule).collect();
    let mut tried = BTreeSet::new();
    for (index, (rule, errno, damage)) in BEFORE.into_iter().chain(AFTER).enumerate() {
        let (mut candidate, mut environment) = good();
        damage(&mut candidate, &mut environment);
        let report = check(&candidate, &environment).unwrap();
        assert_eq!(broken(&report).first(), Some(&rule), "{index}: {:#?}", report.findings);
        let lost = index >= BEFORE.len();
        assert_eq!((report.errno, report.armed_image_lost), (Some(errno), lost), "{index}: {rule}");
        tried.insert(rule);
    }
    assert_eq!(tried, all, "a rule without a load that breaks it");
}

fn segment<'p, 'a>(plan: &'p mut Plan<'a>, kind: SegmentKind) -> &'p mut Segment<'a> {
    plan.segments.iter_mut().find(|segment| segment.kind == kind).unwrap()
}

/// What is done to a plan or to the machine it is for, and the rule that must find it.
type Defect = (&'static str, fn(&mut Plan<'_>, &mut Machine));

const DEFECTS: [Defect; 35] = [
    ("elfcorehdr_decodes", |plan, _| segment(plan, SegmentKind::Elfcorehdr).data.to_mut()[0] = 0),
    ("elfcorehdr_notes", |_, machine| {
        machine.memory.remove(PhysRange::from_len(0x3800_0000, PAGE).unwrap());
    }),
    ("elfcorehdr_notes", |plan, machine| {
        let note = plan.elfcorehdr.phdrs()[0].p_offset;
        machine.crash_regions.insert(0, PhysRange::from_len(note, PAGE).unwrap());
    }),
    ("elfcorehdr_memory", |_, machine| {
        machine.memory.insert(PhysRange::from_len(0x1_0000_0000, PAGE).unwrap(), MemoryKind::Reserved);
    }),
    ("elfcorehdr_memory", |_, machine| {
        machine.crash_regions.insert(0, PhysRange::from_len(0x1_0000_0000, PAGE).unwrap());
    }),
    ("elfcorehdr_not_in_capture_ram", |plan, _| usable(plan, SegmentKind::Elfcorehdr)),
    ("elfcorehdr_not_in_capture_ram", |plan, _| usable(plan, SegmentKind::Backup)),
    ("e820_sorted", |plan, _| x86(plan).e820.reverse()),
    ("e820_sorted", |plan, _| {
        let map = &mut x86(plan).e820;
        map.insert(0, map[0]);
    }),
    ("segments_in_capture_ram", |plan, _| unusable(plan, SegmentKind::Kernel)),
    ("segments_in_capture_ram", |plan, _| unusable(plan, SegmentKind::Initrd)),
    ("segments_in_capture_ram", |plan, _| unusable(plan, SegmentKind::BootParams)),
    ("entry_in_purgatory", |plan, _| {
        plan.segments.retain(|segment| segment.kind != SegmentKind::Purgatory);
    }),
    ("entry_in_purgatory", |plan, _| plan.entry = segment(plan, SegmentKind::Initrd).mem()),
    ("entry_in_purgatory", |plan, _| {
        let purgatory = segment(plan, SegmentKind::Purgatory);
        plan.entry = purgatory.mem() + purgatory.bufsz() - 3;
    }),
    ("entry_in_purgatory", |plan, _| segment(plan, SegmentKind::Purgatory).data.to_mut().fill(0)),
    ("kernel_has_content", |plan, _| segment(plan, SegmentKind::Kernel).data = vec![0; 8].into()),
    ("kernel_has_content", |plan, _| segment(plan, SegmentKind::Kernel).data.to_mut().clear()),
    ("kernel_has_content", |plan, _| plan.segments.retain(|segment| segment.kind != SegmentKind::Kernel)),
    ("one_elf_segment", |plan, _| {
        segment(plan, SegmentKind::Initrd).data.to_mut()[..4].copy_from_slice(b"\x7fELF");
    }),
    ("command_line", |plan, _| plan.cmdline_limit = 10),
    // The region is that from 512 to 768 MiB, the kernel lies highest.
    ("memory_limit", |plan, _| plan.cmdline = CommandLine::new("mem=64K").unwrap()),
    ("memory_limit", |plan, _| plan.cmdline = CommandLine::new("mem=760M").unwrap()),
    ("memory_limit", |plan, _| {
        plan.arch = Arch::Arm64;
        plan.cmdline = CommandLine::new("mem=16M").unwrap();
    }),
    ("initrd_reachable", |plan, _| {
        let last = plan.segment(SegmentKind::Initrd).unwrap().range.last();
        x86(plan).initrd_limit = last - 1;
    }),
    ("boot_params", |plan, _| plan.segments.retain(|segment| segment.kind != SegmentKind::BootParams)),
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut().fill(0)),
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut().truncate(4095)),
    // Magic, cmd_line_ptr, its high half, the command line itself.
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut()[0x202] = 0),
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut()[0x228] ^= 1),
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut()[0x0c8] ^= 1),
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut()[0x1000] ^= 1),
    ("boot_params", |plan, _| segment(plan, SegmentKind::BootParams).data.to_mut()[0x21c] ^= 1),
    ("boot_params", |plan, _| plan.segments.retain(|segment| segment.kind != SegmentKind::Initrd)),
    ("region_not_claimed", |plan, machine| {
        let initrd = segment(plan, SegmentKind::Initrd).range;
        machine.crash_claimed =
            kdump_segments::RangeSet::from_ranges(PhysRange::from_len(initrd.last(), 1)).unwrap();
    }),
];

fn x86<'p>(plan: &'p mut Plan<'_>) -> &'p mut X86Plan {
    match &mut plan.target {
        TargetPlan::X86(plan) => plan,
        other => panic!("{other:?}"),
    }
}

/// What holds a segment becomes memory that the capture kernel uses.
fn usable(plan: &mut Plan<'_>, kind: SegmentKind) {
    let range = segment(plan, kind).range;
    x86(plan).e820.iter_mut().filter(|entry| entry.range.overlaps(range)).for_each(|entry| {
        entry.kind = MemoryKind::Ram;
    });
    let below = x86(plan).e820.iter_mut().filter(|entry| entry.range.end() <= range.start()).last();
    let entry = below.filter(|entry| entry.kind == MemoryKind::Ram).unwrap();
    entry.range = PhysRange::from_half_open(entry.range.start(), range.end()).unwrap();
}

/// What holds a segment is no memory to the capture kernel.
fn unusable(plan: &mut Plan<'_>, kind: SegmentKind) {
    let range = segment(plan, kind).range;
    let entry = x86(plan).e820.iter_mut().find(|entry| entry.range.overlaps(range)).unwrap();
    entry.kind = MemoryKind::Reserved;
}

#[test]
fn every_rule_of_a_plan_is_broken_by_one() {
    let (mut machine, kernel, initrd) = (synthetic(9, 2), bzimage(0x100_0000, 0x1000), [1; 100]);
    machine.kexec.elfcorehdr_size = Some(0x10000);
    let options = options(BackupPolicy::Always).hotplug(true);
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).initrd(Some(&initrd)).options(&options);
    let plan = Plan::new(&inputs).unwrap();
    let environment = Environment::of_machine(&machine).unwrap();
    let report = check_plan(&plan, &machine, &environment).unwrap();
    assert_eq!(broken(&report), [""; 0], "the plan is good");
    let of_loads: BTreeSet<&str> = check(&Candidate::of_plan(&plan).unwrap(), &environment)
        .unwrap()
        .findings
        .iter()
        .map(|finding| finding.rule)
        .collect();
    let all: BTreeSet<&str> = report.findings.iter().map(|finding| finding.rule).collect();
    let mut tried = BTreeSet::new();
    for (index, (rule, damage)) in DEFECTS.into_iter().enumerate() {
        let (mut plan, mut machine) = (plan.clone(), machine.clone());
        damage(&mut plan, &mut machine);
        let report = check_plan(&plan, &machine, &environment).unwrap();
        let found = broken(&report);
        assert!(found.contains(&rule), "{index}: {rule} says nothing: {:#?}", report.findings);
        assert!(found.iter().all(|found| !of_loads.contains(found)), "{index}: {found:?}");
        tried.insert(rule);
    }
    assert_eq!(tried, all.difference(&of_loads).copied().collect(), "a rule without a plan that breaks it");
}

/// What is no memory to the capture kernel for another reason is not said to be so by `mem=`.
#[test]
fn a_limit_that_is_not_there_takes_nothing() {
    let (machine, kernel, options) =
        (synthetic(9, 2), bzimage(0x100_0000, 0x1000), options(BackupPolicy::Always));
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).options(&options);
    let mut plan = Plan::new(&inputs).unwrap();
    unusable(&mut plan, SegmentKind::Kernel);
    let environment = Environment::of_machine(&machine).unwrap();
    let report = check_plan(&plan, &machine, &environment).unwrap();
    assert_eq!(broken(&report), ["segments_in_capture_ram"]);
}

/// What knows nothing says so; a stranger can make it and add what he knows.
#[test]
fn an_environment_begins_with_nothing_known() {
    let ram = kdump_segments::RangeSet::from(PhysRange::from_len(0, 1 << 30).unwrap());
    let environment = Environment::new(Arch::X86_64, PAGE, ram);
    let candidate = Candidate::new(0x1000, 1, vec![CandidateSegment::new(0x1000, PAGE, 16)]);
    let verdict = |environment: &Environment| check(&candidate, environment).unwrap().findings[0].verdict;
    assert_eq!(verdict(&environment), Verdict::Unknown);
    assert_eq!(verdict(&environment.clone().capable(Some(true))), Verdict::Pass);
    assert_eq!(verdict(&environment.capable(Some(false))), Verdict::Fail);
    assert_eq!(candidate.segments[0].buffer, Buffer::Readable);
}
