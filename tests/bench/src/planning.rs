//! Time and memory to lay out a load for a large machine, without hashing.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use core::hint::black_box;
use core::time::Duration;
use std::fs;
use std::time::Instant;

use kdump_elf::{Arch, PhysRange};
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::plan::{BackupPolicy, Layout, PlanInputs, PlanOptions};
use kdump_segments::{CpuNote, Machine, MemoryKind, MemoryMap};

const RANGES: u64 = 10_000;
const CPUS: u32 = 8_192;
const GOAL: Duration = Duration::from_millis(20);
const ROUNDS: u32 = 20;

/// Every failure is told to a person.
type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;

/// Prints the time for 10 000 RAM ranges and 8 192 CPUs, and how it grows from a fifth of that
/// to the fourfold, which is near the most an ELF core header can describe.
///
/// # Errors
/// The synthetic machine cannot be planned for.
pub(crate) fn run() -> Result<()> {
    let kernel = bzimage();
    let purgatory = ObjectPurgatory::builtin(Arch::X86_64)?;
    println!("planning without hashing, best of {ROUNDS}");
    println!("{:>10} {:>8} {:>12} {:>14} {:>12}", "RAM ranges", "CPUs", "time", "ns per phdr", "peak RSS");
    for (ranges, cpus) in [(RANGES / 5, CPUS / 5), (RANGES, CPUS), (RANGES * 4, CPUS * 2)] {
        let machine = machine(ranges, cpus)?;
        let best = best_time(&machine, &kernel, &purgatory)?;
        let phdrs = u128::from(ranges.saturating_add(u64::from(cpus)));
        let each = best.as_nanos().checked_div(phdrs).unwrap_or(0);
        println!("{ranges:>10} {cpus:>8} {:>12.3?} {each:>14} {:>12}", best, peak_rss());
        if ranges == RANGES {
            let ratio = best.as_secs_f64() / GOAL.as_secs_f64();
            println!("{:>10} {:>8} goal {GOAL:?}: {ratio:.2} of it", "", "");
        }
    }
    Ok(())
}

fn best_time(machine: &Machine, kernel: &[u8], purgatory: &ObjectPurgatory) -> Result<Duration> {
    let options = PlanOptions::default().backup(BackupPolicy::Always);
    let inputs = PlanInputs::new(machine, kernel, purgatory).options(&options);
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(Layout::new(black_box(&inputs))?);
        best = best.min(start.elapsed());
    }
    Ok(best)
}

/// RAM in ranges of 1 MiB with gaps, and a crash region of 256 MiB.
fn machine(ranges: u64, cpus: u32) -> Result<Machine> {
    let mut map = MemoryMap::new();
    map.insert(PhysRange::from_half_open(0x1000, 0x9_fc00)?, MemoryKind::Ram);
    map.insert(PhysRange::from_half_open(0x10_0000, 0x4000_0000)?, MemoryKind::Ram);
    for index in 0..ranges.saturating_sub(2) {
        let start = index.saturating_mul(0x20_0000).saturating_add(0x1_0000_0000);
        map.insert(PhysRange::from_len(start, 0x10_0000)?, MemoryKind::Ram);
    }
    let mut machine = Machine::new(Arch::X86_64, 0x1000, map);
    machine.crash_regions = vec![PhysRange::from_half_open(0x2000_0000, 0x3000_0000)?];
    let paddr = |cpu: u32| u64::from(cpu).saturating_mul(512).saturating_add(0x3800_0000);
    machine.cpu_notes = (0..cpus).map(|cpu| CpuNote { cpu, paddr: paddr(cpu), size: 368 }).collect();
    Ok(machine)
}

/// A bzImage of a few KiB: its size does not matter where nothing is hashed.
fn bzimage() -> Vec<u8> {
    let fields: [(usize, &[u8]); 12] = [
        (0x1f1, &[4]),
        (0x1fe, &[0x55, 0xaa]),
        (0x201, &[0x6a]),
        (0x202, b"HdrS"),
        (0x206, &[0x0f, 2]),
        (0x211, &[1]),
        (0x230, &[0, 0, 0x20, 0]),
        (0x234, &[1]),
        (0x236, &[0x7f, 0]),
        (0x238, &[0xff, 7, 0, 0]),
        (0x258, &[0, 0, 0, 1, 0, 0, 0, 0]),
        (0x260, &[0, 0, 0, 4]),
    ];
    let mut file = vec![0; 0x2000];
    for (offset, bytes) in fields {
        if let Some(place) = file.get_mut(offset..).and_then(|rest| rest.get_mut(..bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }
    file
}

/// The most memory this process ever had resident.
fn peak_rss() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
