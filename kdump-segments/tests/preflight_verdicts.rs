//! Every verdict the kernels gave in tests/machines/kernel-verdicts.txt, predicted.
//!
//! The file is parsed, each row is turned into the call it describes, and the predicted
//! errno and fate of the armed image are compared with what was measured.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use std::fs;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::RangeSet;
use kdump_segments::preflight::{Buffer, Candidate, CandidateSegment, ControlPages, Environment, check};

const PAGE: u64 = 0x1000;
const CRASH_X86_64: u64 = 1 | 62 << 16;

/// One guest: its environment and the measured rows.
struct Guest {
    environment: Environment,
    low_region: Option<u64>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    case: String,
    errno: Option<i32>,
    lost: bool,
}

#[test]
fn every_measured_verdict_is_predicted() {
    let path = plan_support::recorded("kernel-verdicts.txt");
    let text = fs::read_to_string(path).unwrap();
    let guests: Vec<Guest> = text.split("\n== ").skip(1).map(guest).collect();
    assert_eq!(guests.len(), 4, "guests in the file");
    let rows: usize = guests.iter().map(|guest| guest.rows.len()).sum();
    let listed = text.lines().filter(|line| line.contains("->1") || line.contains("->0")).count();
    // The explanation of the columns mentions "1->0" once.
    assert_eq!(rows, listed - 1, "rows in the file");
    let mut wrong = Vec::new();
    for guest in &guests {
        for row in &guest.rows {
            let (candidate, environment) = call(row, guest);
            let report = check(&candidate, &environment).unwrap();
            let predicted = (report.errno.map(|errno| errno.0), report.armed_image_lost);
            if predicted != (row.errno, row.lost) {
                wrong.push(format!("{row:?}: predicted {predicted:?}\n{:#?}", report.findings));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {rows} rows are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the soak tries at random (`cargo xtask preflight-soak`), at the byte where it changes.
#[test]
fn the_ends_of_what_is_accepted() {
    let text = fs::read_to_string(plan_support::recorded("kernel-verdicts.txt")).unwrap();
    let guest = guest(text.split("\n== ").nth(1).unwrap());
    let region = guest.environment.crash_region.unwrap();
    let (start, end) = (region.start(), region.end());
    let base = one(start + PAGE, 4 * PAGE);
    let first = |flags, five_levels, segment| {
        let candidate = Candidate { entry: start, flags, segments: vec![base, segment] };
        let environment = guest.environment.clone().five_levels(Some(five_levels));
        let report = check(&candidate, &environment).unwrap();
        let failure = report.failure().map(|finding| (finding.rule, report.errno.unwrap().name()));
        assert_eq!(report.armed_image_lost, failure.is_some());
        failure
    };
    let empty = |mem| first(CRASH_X86_64, true, one(mem, 0));
    // A segment without length: inside another, at both ends of it, behind the region.
    let overlap = Some(("no_overlap", "EINVAL"));
    assert_eq!((empty(base.mem + PAGE), empty(base.mem + 3 * PAGE)), (overlap, overlap));
    assert_eq!((empty(base.mem), empty(base.mem + base.memsz)), (None, None));
    assert_eq!((empty(end), empty(start)), (None, None));
    let outside = Some(("segments_in_crash_region", "EADDRNOTAVAIL"));
    assert_eq!((empty(end + PAGE), empty(start - PAGE)), (outside, outside));
    // The kernel looks at the lower half of the flags.
    let good = one(start + 8 * PAGE, PAGE);
    for bit in 32..64 {
        assert_eq!(first(CRASH_X86_64 | 1 << bit, true, good), None, "bit {bit}");
    }
    // The last page of the address space, by the levels of page tables.
    let limit = Some(("destination_limit", "EADDRNOTAVAIL"));
    for (five_levels, bits) in [(false, 46), (true, 52)] {
        let at = |mem| first(CRASH_X86_64, five_levels, one(mem, PAGE));
        assert_eq!((at((1 << bits) - 2 * PAGE), at((1 << bits) - PAGE)), (outside, limit), "{bits} bits");
    }
}

/// `A. Linux 6.12.117 (…), 1 GiB RAM, crashkernel=192M, CPU with 1 GiB pages`, then
/// `crashk_res FIRST-LAST [low crash region starts at A]`, a heading and the rows.
fn guest(section: &str) -> Guest {
    let mut lines = section.lines();
    let title = lines.next().unwrap();
    let gib: u64 = title.split(", ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let region = lines.next().unwrap().trim();
    let mut words = region.split_whitespace();
    assert_eq!(words.next(), Some("crashk_res"));
    let (first, last) = words.next().unwrap().split_once('-').unwrap();
    let region_range = PhysRange::from_inclusive(hex(first), hex(last)).unwrap();
    let low_region = region.split_once("starts at ").map(|(_, start)| hex(start.trim()));
    let new = title.contains("Linux 6.12");
    assert!(new || title.contains("Linux 6.1 "), "{title}");
    let environment = Environment::new(Arch::X86_64, PAGE, ram(gib))
        .crash_region(Some(region_range))
        .total_ram(Some(gib << 30))
        .mapped_tables(RangeSet::new())
        .five_levels(Some(title.contains("with 1 GiB pages")))
        .gib_pages(Some(title.contains("with 1 GiB pages")))
        .control_pages(ControlPages { pair: Some(!new), whole_gib: Some(false) })
        .update_elfcorehdr(Some(new))
        .hotplug_support(Some(new))
        .capable(Some(true))
        .load_disabled(Some(false))
        .load_limit(new.then_some(-1))
        .locked_down(Some(false));
    let rows = lines.filter(|line| line.contains("->1") || line.contains("->0")).map(row);
    Guest { environment, low_region, rows: rows.collect() }
}

/// QEMU leaves a hole of 1 GiB below 4 GiB; the firmware keeps the end of what lies below.
fn ram(gib: u64) -> RangeSet {
    let low = if gib > 3 { 3 } else { gib };
    let ranges = [(0x1000, 0x9_fc00), (0x10_0000, (low << 30) - 0x2_1000), (4 << 30, (4 + gib - low) << 30)];
    let ranges = ranges.into_iter().filter_map(|(start, end)| PhysRange::from_half_open(start, end).ok());
    RangeSet::from_ranges(ranges).unwrap()
}

/// `case  r  errno  loaded`; the case may have blanks, so the row is read from its end.
fn row(line: &str) -> Row {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let loaded = words.pop().unwrap();
    let errno = match words.pop().unwrap() {
        "-" => None,
        _name => Some(words.pop().unwrap().parse().unwrap()),
    };
    let result = words.pop().unwrap();
    assert_eq!(result == "0", errno.is_none(), "{line}");
    Row { case: words.join(" "), errno, lost: loaded == "1->0" }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

fn one(mem: u64, memsz: u64) -> CandidateSegment {
    CandidateSegment { mem, memsz, bufsz: PAGE.min(memsz), buffer: Buffer::Readable }
}

/// The call a row describes, by the definitions at the head of the file.
fn call(row: &Row, guest: &Guest) -> (Candidate, Environment) {
    let mut environment = guest.environment.clone();
    let region = environment.crash_region.unwrap();
    let (start, end) = (region.start(), region.end());
    let base = one(start + PAGE, PAGE);
    let mut candidate = Candidate { entry: start, flags: CRASH_X86_64, segments: vec![base] };
    let only = |mem, memsz| vec![one(mem, memsz)];
    match row.case.as_str() {
        "ok one page" => candidate.entry = base.mem,
        "below region" => candidate.segments = only(start - PAGE, PAGE),
        "crosses end" => candidate.segments = only(end - PAGE, 2 * PAGE),
        "just past end" => candidate.segments = only(end, PAGE),
        "mem unaligned" => candidate.segments = only(start + 0x800, PAGE),
        "memsz unaligned" => candidate.segments = only(base.mem, 0x1800),
        "bufsz>memsz" => candidate.segments = vec![CandidateSegment { bufsz: 2 * PAGE, ..base }],
        "two identical" => candidate.segments = vec![base, base],
        "unsorted, disjoint" => candidate.segments = vec![one(start + 8 * PAGE, PAGE), base],
        "17 segments" => candidate.segments = (0..17).map(|n| one(start + n * PAGE, PAGE)).collect(),
        "16 segments" => candidate.segments = (0..16).map(|n| one(start + n * PAGE, PAGE)).collect(),
        "memsz 0" => candidate.segments = only(base.mem, 0),
        "entry below region" => candidate.entry = 0x1000,
        "entry in region not in seg" => candidate.entry = start + 0x90_0000,
        "NULL buf" => candidate.segments = vec![CandidateSegment { buffer: Buffer::Bad, ..base }],
        "fills whole region" => candidate.segments = only(start, region.size()),
        "unknown flag 0x20" => candidate.flags |= 0x20,
        "flag 0x10 DEBUG" => candidate.flags |= 0x10,
        "flag 4 UPDATE_ELFCOREHDR" => candidate.flags |= 4,
        "flag 8 HOTPLUG_SUPPORT" => candidate.flags |= 8,
        "arch 183" => candidate.flags = 1 | 183 << 16,
        "arch 3 (386)" => candidate.flags = 1 | 3 << 16,
        "arch 0" => candidate.flags = 1,
        "in low crash region" => candidate.segments = only(guest.low_region.unwrap() + (1 << 20), PAGE),
        "1 TiB" => candidate.segments = only(base.mem, 1 << 40),
        "no capability" => environment.capable = Some(false),
        "kexec_load_limit_panic=0" => environment.load_limit = Some(0),
        "then unload" => {
            environment.load_limit = Some(0);
            candidate.segments.clear();
        }
        case => {
            let pages = case.strip_prefix("all but ").unwrap_or_else(|| panic!("an unknown case: {case}"));
            let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
            candidate.entry = start + pages * PAGE;
            candidate.segments = only(candidate.entry, region.size() - pages * PAGE);
        }
    }
    (candidate, environment)
}
