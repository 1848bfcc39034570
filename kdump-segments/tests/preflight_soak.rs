//! Verdicts that kernels gave on random calls (`cargo xtask preflight-soak --record`), predicted.
//!
//! tests/machines/soak-verdicts.txt has an environment per guest and state, and below it the calls
//! made in it: entry, flags, a word `MEM+MEMSZ:BUFSZ[@SOURCE]` per segment, what the kernel did,
//! and the rule that predicted it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kdump_elf::{Arch, PhysRange};
use kdump_segments::RangeSet;
use kdump_segments::preflight::{
    Buffer, Candidate, CandidateSegment, ControlPages, Environment, Report, Verdict, check,
};

/// Bytes the guest program could read at most.
const ARENA: u64 = 1 << 20;

struct Row<'a> {
    line: &'a str,
    environment: Environment,
    candidate: Candidate,
    errno: Option<i32>,
    lost: bool,
    rule: &'a str,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let mut environment = None;
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(words) = line.strip_prefix("environment ") {
            environment = Some(self::environment(words));
            continue;
        }
        let (call, outcome) = line.split_once(" -> ").unwrap();
        let words: Vec<&str> = outcome.split(' ').collect();
        let (errno, lost, rule) = match words.as_slice() {
            ["accepted", rule] => (None, false, *rule),
            ["accepted", "lost", rule] => (None, true, *rule),
            ["refused", errno, rule] => (errno.parse().ok(), false, *rule),
            ["refused", errno, "lost", rule] => (errno.parse().ok(), true, *rule),
            _ => panic!("{line}"),
        };
        let environment = environment.clone().unwrap();
        rows.push(Row { line, environment, candidate: candidate(call), errno, lost, rule });
    }
    rows
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

fn environment(words: &str) -> Environment {
    let words: BTreeMap<&str, &str> = words.split(' ').map(|word| word.split_once('=').unwrap()).collect();
    let ranges = |name: &str| -> RangeSet {
        let ranges = words[name].split(',').filter(|range| !range.is_empty());
        let range = |(start, end)| PhysRange::from_half_open(hex(start), hex(end)).unwrap();
        RangeSet::from_ranges(ranges.map(|text| range(text.split_once('-').unwrap()))).unwrap()
    };
    let flag = |name: &str| match words[name] {
        "?" => None,
        digit => Some(digit == "1"),
    };
    Environment::new(Arch::X86_64, 0x1000, ranges("ram"))
        .crash_region(ranges("region").iter().next())
        .total_ram(Some(hex(words["total"])))
        .mapped_tables(ranges("tables"))
        .five_levels(flag("five_levels"))
        .gib_pages(flag("gib_pages"))
        .control_pages(ControlPages { pair: flag("pair"), whole_gib: flag("whole_gib") })
        .update_elfcorehdr(flag("update_elfcorehdr"))
        .hotplug_support(flag("hotplug_support"))
        .capable(flag("capable"))
        .load_disabled(flag("load_disabled"))
        .load_limit(flag("limited").map(|limited| if limited { 0 } else { -1 }))
        .locked_down(flag("locked_down"))
}

fn candidate(call: &str) -> Candidate {
    let mut words = call.split(' ');
    let entry = hex(words.next().unwrap().strip_prefix("entry=").unwrap());
    let flags = hex(words.next().unwrap().strip_prefix("flags=").unwrap());
    Candidate { entry, flags, segments: words.map(segment).collect() }
}

fn segment(word: &str) -> CandidateSegment {
    let (word, source) = word.split_once('@').map_or((word, None), |(word, source)| (word, Some(source)));
    let (mem, sizes) = word.split_once('+').unwrap();
    let (memsz, bufsz) = sizes.split_once(':').unwrap();
    let bufsz = hex(bufsz);
    let readable = match source {
        None => ARENA,
        Some("null" | "kernel") => 0,
        Some(bytes) => hex(bytes),
    };
    let buffer = if bufsz <= readable { Buffer::Readable } else { Buffer::Bad };
    CandidateSegment { mem: hex(mem), memsz: hex(memsz), bufsz, buffer }
}

fn recorded() -> String {
    fs::read_to_string(plan_support::recorded("soak-verdicts.txt")).unwrap()
}

/// Errno and whether nothing is loaded afterwards, for a machine that was armed.
fn predicted(report: &Report, row: &Row<'_>) -> (Option<i32>, bool) {
    let unloads = report.errno.is_none() && row.candidate.segments.is_empty();
    (report.errno.map(|errno| errno.0), report.armed_image_lost || unloads)
}

#[test]
fn every_recorded_verdict_is_predicted() {
    let text = recorded();
    let rows = rows(&text);
    assert!(rows.len() > 200, "{} rows", rows.len());
    for row in &rows {
        let report = check(&row.candidate, &row.environment).unwrap();
        assert_eq!(predicted(&report, row), (row.errno, row.lost), "{}\n{:#?}", row.line, report.findings);
        assert_eq!(report.failure().map_or("accepted", |finding| finding.rule), row.rule, "{}", row.line);
    }
}

/// Without what no file shows, a verdict may be open, but not wrong.
#[test]
fn what_is_not_known_is_not_guessed() {
    let text = recorded();
    let mut open = 0;
    for row in rows(&text) {
        let unknown =
            row.environment.clone().control_pages(ControlPages::default()).five_levels(None).gib_pages(None);
        let report = check(&row.candidate, &unknown).unwrap();
        let doubt = report.findings.iter().position(|finding| finding.verdict == Verdict::Unknown);
        let failure = report.findings.iter().position(|finding| finding.verdict == Verdict::Fail);
        if doubt.is_some_and(|doubt| failure.is_none_or(|failure| doubt < failure)) {
            open += 1;
        } else {
            assert_eq!(predicted(&report, &row), (row.errno, row.lost), "{}", row.line);
        }
    }
    assert!(open > 10, "{open} verdicts depend on what is not known");
}

/// A rule that no recorded call breaks could be left out without a test noticing.
#[test]
fn each_rule_was_broken_by_a_recorded_call() {
    let text = recorded();
    let rows = rows(&text);
    let broken: BTreeSet<&str> = rows.iter().map(|row| row.rule).collect();
    let report = check(&rows[0].candidate, &rows[0].environment).unwrap();
    for finding in &report.findings {
        assert!(broken.contains(finding.rule), "{} was never broken", finding.rule);
    }
    assert!(broken.contains("accepted"));
}
