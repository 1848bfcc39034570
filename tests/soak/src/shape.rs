//! Finds out how the running kernel takes its control pages, which no file shows.

use std::io;

use kdump_segments::preflight::{ControlPages, Environment, check};

use crate::case::{Case, Segment, Source};
use crate::generate::{CRASH_X86_64, PAGE};
use crate::kernel::{ARENA, Kernel};

/// More free pages than any guest needs.
const STEPS: u64 = 64;

/// The way that explains what the kernel does with a region that is filled but for a few pages
/// at its start, once with the first page taken and once without.
pub(crate) fn find(kernel: &Kernel, environment: &Environment) -> io::Result<ControlPages> {
    let mut ways: Vec<ControlPages> = [(false, false), (false, true), (true, false), (true, true)]
        .map(|(pair, whole_gib)| ControlPages { pair: Some(pair), whole_gib: Some(whole_gib) })
        .to_vec();
    for free in 0..STEPS {
        for first_taken in [false, true] {
            let Some(case) = step(environment, free, first_taken) else { continue };
            let measured = kernel.try_case(&case)?.errno;
            let mut explain = Vec::new();
            for way in ways {
                let environment = environment.clone().control_pages(way);
                let report = check(&case.candidate(ARENA as u64), &environment);
                if report.map_err(io::Error::other)?.errno.map(|errno| errno.0) == measured {
                    explain.push(way);
                }
            }
            ways = explain;
        }
    }
    let way = ways.first().copied();
    way.ok_or_else(|| io::Error::other("this kernel takes its control pages in no way that is known"))
}

/// All of the region but `free` pages at its start, or behind its first page.
fn step(environment: &Environment, free: u64, first_taken: bool) -> Option<Case> {
    let region = environment.crash_region?;
    let first = if first_taken { PAGE } else { 0 };
    let hole = free.checked_mul(PAGE)?.checked_add(first)?;
    let segment = |mem, memsz| Segment { mem, memsz, bufsz: 0, source: Source::Good };
    let mut segments = vec![segment(region.start().checked_add(hole)?, region.size().checked_sub(hole)?)];
    if first_taken {
        segments.push(segment(region.start(), PAGE));
    }
    Some(Case { entry: region.start(), flags: CRASH_X86_64, segments })
}
