//! Any system call against any machine: the rules give a verdict, and one errno at most.
#![no_main]

use kdump_elf::{Arch, PhysRange};
use kdump_segments::preflight::{Buffer, Candidate, CandidateSegment, Environment, check};
use kdump_segments::{Machine, MemoryMap};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u64, Vec<(u64, u64, u64, bool)>, u64, u64, u64)| {
    let (entry, flags, segments, region_start, region_len, ram) = input;
    let mut machine = Machine::new(Arch::X86_64, 0x1000, MemoryMap::new());
    machine.crash_regions.extend(PhysRange::from_len(region_start, region_len));
    let mut environment = Environment::of_machine(&machine);
    environment.total_ram = Some(ram);
    let segments = segments
        .into_iter()
        .map(|(mem, memsz, bufsz, readable)| {
            let buffer = if readable { Buffer::Readable } else { Buffer::Bad };
            CandidateSegment { mem, memsz, bufsz, buffer }
        })
        .collect();
    let report = check(&Candidate { entry, flags, segments }, &environment);
    assert_eq!(report.errno.is_some(), report.failure().is_some());
    assert!(report.errno.is_some() || !report.armed_image_lost);
});
