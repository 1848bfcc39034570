//! Any system call against any machine: the rules give a verdict, and one errno at most; what is
//! certain without knowing the kernel stays so however the kernel takes its control pages.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Arch, PhysRange};
use kdump_fuzz::fuzz_target;
use kdump_segments::preflight::{
    Buffer, Candidate, CandidateSegment, ControlPages, Environment, Report, Verdict, check,
};
use kdump_segments::{Machine, MemoryKind, MemoryMap};

type Paging = (Option<bool>, Option<bool>);

fuzz_target!(|input: (
    u64,
    u64,
    Vec<(u64, u64, u64, bool)>,
    u64,
    u64,
    Option<u64>,
    Vec<(u64, u64, bool)>,
    Paging
)| {
    let (entry, flags, segments, region_start, region_len, total_ram, memory, paging) = input;
    let mut map = MemoryMap::new();
    for (start, len, ram) in memory {
        let kind = if ram { MemoryKind::Ram } else { MemoryKind::Acpi };
        if let Ok(range) = PhysRange::from_len(start, len) {
            map.insert(range, kind);
        }
    }
    let mut machine = Machine::new(Arch::X86_64, 0x1000, map);
    machine.crash_regions.extend(PhysRange::from_len(region_start, region_len));
    (machine.five_levels, machine.gib_pages) = paging;
    let mut environment = Environment::of_machine(&machine).unwrap();
    environment.total_ram = total_ram;
    let segments = segments
        .into_iter()
        .map(|(mem, memsz, bufsz, readable)| {
            let buffer = if readable { Buffer::Readable } else { Buffer::Bad };
            CandidateSegment { mem, memsz, bufsz, buffer }
        })
        .collect();
    let candidate = Candidate { entry, flags, segments };
    let report = check(&candidate, &environment).unwrap();
    // A call that unloads is taken by the kernel and is no load all the same.
    let refused = report.errno.is_some() || candidate.segments.is_empty();
    assert_eq!(refused, report.failure().is_some());
    assert!(report.errno.is_some() || !report.armed_image_lost);
    let control_pages = |report: &Report| {
        let finding = report.findings.iter().find(|finding| finding.rule == "control_pages");
        finding.map(|finding| finding.verdict)
    };
    for (pair, whole_gib) in [(false, false), (false, true), (true, false), (true, true)] {
        environment.control_pages = ControlPages { pair: Some(pair), whole_gib: Some(whole_gib) };
        let known = check(&candidate, &environment).unwrap();
        if control_pages(&report) != Some(Verdict::Unknown) {
            assert_eq!(control_pages(&known), control_pages(&report));
        }
    }
});
