//! A load that would fail is refused before the system call; broken plans are noticed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::PhysRange;
use kdump_segments::load::{SyscallKind, explain, files_may_do, load};
use kdump_segments::plan::{BackupPolicy, KexecFlags, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{
    Buffer, Candidate, CandidateSegment, Environment, Report, Verdict, check, check_plan,
};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::target::TargetPlan;
use kdump_segments::target::x86::X86Plan;
use kdump_segments::{Errno, Error, Machine, MemoryKind};

use plan_support::{TestPurgatory, bzimage, options, synthetic};

/// Breaks a good plan and checks it.
fn broken(options: &PlanOptions, damage: impl FnOnce(&mut Plan<'_>, &mut Machine)) -> Report {
    let (mut machine, kernel, initrd) = (synthetic(9, 2), bzimage(0x100_0000, 0x1000), [1; 100]);
    machine.kexec.elfcorehdr_size = Some(0x10000);
    let original = machine.clone();
    let inputs = PlanInputs::new(&original, &kernel, &TestPurgatory).initrd(Some(&initrd)).options(options);
    let mut plan = Plan::new(&inputs).unwrap();
    let before = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    assert_eq!(before.failure(), None, "the plan was good");
    damage(&mut plan, &mut machine);
    check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap()
}

fn failing(report: &Report) -> Option<&'static str> {
    report.failure().map(|finding| finding.rule)
}

fn segment<'p, 'a>(plan: &'p mut Plan<'a>, kind: SegmentKind) -> &'p mut Segment<'a> {
    plan.segments.iter_mut().find(|segment| segment.kind == kind).unwrap()
}

fn x86<'p>(plan: &'p mut Plan<'_>) -> &'p mut X86Plan {
    match &mut plan.target {
        TargetPlan::X86(x86) => x86,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_defect_is_found_by_its_rule() {
    type Damage = fn(&mut Plan<'_>, &mut Machine);
    let cases: [(&str, Damage); 11] = [
        ("entry_in_crash_region", |plan, _| plan.entry = 0x1000),
        ("segments_in_crash_region", |plan, _| {
            segment(plan, SegmentKind::Kernel).range = PhysRange::from_len(0x100_0000, 0x100_0000).unwrap();
        }),
        ("no_overlap", |plan, _| {
            let kernel = segment(plan, SegmentKind::Kernel).range;
            segment(plan, SegmentKind::Initrd).range = PhysRange::from_len(kernel.start(), 0x1000).unwrap();
        }),
        ("bufsz_within_memsz", |plan, _| {
            segment(plan, SegmentKind::Initrd).data = vec![0; 0x1001].into();
        }),
        ("elfcorehdr_decodes", |plan, _| segment(plan, SegmentKind::Elfcorehdr).data.to_mut()[0] = 0),
        ("elfcorehdr_decodes", |plan, _| segment(plan, SegmentKind::Elfcorehdr).data.to_mut()[0x60] ^= 1),
        ("elfcorehdr_notes", |_, machine| {
            machine.memory.remove(PhysRange::from_len(0x3800_0000, 0x1000).unwrap());
        }),
        ("elfcorehdr_memory", |_, machine| {
            machine.memory.insert(PhysRange::from_len(0x1_0000_0000, 0x1000).unwrap(), MemoryKind::Reserved);
        }),
        ("elfcorehdr_not_in_capture_ram", |plan, _| {
            let range = segment(plan, SegmentKind::Elfcorehdr).range;
            let ram = x86(plan).e820.iter_mut().find(|entry| entry.range.end() == range.start()).unwrap();
            ram.range = PhysRange::from_half_open(ram.range.start(), range.end()).unwrap();
        }),
        ("command_line", |plan, _| plan.cmdline_limit = 10),
        ("initrd_reachable", |plan, _| x86(plan).initrd_limit = 0x100_0000),
    ];
    for (rule, damage) in cases {
        let report = broken(&options(BackupPolicy::Always), damage);
        assert_eq!(failing(&report), Some(rule), "{:#?}", report.findings);
    }
}

/// The kernel would take the last segment with the ELF magic for the header it may rewrite.
#[test]
fn a_second_elf_segment_is_harmful_with_hotplug_only() {
    let elf = |plan: &mut Plan<'_>, _: &mut Machine| {
        segment(plan, SegmentKind::Initrd).data.to_mut()[..4].copy_from_slice(b"\x7fELF");
    };
    assert_eq!(failing(&broken(&options(BackupPolicy::Always), elf)), None);
    let hotplug = options(BackupPolicy::Always).hotplug(true);
    assert_eq!(failing(&broken(&hotplug, elf)), Some("one_elf_segment"));
}

#[test]
fn hotplug_on_a_kernel_without_it_is_predicted_to_keep_the_armed_image() {
    let report = broken(&options(BackupPolicy::Always), |plan, machine| {
        plan.flags |= KexecFlags::UPDATE_ELFCOREHDR;
        machine.kexec.elfcorehdr_size = None;
    });
    assert_eq!((failing(&report), report.errno), (Some("flags"), Some(Errno::EINVAL)));
    assert!(!report.armed_image_lost);
}

#[test]
fn a_failing_plan_is_not_given_to_the_kernel() {
    let (machine, kernel, options) =
        (synthetic(2, 1), bzimage(0x100_0000, 0x1000), options(BackupPolicy::Always));
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).options(&options);
    let plan = Plan::new(&inputs).unwrap();
    let environment = Environment::of_machine(&machine).unwrap().load_disabled(Some(true));
    let error = load(&plan, &check_plan(&plan, &machine, &environment).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Preflight { rule: "load_disabled", .. }), "{error}");
    assert!(!files_may_do(&error), "the other call would be refused too");
}

#[test]
fn every_errno_of_the_calls_has_a_cause_and_advice() {
    for kind in [SyscallKind::Load, SyscallKind::FileLoad, SyscallKind::Unload] {
        for errno in [1, 8, 12, 13, 14, 16, 22, 26, 38, 61, 74, 95, 99, 126, 129] {
            let errno = Errno(errno);
            assert_ne!(errno.name(), "errno", "{}", errno.0);
            let (cause, advice) = explain(kind, errno);
            assert!(cause.len() > 10 && advice.len() > 10, "{errno}");
            assert_ne!(cause, explain(kind, Errno(9999)).0, "{errno}");
        }
    }
    let syscall = |errno: Errno| Error::Syscall {
        call: "kexec_load",
        errno: errno.0,
        name: errno.name(),
        cause: "",
        advice: String::new(),
    };
    assert!(files_may_do(&syscall(Errno::ENOSYS)));
    assert!(!files_may_do(&syscall(Errno::ENOMEM)), "the region is too small for both");
    let locked = Error::Preflight { rule: "lockdown", detail: String::new() };
    assert!(files_may_do(&locked), "a signed kernel may still be loaded");
}

/// Where program headers begin in the header's bytes, and how long each is (`elf(5)`).
const PHDRS: (usize, usize) = (64, 56);

fn of_type(bytes: &[u8], p_type: u32) -> Vec<usize> {
    let places = (PHDRS.0..bytes.len()).step_by(PHDRS.1);
    places.filter(|&at| bytes.get(at..at + 4) == Some(&p_type.to_le_bytes()[..])).collect()
}

/// Rules that look at the bytes as they will stand in memory, whatever the plan says of them.
#[test]
fn each_defect_of_the_header_in_memory_is_found_by_its_rule() {
    type Damage = fn(&mut Vec<u8>);
    let cases: [(&str, Damage); 6] = [
        ("elfcorehdr_decodes", |bytes| bytes[18] ^= 1),
        ("elfcorehdr_notes", |bytes| of_type(bytes, 4).into_iter().for_each(|at| bytes[at] = 0)),
        ("elfcorehdr_memory", |bytes| of_type(bytes, 1).into_iter().for_each(|at| bytes[at] = 0)),
        ("elfcorehdr_memory", |bytes| {
            let last = *of_type(bytes, 1).last().unwrap();
            bytes[last + 9] ^= 0x10;
        }),
        ("elfcorehdr_memory", |bytes| {
            let last = *of_type(bytes, 1).last().unwrap();
            bytes.copy_within(last - PHDRS.1..last, last);
        }),
        ("elfcorehdr_notes", |bytes| {
            let first = of_type(bytes, 4)[0];
            bytes[first + 8..first + 16].copy_from_slice(&0x2000_0000_u64.to_le_bytes());
        }),
    ];
    for (index, (rule, damage)) in cases.into_iter().enumerate() {
        let report = broken(&options(BackupPolicy::Always), |plan, _| {
            damage(segment(plan, SegmentKind::Elfcorehdr).data.to_mut());
        });
        let found = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        assert_eq!(found.verdict, Verdict::Fail, "{index}: {found:?}");
    }
}

#[test]
fn memory_of_the_capture_kernel_holds_no_notes_and_the_copy_holds_all_that_is_saved() {
    let report = broken(&options(BackupPolicy::Always), |plan, machine| {
        let note = plan.elfcorehdr.phdrs()[0].p_offset;
        machine.cma_ranges = kdump_segments::RangeSet::from_ranges(PhysRange::from_len(note, 1)).unwrap();
    });
    assert_eq!(failing(&report), Some("elfcorehdr_notes"));
    let report = broken(&options(BackupPolicy::Always), |plan, _| {
        let backup = segment(plan, SegmentKind::Backup);
        backup.range = PhysRange::from_len(backup.range.start(), 0x1000).unwrap();
    });
    assert_eq!(failing(&report), Some("region_not_claimed"));
}

/// What the kernel refuses for its number alone is not asked for its control pages.
#[test]
fn more_segments_than_the_kernel_takes() {
    let mut environment = Environment::of_machine(&synthetic(9, 2)).unwrap();
    environment.capable = Some(true);
    let judged = |count: u64| {
        let segment = |index: u64| CandidateSegment {
            mem: 0x2000_0000 + index * 0x1000,
            memsz: 0x1000,
            bufsz: 0x1000,
            buffer: Buffer::Readable,
        };
        let flags = KexecFlags::ON_CRASH.bits() | 62 << 16;
        let candidate = Candidate { entry: 0x2000_0000, flags, segments: (0..count).map(segment).collect() };
        let report = check(&candidate, &environment).unwrap();
        let verdict = |rule| report.findings.iter().find(|finding| finding.rule == rule).unwrap().verdict;
        [verdict("segment_count"), verdict("control_pages")]
    };
    assert_eq!(judged(16), [Verdict::Pass, Verdict::Pass]);
    assert_eq!(judged(17), [Verdict::Fail, Verdict::Unknown]);
}

/// A call without segments unloads: the kernel takes it, but it is no load that is fine.
#[test]
fn an_unload_is_not_judged_as_a_load() {
    let environment = Environment::of_machine(&synthetic(2, 1)).unwrap();
    let report = check(&Candidate { entry: 0, flags: 1, segments: Vec::new() }, &environment).unwrap();
    assert_eq!((report.errno, report.armed_image_lost), (None, false));
    let failed: Vec<_> = report.findings.iter().filter(|found| found.verdict == Verdict::Fail).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].rule, "segments_given");
    assert!(failed[0].detail.contains("unloads"), "{}", failed[0].detail);
}

/// What would be entered but cannot run is not planned for.
#[test]
fn what_cannot_dump_is_refused_by_the_planner() {
    let options = options(BackupPolicy::Auto);
    let refused = |kernel: &[u8], change: fn(&mut Machine)| {
        let mut machine = synthetic(2, 1);
        change(&mut machine);
        let (kernel, initrd, options, purgatory) = (kernel, None, &options, &TestPurgatory);
        let inputs = PlanInputs::new(&machine, kernel, purgatory).initrd(initrd).options(options);
        Plan::new(&inputs).map(|_| ()).map_err(|error| error.to_string())
    };
    let mut kernel = bzimage(0x100_0000, 0x1000);
    refused(&kernel, |_| {}).unwrap();
    let error = refused(&kernel, |machine| {
        machine.cpu_notes.clear();
        machine.vmcoreinfo = None;
    });
    assert!(error.unwrap_err().contains("no PT_NOTE"));
    kernel[0x236] &= !0x20;
    let four = |machine: &mut Machine| machine.five_levels = Some(false);
    refused(&kernel, four).unwrap();
    let error = refused(&kernel, |machine| machine.five_levels = Some(true)).unwrap_err();
    assert!(error.contains("XLF_5LEVEL"), "{error}");
}
