//! `kdump map`: the memory of the dumped machine by kind.

use core::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use kdump_vmcore::{PageClass, Span, SpanKind};
use serde_json::{Value, json};

use super::info;
use crate::failure::CommandResult;
use crate::json::hex;
use crate::new_file::NewFile;

const EXAMPLES: &str = "\
Kinds: stored, zero (known without reading), excluded (left out by the tool that wrote the dump),
missing (behind the end of a truncated file), unreadable (lost before the dump was saved), corrupt,
hole (no RAM).

Examples:
  kdump map /var/crash/vmcore
  kdump map --svg memory.svg /var/crash/vmcore";

/// In the order of the legend. Every map tells of the first four, be it nothing; the others are
/// told where a dump has them.
const KINDS: [SpanKind; 7] = [
    SpanKind::Stored,
    SpanKind::Excluded(None),
    SpanKind::Missing,
    SpanKind::Hole,
    SpanKind::Zero,
    SpanKind::Unreadable,
    SpanKind::Corrupt,
];
const ALWAYS: usize = 4;

pub(crate) fn command() -> Command {
    Command::new("map")
        .about("Memory of the dumped machine by kind")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(info::raw_arg())
        .arg(info::mmap_arg())
        .arg(info::json_arg())
        .arg(
            Arg::new("svg")
                .long("svg")
                .value_name("F")
                .value_parser(value_parser!(PathBuf))
                .conflicts_with("json")
                .help("Draw the map into this file"),
        )
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = info::open(matches)?;
    let ranges: Vec<Span> = dump.reader().looks().collect();
    if let Some(path) = matches.get_one::<PathBuf>("svg") {
        let read: Vec<&Path> =
            matches.get_many::<PathBuf>("dump").unwrap_or_default().map(PathBuf::as_path).collect();
        let mut file = NewFile::create(path, &read)?;
        file.write(svg(&ranges).as_bytes())?;
        return file.keep();
    }
    if matches.get_flag("json") {
        let list = ranges.iter().map(entry);
        return Ok(crate::json::print_long(&document(&ranges), vec![("ranges", Box::new(list))])?);
    }
    Ok(print(&ranges)?)
}

/// Bytes of one kind, whatever the reason for leaving them out.
fn total(ranges: &[Span], kind: SpanKind) -> u64 {
    let sizes = ranges.iter().filter(|span| span.kind.name() == kind.name()).map(|span| span.range.size());
    sizes.fold(0, u64::saturating_add)
}

/// The kinds to tell of, with their bytes.
fn totals(ranges: &[Span]) -> impl Iterator<Item = (SpanKind, u64)> {
    let all = KINDS.into_iter().enumerate().map(|(index, kind)| (index, kind, total(ranges, kind)));
    all.filter(|&(index, _, bytes)| index < ALWAYS || bytes != 0).map(|(_, kind, bytes)| (kind, bytes))
}

/// Why memory was left out, where the dump tells.
fn class(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Excluded(class) => class.map(PageClass::name),
        _ => None,
    }
}

fn document(ranges: &[Span]) -> Value {
    let totals: serde_json::Map<String, Value> =
        totals(ranges).map(|(kind, bytes)| (kind.name().to_owned(), bytes.into())).collect();
    json!({ "totals": totals })
}

fn entry(Span { range, kind }: &Span) -> Value {
    let mut entry = json!({ "start": hex(range.start()), "size": range.size(), "kind": kind.name() });
    if let (Some(class), Some(entry)) = (class(*kind), entry.as_object_mut()) {
        entry.insert("class".to_owned(), class.into());
    }
    entry
}

fn print(ranges: &[Span]) -> std::io::Result<()> {
    let mut out = crate::terminal::out();
    for Span { range, kind } in ranges {
        let size = info::human_size(range.size());
        let class = class(*kind).map(|class| format!(" ({class})")).unwrap_or_default();
        writeln!(out, "{:#014x}-{:#014x} {size:>11} {}{class}", range.start(), range.last(), kind.name())?;
    }
    for (kind, bytes) in totals(ranges) {
        writeln!(out, "{:<8} {:>11}", kind.name(), info::human_size(bytes))?;
    }
    out.flush()
}

/// Width of the drawing in pixels; each pixel stands for the same amount of memory.
const WIDTH: usize = 1000;

/// One bar, its colour in each pixel that of the kind with most bytes there, and a legend.
fn svg(ranges: &[Span]) -> String {
    let start = ranges.first().map_or(0, |range| range.range.start());
    let end = ranges.last().map_or(0, |range| range.range.end());
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1040 120\" font-family=\"sans-serif\" \
         font-size=\"14\">\n",
    );
    let mut x = 0_usize;
    let columns = columns(ranges, start, end);
    while let Some(&kind) = columns.get(x) {
        let run = columns.iter().skip(x).take_while(|&&other| other == kind).count();
        let fill = colour(kind);
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"20\" width=\"{run}\" height=\"40\" fill=\"{fill}\"/>",
            x.saturating_add(20)
        );
        x = x.saturating_add(run);
    }
    let _ = writeln!(out, "<text x=\"20\" y=\"14\">{start:#x}</text>");
    let _ =
        writeln!(out, "<text x=\"1020\" y=\"14\" text-anchor=\"end\">{:#x}</text>", end.saturating_sub(1));
    // Four in a row.
    let places = [80_u32, 100].into_iter().flat_map(|y| [20_u32, 270, 520, 770].map(|x| (x, y)));
    for ((kind, bytes), (x, y)) in totals(ranges).zip(places) {
        let (fill, size, text_x, text_y) =
            (colour(kind), info::human_size(bytes), x.saturating_add(20), y.saturating_add(12));
        let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{fill}\"/>");
        let _ = writeln!(out, "<text x=\"{text_x}\" y=\"{text_y}\">{} {size}</text>", kind.name());
    }
    out.push_str("</svg>\n");
    out
}

fn colour(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Stored => "#2a78b5",
        SpanKind::Zero => "#9cc4e4",
        SpanKind::Excluded(_) => "#e0a030",
        SpanKind::Missing => "#c03028",
        SpanKind::Unreadable => "#8a2be2",
        SpanKind::Corrupt => "#000000",
        _ => "#dddddd",
    }
}

/// The prevailing kind of each pixel; O(ranges + pixels).
fn columns(ranges: &[Span], start: u64, end: u64) -> Vec<SpanKind> {
    let mut columns = Vec::with_capacity(WIDTH);
    let span = u128::from(end.saturating_sub(start));
    let edge = |x: usize| {
        let part = span.saturating_mul(x as u128).checked_div(WIDTH as u128).unwrap_or(0);
        start.saturating_add(u64::try_from(part).unwrap_or(u64::MAX))
    };
    let mut rest = ranges;
    for x in 0..WIDTH {
        let (low, high) = (edge(x), edge(x.saturating_add(1)));
        let mut bytes = [0_u64; KINDS.len()];
        while let Some((first, others)) = rest.split_first() {
            let (from, to) = (first.range.start().max(low), first.range.end().min(high));
            let slot = KINDS.iter().position(|kind| kind.name() == first.kind.name());
            if let Some(sum) = slot.and_then(|slot| bytes.get_mut(slot)) {
                *sum = sum.saturating_add(to.saturating_sub(from));
            }
            if first.range.end() > high {
                break;
            }
            rest = others;
        }
        // Of equals the first kind: a pixel with any stored memory is not drawn as a hole.
        let most = bytes.iter().max().copied().unwrap_or(0);
        let kind = KINDS.into_iter().zip(bytes).find(|&(_, sum)| sum == most);
        columns.push(kind.map_or(SpanKind::Hole, |(kind, _)| kind));
    }
    columns
}

#[cfg(test)]
mod tests {
    use kdump_elf::PhysRange;

    use super::*;

    #[test]
    fn the_drawing_has_the_right_proportions() {
        let range = |start, end, kind| Span { range: PhysRange::from_half_open(start, end).unwrap(), kind };
        let ranges = [
            range(0, 0x4000, SpanKind::Stored),
            range(0x4000, 0x6000, SpanKind::Hole),
            range(0x6000, 0x8000, SpanKind::Excluded(None)),
        ];
        let columns = columns(&ranges, 0, 0x8000);
        let count = |kind| columns.iter().filter(|&&other| other == kind).count();
        assert_eq!(
            [count(SpanKind::Stored), count(SpanKind::Hole), count(SpanKind::Excluded(None))],
            [500, 250, 250]
        );
        assert!(svg(&ranges).contains("width=\"500\""));
        assert!(svg(&[]).ends_with("</svg>\n"));
    }
}
