//! `kdump info`: what a dump is and whether it is complete. Opens dumps for all commands.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_elf::Paddr;
use kdump_vmcore::{
    Dump, Error, MappedFile, RawImage, ReadAt, ReadOptions, Span, SpanKind, VmcoreWindows, open_dump_file,
};
use serde_json::{Value, json};

use crate::args::parse_size;
use crate::failure::{CommandResult, Failure};
use crate::json::{Members, hex, phdr_type};
pub(crate) use crate::terminal::printable;

const EXAMPLES: &str = "\
Examples:
  kdump info /var/crash/vmcore
  kdump info --json /proc/vmcore
  kdump info --raw 0 low.bin --raw 4G high.bin";

pub(crate) fn command() -> Command {
    Command::new("info")
        .about("Format, architecture, release, CPUs, memory, compression and completeness of a dump")
        .after_help(EXAMPLES)
        .arg(dumps_arg())
        .arg(raw_arg())
        .arg(json_arg())
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let dump = open(matches)?;
    if matches.get_flag("json") {
        return Ok(crate::json::print_long(&document(&dump), vec![("phdrs", Box::new(phdrs(&dump)))])?);
    }
    Ok(print(&dump)?)
}

/// The operands of a command that takes a whole dump, which may be split over several files.
pub(crate) fn dumps_arg() -> Arg {
    dump_arg().num_args(1..).help("The dump; several files are the parts of one split dump")
}

/// `--raw`.
pub(crate) fn raw_arg() -> Arg {
    Arg::new("raw")
        .long("raw")
        .value_name("A")
        .action(ArgAction::Append)
        .value_parser(parse_size)
        .help("DUMP is a raw image of the memory from this physical address on; once for each DUMP, in order")
}

/// `--mmap`.
pub(crate) fn mmap_arg() -> Arg {
    Arg::new("mmap").long("mmap").action(ArgAction::SetTrue).help(
        "Map DUMP instead of reading it by system calls: faster, but whoever makes it shorter meanwhile \
         ends this program",
    )
}

/// The operand of a command that takes one file.
pub(crate) fn dump_arg() -> Arg {
    Arg::new("dump").value_name("DUMP").required(true).value_parser(value_parser!(PathBuf)).help("The dump")
}

/// `--json`.
pub(crate) fn json_arg() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON document")
}

/// A file that may become shorter; /proc/vmcore does not.
pub(crate) fn unmapped(file: std::fs::File) -> Box<dyn ReadAt> {
    match VmcoreWindows::new(file) {
        Ok(windows) => Box::new(windows),
        Err(file) => Box::new(file),
    }
}

/// Opens the dump named on the command line; several files are its parts.
pub(crate) fn open(matches: &ArgMatches) -> Result<Dump<'static>, Failure> {
    let paths: Vec<&PathBuf> = matches.get_many::<PathBuf>("dump").unwrap_or_default().collect();
    let mut parts: Vec<Box<dyn ReadAt>> = Vec::new();
    // Not every command has it.
    let mapped = matches.try_get_one("mmap").ok().flatten().copied().unwrap_or(false);
    for path in &paths {
        let source = open_dump_file(path).and_then(|file| -> std::io::Result<Box<dyn ReadAt>> {
            Ok(if mapped { Box::new(MappedFile::new(&file)?) } else { unmapped(file) })
        });
        parts.push(source.map_err(|error| Failure::new(format!("{}: {error}", path.display())))?);
    }
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    // Not every command has it.
    let bases: Vec<u64> = matches.try_get_many("raw").ok().flatten().unwrap_or_default().copied().collect();
    let opened = if bases.is_empty() {
        Dump::open_parts(parts)
    } else if bases.len() == parts.len() {
        let images =
            bases.into_iter().zip(parts).map(|(base, source)| RawImage { base: Paddr(base), source });
        Dump::open_raw(images.collect(), None)
    } else {
        let (given, files) = (bases.len(), parts.len());
        return Err(Failure::usage(format!(
            "--raw is given {given} times for {files} files: give it once for each"
        )));
    };
    let dump = opened.map_err(|error| Failure::new(format!("{}: {error}", names.join(", "))))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(dump.read_options(ReadOptions::default().threads(threads)))
}

/// The page size, and whether it is the usual one for want of a better source.
pub(crate) fn page_size(dump: &Dump<'_>) -> (u64, bool) {
    dump.page_size().map_or((4096, true), |size| (size, false))
}

/// How pages are compressed, in the words of the format.
fn compression<'d>(dump: &'d Dump<'_>) -> &'d str {
    let codecs = dump.facts().details.iter().find(|(name, _)| *name == "codecs");
    codecs.map_or("none", |(_, codecs)| codecs)
}

/// A size for people: `1.5 GiB`.
pub(crate) fn human_size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        if bytes >> shift > 0 {
            let tenths = u128::from(bytes).saturating_mul(10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}

fn phdrs(dump: &Dump<'_>) -> impl Iterator<Item = Members> {
    dump.phdrs().iter().map(|phdr| {
        vec![
            ("type", phdr_type(phdr.p_type)),
            ("offset", hex(phdr.p_offset)),
            ("vaddr", hex(phdr.p_vaddr)),
            ("paddr", hex(phdr.p_paddr)),
            ("filesz", phdr.p_filesz.into()),
            ("memsz", phdr.p_memsz.into()),
            ("flags", hex(u64::from(phdr.p_flags))),
        ]
    })
}

fn document(dump: &Dump<'_>) -> Value {
    let encoding = dump.encoding();
    let (page_size, page_size_guessed) = page_size(dump);
    let state = dump.completeness();
    let details: serde_json::Map<String, Value> = dump
        .facts()
        .details
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
        .collect();
    json!({
        "format": dump.format(),
        "arch": dump.arch().map(kdump_elf::Arch::name),
        "class": encoding.class.to_string(),
        "endian": encoding.endian.to_string(),
        "release": dump.vmcoreinfo().and_then(|info| info.release()),
        "crash_time": dump.vmcoreinfo().and_then(|info| info.decimal("CRASHTIME")),
        "cpus": dump.cpus().count(),
        "memory": dump.memory_size(),
        "page_size": page_size,
        "page_size_guessed": page_size_guessed,
        "compression": compression(dump),
        "details": details,
        "completeness": {
            "complete": state.is_complete(),
            "file_size": state.file_size,
            "expected_size": state.expected_size,
            "missing": state.missing,
            "unreadable": state.unreadable,
            "unfinished": state.is_unfinished(),
            "defects": state.defects.iter().map(ToString::to_string).collect::<Vec<_>>(),
        },
    })
}

fn print(dump: &Dump<'_>) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = crate::terminal::out();
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12} {value}");
    let unknown = || "unknown".to_owned();
    let encoding = dump.encoding();
    line("format", format!("{} ({}, {})", dump.format(), encoding.class, encoding.endian))?;
    line("arch", dump.arch().map_or_else(unknown, |arch| arch.name().to_owned()))?;
    let info = dump.vmcoreinfo();
    let release = info.and_then(|info| info.release());
    line("release", release.map_or_else(|| "unknown (no VMCOREINFO)".to_owned(), printable))?;
    if let Some(time) = info.and_then(|info| info.decimal("CRASHTIME")) {
        line("crash time", format!("{time} seconds since 1970"))?;
    }
    line("cpus", format!("{} saved their registers", dump.cpus().count()))?;
    let (page_size, guessed) = page_size(dump);
    line("page size", format!("{page_size}{}", if guessed { " (assumed)" } else { "" }))?;
    let ranges = dump.spans().filter(|span| span.kind != SpanKind::Hole);
    let sum = |(count, memory): (u64, u64), span: Span| {
        (count.saturating_add(1), memory.saturating_add(span.range.size()))
    };
    let (count, memory) = ranges.fold((0, 0), sum);
    line("memory", format!("{} ({memory} bytes) in {count} ranges", human_size(memory)))?;
    line("phdrs", dump.phdrs().len().to_string())?;
    line("compression", compression(dump).to_owned())?;
    for (name, value) in dump.facts().details.iter().filter(|(name, _)| *name != "codecs") {
        line(name, printable(value))?;
    }
    let state = dump.completeness();
    if state.is_complete() {
        line("complete", "yes".to_owned())?;
        return out.flush();
    }
    line("complete", "no".to_owned())?;
    if state.expected_size > state.file_size {
        let (have, expected) = (state.file_size, state.expected_size);
        line(
            "truncated",
            format!("{have} of {expected} bytes are there, {} bytes of memory are missing", state.missing),
        )?;
    } else if state.missing > 0 {
        let not_given = state.defects.iter().any(|defect| matches!(defect, Error::PartNotGiven { .. }));
        let why = if not_given {
            "those of a part that was not given among them"
        } else {
            "lost before or while this copy was made"
        };
        line("missing", format!("{} bytes of memory, {why}", state.missing))?;
    }
    if state.unreadable > 0 {
        line(
            "unreadable",
            format!("{} bytes of memory, lost before or while this copy was made", state.unreadable),
        )?;
    }
    for defect in &state.defects {
        let name = if matches!(defect, Error::Unfinished { .. } | Error::Incomplete) {
            "unfinished"
        } else {
            "damaged"
        };
        line(name, defect.to_string())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::human_size;

    #[test]
    fn sizes_for_people() {
        assert_eq!(human_size(1023), "1023 bytes");
        assert_eq!(human_size(1536 << 20), "1.5 GiB");
        assert_eq!(human_size(4096), "4.0 KiB");
        assert_eq!(human_size(1 << 61), "2097152.0 TiB");
        assert_eq!(human_size(u64::MAX), "16777215.9 TiB");
    }
}
