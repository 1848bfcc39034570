//! `kdump map`: the memory of the dumped machine by kind.

use core::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_elf::PhysRange;
use kdump_vmcore::{BtfKeys, ClassMap, Dump, PageClass, Span, SpanKind};
use serde_json::{Value, json};

use super::info;
use crate::failure::{CommandResult, Failure};
use crate::json::{Members, hex};
use crate::new_file::NewFile;

const EXAMPLES: &str = "\
Kinds: stored, zero (known without reading), excluded (left out by the tool that wrote the dump),
missing (behind the end of a truncated file), unreadable (lost before the dump was saved), corrupt,
hole (no RAM). With --classes: free, user (memory of processes), cache and cache-private (the page cache,
without and with data of the file system), hwpoison (memory errors), offline, and other, which is the kernel's
own or could not be judged; of x86_64, arm64 and i386.

Examples:
  kdump map /var/crash/vmcore
  kdump map --svg memory.svg /var/crash/vmcore
  kdump map --classes /proc/vmcore";

/// What a map shows.
struct Legend {
    /// In this order. Every map tells of the first ones, be it nothing; the others are told where a dump has
    /// them.
    kinds: &'static [SpanKind],
    always: usize,
    name: fn(SpanKind) -> &'static str,
    colour: fn(SpanKind) -> &'static str,
}

/// What the dump has.
const KINDS: Legend = Legend { kinds: &ALL_KINDS, always: 4, name: SpanKind::name, colour };

/// What the dead kernel used its memory for: what has a class could be left out.
const CLASSES: Legend = Legend {
    kinds: &[
        SpanKind::Stored,
        SpanKind::Excluded(Some(PageClass::Free)),
        SpanKind::Excluded(Some(PageClass::User)),
        SpanKind::Excluded(Some(PageClass::Cache)),
        SpanKind::Excluded(Some(PageClass::CachePrivate)),
        SpanKind::Excluded(Some(PageClass::HwPoison)),
        SpanKind::Excluded(Some(PageClass::Offline)),
        SpanKind::Hole,
    ],
    always: 5,
    name: class_name,
    colour: class_colour,
};

fn class_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Stored => "other",
        _ => class(kind).unwrap_or(kind.name()),
    }
}

fn class_colour(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Excluded(Some(PageClass::Free)) => "#9cd08c",
        SpanKind::Excluded(Some(PageClass::User)) => "#e0a030",
        SpanKind::Excluded(Some(PageClass::Cache)) => "#9cc4e4",
        SpanKind::Excluded(Some(PageClass::CachePrivate)) => "#5f8fb8",
        SpanKind::Excluded(Some(PageClass::HwPoison)) => "#c03028",
        SpanKind::Excluded(Some(PageClass::Offline)) => "#8a2be2",
        other => colour(other),
    }
}

const ALL_KINDS: [SpanKind; 7] = [
    SpanKind::Stored,
    SpanKind::Excluded(None),
    SpanKind::Missing,
    SpanKind::Hole,
    SpanKind::Zero,
    SpanKind::Unreadable,
    SpanKind::Corrupt,
];

pub(crate) fn command() -> Command {
    Command::new("map")
        .about("Memory of the dumped machine by kind")
        .after_help(EXAMPLES)
        .arg(info::dumps_arg())
        .arg(info::raw_arg())
        .arg(info::mmap_arg())
        .arg(info::json_arg())
        .arg(Arg::new("classes").long("classes").action(ArgAction::SetTrue).help(
            "Show what the dead kernel used each page for (free, user, cache), also of pages that are not in DUMP",
        ))
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
    let (legend, ranges, from_btf) = if matches.get_flag("classes") {
        let (ranges, from_btf) = by_class(&dump)?;
        (CLASSES, ranges, Some(from_btf))
    } else {
        (KINDS, dump.reader().looks().collect(), None)
    };
    let legend = &legend;
    if let Some(path) = matches.get_one::<PathBuf>("svg") {
        let read: Vec<&Path> =
            matches.get_many::<PathBuf>("dump").unwrap_or_default().map(PathBuf::as_path).collect();
        let mut file = NewFile::create(path, &read)?;
        file.write(svg(legend, &ranges).as_bytes())?;
        return file.keep();
    }
    if matches.get_flag("json") {
        let list = ranges.iter().map(|span| entry(legend, span));
        return Ok(crate::json::print_long(
            &document(legend, &ranges, from_btf),
            vec![("ranges", Box::new(list))],
        )?);
    }
    Ok(print(legend, &ranges)?)
}

/// All RAM, and what lies between, by what it was used for.
fn by_class(dump: &Dump<'_>) -> Result<(Vec<Span>, BtfKeys), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let map = ClassMap::new(dump, u16::try_from(threads).unwrap_or(u16::MAX));
    let map = map.map_err(|error| Failure::new(error.to_string()))?;
    let report = map.report();
    if map.is_doubtful() {
        return Err(Failure::new(format!(
            "the kernel's records (struct page) are not what VMCOREINFO says: {} of {} contradict themselves",
            report.impossible,
            report.blocks.saturating_add(report.mappings)
        )));
    }
    if let Some(text) = super::save::from_btf(report.from_btf) {
        crate::terminal::tell!("kdump map: {text}");
    }
    for (pages, why) in
        [(report.unreadable, "the record cannot be read"), (report.without, "there is no record")]
    {
        if pages > 0 {
            crate::terminal::tell!("kdump map: of {pages} pages {why}: they count as other");
        }
    }
    let size = map.page_size();
    let mut spans: Vec<Span> = Vec::new();
    let mut end = 0;
    for (pfns, class) in map.ranges() {
        let start = pfns.start.saturating_mul(size);
        let kind = class.map_or(SpanKind::Stored, |class| SpanKind::Excluded(Some(class)));
        let hole = PhysRange::from_half_open(end, start).ok().filter(|_| !spans.is_empty() && start > end);
        spans.extend(hole.map(|range| Span { range, kind: SpanKind::Hole }));
        end = pfns.end.saturating_mul(size);
        spans.extend(PhysRange::from_half_open(start, end).ok().map(|range| Span { range, kind }));
    }
    Ok((spans, report.from_btf))
}

/// Bytes of one kind, whatever the reason for leaving them out.
fn total(legend: &Legend, ranges: &[Span], kind: SpanKind) -> u64 {
    let name = (legend.name)(kind);
    let sizes = ranges.iter().filter(|span| (legend.name)(span.kind) == name).map(|span| span.range.size());
    sizes.fold(0, u64::saturating_add)
}

/// The kinds to tell of, with their bytes.
fn totals(legend: &Legend, ranges: &[Span]) -> impl Iterator<Item = (SpanKind, u64)> {
    let all = legend.kinds.iter().enumerate();
    let all = all.map(|(index, &kind)| (index, kind, total(legend, ranges, kind)));
    all.filter(|&(index, _, bytes)| index < legend.always || bytes != 0).map(|(_, kind, bytes)| (kind, bytes))
}

/// Why memory was left out, where the dump tells.
fn class(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Excluded(class) => class.map(PageClass::name),
        _ => None,
    }
}

fn document(legend: &Legend, ranges: &[Span], from_btf: Option<BtfKeys>) -> Value {
    let totals: serde_json::Map<String, Value> =
        totals(legend, ranges).map(|(kind, bytes)| ((legend.name)(kind).to_owned(), bytes.into())).collect();
    match from_btf {
        Some(keys) => json!({ "totals": totals, "from_btf": keys.names().collect::<Vec<_>>() }),
        None => json!({ "totals": totals }),
    }
}

fn entry(legend: &Legend, Span { range, kind }: &Span) -> Members {
    let mut entry = vec![
        ("start", hex(range.start())),
        ("size", range.size().into()),
        ("kind", (legend.name)(*kind).into()),
    ];
    let class = class(*kind).filter(|class| *class != (legend.name)(*kind));
    entry.extend(class.map(|class| ("class", class.into())));
    entry
}

fn print(legend: &Legend, ranges: &[Span]) -> std::io::Result<()> {
    let mut out = crate::terminal::out();
    // There may be millions, most of them of a few sizes.
    let (mut last, mut line) = ((0, String::new()), String::new());
    for Span { range, kind } in ranges {
        if last.0 != range.size() {
            last = (range.size(), info::human_size(range.size()));
        }
        let (size, name) = (&last.1, (legend.name)(*kind));
        let (start, end) = (range.start(), range.last());
        line.clear();
        // Writing to a String cannot fail.
        let _ = match class(*kind).filter(|class| *class != name) {
            Some(class) => writeln!(line, "{start:#014x}-{end:#014x} {size:>11} {name} ({class})"),
            None => writeln!(line, "{start:#014x}-{end:#014x} {size:>11} {name}"),
        };
        out.write_all(line.as_bytes())?;
    }
    // Names of kinds that no dump here has do not widen the table.
    let width = totals(legend, ranges).map(|(kind, _)| (legend.name)(kind).len()).fold(8, usize::max);
    for (kind, bytes) in totals(legend, ranges) {
        writeln!(out, "{:<width$} {:>11}", (legend.name)(kind), info::human_size(bytes))?;
    }
    out.flush()
}

/// Width of the drawing in pixels; each pixel stands for the same amount of memory.
const WIDTH: usize = 1000;

/// One bar, its colour in each pixel that of the kind with most bytes there, and a legend.
fn svg(legend: &Legend, ranges: &[Span]) -> String {
    let start = ranges.first().map_or(0, |range| range.range.start());
    let end = ranges.last().map_or(0, |range| range.range.end());
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1040 120\" font-family=\"sans-serif\" \
         font-size=\"14\">\n",
    );
    let mut x = 0_usize;
    let columns = columns(legend, ranges, start, end);
    while let Some(&kind) = columns.get(x) {
        let run = columns.iter().skip(x).take_while(|&&other| other == kind).count();
        let fill = (legend.colour)(kind);
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
    for ((kind, bytes), (x, y)) in totals(legend, ranges).zip(places) {
        let (fill, size, text_x, text_y) =
            ((legend.colour)(kind), info::human_size(bytes), x.saturating_add(20), y.saturating_add(12));
        let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{fill}\"/>");
        let _ = writeln!(out, "<text x=\"{text_x}\" y=\"{text_y}\">{} {size}</text>", (legend.name)(kind));
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
fn columns(legend: &Legend, ranges: &[Span], start: u64, end: u64) -> Vec<SpanKind> {
    let mut columns = Vec::with_capacity(WIDTH);
    let span = u128::from(end.saturating_sub(start));
    let edge = |x: usize| {
        let part = span.saturating_mul(x as u128).checked_div(WIDTH as u128).unwrap_or(0);
        start.saturating_add(u64::try_from(part).unwrap_or(u64::MAX))
    };
    let mut rest = ranges;
    for x in 0..WIDTH {
        let (low, high) = (edge(x), edge(x.saturating_add(1)));
        let mut bytes = vec![0_u64; legend.kinds.len()];
        while let Some((first, others)) = rest.split_first() {
            let (from, to) = (first.range.start().max(low), first.range.end().min(high));
            let name = (legend.name)(first.kind);
            let slot = legend.kinds.iter().position(|&kind| (legend.name)(kind) == name);
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
        let kind = legend.kinds.iter().copied().zip(bytes).find(|&(_, sum)| sum == most);
        columns.push(kind.map_or(SpanKind::Hole, |(kind, _)| kind));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_has_the_right_proportions() {
        let range = |start, end, kind| Span { range: PhysRange::from_half_open(start, end).unwrap(), kind };
        let ranges = [
            range(0, 0x4000, SpanKind::Stored),
            range(0x4000, 0x6000, SpanKind::Hole),
            range(0x6000, 0x8000, SpanKind::Excluded(None)),
        ];
        let columns = columns(&KINDS, &ranges, 0, 0x8000);
        let count = |kind| columns.iter().filter(|&&other| other == kind).count();
        assert_eq!(
            [count(SpanKind::Stored), count(SpanKind::Hole), count(SpanKind::Excluded(None))],
            [500, 250, 250]
        );
        assert!(svg(&KINDS, &ranges).contains("width=\"500\""));
        assert!(svg(&KINDS, &[]).ends_with("</svg>\n"));
        // Classes are told apart, and each is found again in the legend.
        let kinds = CLASSES.kinds.iter().zip(0_u64..);
        let ranges: Vec<Span> =
            kinds.map(|(&kind, at)| range(at * 0x1000, (at + 1) * 0x1000, kind)).collect();
        assert!(totals(&CLASSES, &ranges).all(|(_, bytes)| bytes == 0x1000));
        assert_eq!(totals(&CLASSES, &ranges).count(), ranges.len());
        let drawing = svg(&CLASSES, &ranges);
        for &kind in CLASSES.kinds {
            assert!(drawing.contains(&format!(">{} 4.0 KiB<", class_name(kind))), "{drawing}");
            assert!(drawing.matches(class_colour(kind)).count() >= 2, "{kind:?}");
        }
    }
}
