//! `kdump save`: copies a dump, or /proc/vmcore, to a safe place.

mod outcome;
mod space;
mod split;

use core::time::Duration;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, Dump, ElfOptions, KdumpOptions, LeftOut, OnFull, PageClass, ReadOptions, SaveFormat,
    SaveOptions, SaveOrder, SaveReport, WrittenOrder, save_split,
};
use serde_json::{Value, json};

use self::outcome::{Outcome, Told};
use super::info;
use crate::args;
use crate::failure::{CommandResult, Failure};
use crate::new_file;
use crate::progress::{self, Reporter};

/// Lines about one thing at most; the rest is counted.
const LINES: usize = 32;

const EXAMPLES: &str = "\
The dump is written as DST.incomplete, synced and renamed: a file called DST is finished. When
saving ends early, DST.incomplete stays with what is good and says that it is unfinished; the next
save to DST removes it, unless its process still lives. Zero pages become holes. Memory that cannot
be read does not end the work: the copy remembers which it is and why, as it does for what SRC
lacked already. DST may be a block device nobody uses: what is no dump there is written over with
--force only.

--format elf (the usual one) is uncompressed. One thread copies; pages of a compressed SRC are read by
as many as there are CPUs, or by --threads at most. --format kdump is what makedumpfile
writes, version 6: crash, drgn and makedumpfile read it. Pages of zeros share one place in it, a page
that compression does not make smaller is stored as it is, and the file is the same for every number of
threads. --format flattened is the same as a stream, which `makedumpfile -R` and `kdump save` put
together; DST - writes it to standard output. --format elf --flattened, or --format elf with DST -, is the stream of
an ELF core, zeros included. --format raw is the memory alone, each byte at the offset of
its address: what is no RAM or could not be read is zero there, and only the messages tell; of one that is not
saved to the end DST.incomplete is the first part, and its size alone tells that.

-d and --exclude leave pages out by what the dead kernel's array of struct page says of them, as
VMCOREINFO describes it, of x86_64: with any class also those with memory errors and those given back to a
hypervisor; --format elf leaves out rows of 256 pages and more. A page of which the record cannot be read is
kept and counted. What the kernel does not tell enough for, or cannot have told, is refused by the name of the
key, before anything is written. Where the records contradict it, all pages are kept. --dry-run tells what would be saved, and writes nothing.

--split N writes N files of format kdump, DST-1 to DST-N, each by a thread of its own and with its share of the
pages: for several disks, or where one thread does not keep up. They are read by all readers when given together, and
`makedumpfile --reassemble` or `kdump save DST-1 DST-2 … NEW` make one file of them. A part that cannot be finished stays as
DST-N.incomplete, and is read in its place; the others are finished. --split 1 is one file as without it, DST.

--order kernel-first (of kdump and flattened) writes the kernel's own memory before the rest: its text and
data, page tables, stacks and slab, which is all that its array of struct page has neither as free, nor as user
memory, nor as page cache. A disk that becomes full has these then. Where the array does not tell, the
order is that of addresses, and a message says so.

Where DST may need more than its file system has free, a message says so and what fits is saved; with
--on-full stop nothing is written then. --min-free SIZE is left to others: saving ends in front of it as on a
full disk, and DST.incomplete has what was saved. A block device has as much free as it is large, and no --min-free.

--resume goes on with DST.incomplete (elf and kdump): what is there is compared with what SRC gives, byte for
byte, and the file becomes what it had been without a break. Where there is none it begins one; where it is of another
dump, or was begun with other options, that is told and nothing is changed.

Exit status: 0 saved; 3 saved, but SRC lacked something; 4 not saved to the end, DST.incomplete or what arrived
has a part; 1 nothing saved; 2 the command line makes no sense. --json tells the same and what was done.

Examples:
  kdump save /proc/vmcore /var/crash/vmcore
  kdump save -d 31 --compress zstd --threads 4 /proc/vmcore /var/crash/vmcore
  kdump save --compress lzo /proc/vmcore - | ssh host 'cat > vmcore.flat'
  kdump save --compress zstd --split 4 /proc/vmcore /var/crash/vmcore
  kdump save --progress json /proc/vmcore /dev/vdb";

pub(crate) fn command() -> Command {
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).value_name(value).required(true).value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("save")
        .about("Save a dump or /proc/vmcore")
        .after_help(EXAMPLES)
        .arg(
            path("dump", "SRC", "The dump to copy; several files are the parts of one split dump")
                .num_args(1..),
        )
        .arg(path("dst", "DST", "Where to: a file, a block device, or - for standard output"))
        .arg(info::raw_arg().help(
            "SRC is a raw image of the memory from this physical address on; once for each SRC, in \
             order and in front of them",
        ))
        .arg(option("format", "FORMAT", "Format of DST; elf if nothing asks for another one").value_parser([
            "elf",
            "kdump",
            "flattened",
            "raw",
        ]))
        .arg(
            Arg::new("flattened")
                .long("flattened")
                .action(ArgAction::SetTrue)
                .help("Write DST as a flattened stream, as - gets it; kdump unless --format says elf"),
        )
        .arg(
            option("compress", "METHOD", "Compression of pages; not for elf")
                .value_parser(["none", "zlib", "lzo", "snappy", "zstd"]),
        )
        .arg(
            option("level", "N", "Level of the compression: zlib 1 to 9, zstd 1 to 22; 1 if not given")
                .allow_negative_numbers(true)
                .value_parser(value_parser!(i32)),
        )
        .arg(
            option("exclude", "CLASSES", "Kinds of pages to leave out, separated by commas; not for raw")
                .value_delimiter(',')
                .value_parser(["zero", "cache", "cache-private", "user", "free"])
                .conflicts_with("dump-level"),
        )
        .arg(
            Arg::new("dump-level")
                .short('d')
                .value_name("LEVEL")
                .value_parser(value_parser!(u8).range(0..=31))
                .help("Kinds of pages to leave out, as the number makedumpfile uses; not for raw"),
        )
        .arg(
            option(
                "threads",
                "N",
                "This many threads read and compress, one for each CPU at most; for elf they read",
            )
            .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(
            option("order", "ORDER", "Which pages are written first; of kdump and flattened only")
                .value_parser(["address", "kernel-first"])
                .default_value("address"),
        )
        .arg(
            option("min-free", "SIZE", "Leave so many bytes of DST's file system free: 64M, 1G")
                .value_parser(args::parse_size)
                .default_value("0"),
        )
        .arg(
            option("on-full", "WHAT", "When DST may not fit: keep what fits, or stop before the first byte")
                .value_parser(["keep", "stop"])
                .default_value("keep"),
        )
        .arg(
            option(
                "split",
                "N",
                "Save as a set of N files, DST-1 to DST-N, at the same time; DST itself if N is 1",
            )
            .value_parser(value_parser!(u16).range(1..)),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Write nothing: tell which pages would be saved, and how many bytes at most"),
        )
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Write over a device even if it holds something else than zeros or a dump"),
        )
        .arg(
            Arg::new("resume")
                .long("resume")
                .action(ArgAction::SetTrue)
                .help("Go on with DST.incomplete, once what is there is found to be what SRC gives"),
        )
        .arg(info::json_arg().help("Print what was done as a JSON document; not with DST -"))
        .arg(progress::arg())
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

pub(crate) fn run(matches: &ArgMatches) -> CommandResult {
    let Job { destination, format, dump } = match Job::of(matches) {
        Ok(job) => job,
        Err(failure) => return Err(outcome::early(matches, failure)?),
    };
    if matches.get_flag("dry-run") {
        return match dry_run(matches, &dump, format) {
            Err(failure) => Err(outcome::early(matches, failure)?),
            done => done,
        };
    }
    let options = options(matches, format);
    let parts = split::destinations(matches, destination);
    let warning = if is_stdout(destination) { None } else { space::warning(&dump, options, destination) };
    if let Some(warning) = &warning {
        crate::terminal::tell!("kdump save: {warning}");
    }
    let begun = std::time::Instant::now();
    let mut reporter = Reporter::new(matches);
    let mut progress = |state| reporter.show(state);
    let mut place = destination.clone();
    let mut files = Vec::new();
    let result = match format {
        SaveFormat::Kdump(options) if !parts.is_empty() => {
            let saved = save_split(&dump, &parts, options, &mut progress);
            files = saved.as_ref().map_or_else(|failed| failed.files.clone(), |_| parts.clone());
            saved.map_err(|failed| {
                place = failed.destination.unwrap_or_else(|| destination.clone());
                *failed.failure
            })
        }
        _ if is_stdout(destination) => {
            kdump_vmcore::save_stream(&dump, format, &mut stdout()?, &mut progress)
        }
        _ => kdump_vmcore::save(&dump, destination, options, &mut progress),
    };
    reporter.finish();
    let removed = match &result {
        Ok(report) => report.removed_leftover,
        Err(failure) => failure.report.removed_leftover,
    };
    if removed {
        let name = if parts.is_empty() { destination.clone() } else { split::any(destination) };
        let mut name = name.into_os_string();
        name.push(".incomplete");
        new_file::leftover(&PathBuf::from(name));
    }
    let time = begun.elapsed();
    let can_resume = parts.is_empty() && matches!(format, SaveFormat::Elf(_) | SaveFormat::Kdump(_));
    let outcome = Outcome::of(result, &place, can_resume, !files.is_empty());
    if let Outcome::Whole(report) | Outcome::Lacking(report) = &outcome {
        tell(report);
    }
    if matches.get_one::<String>("progress").is_some_and(|how| how == "json") {
        if let Some(report) = outcome.report() {
            crate::terminal::tell!("{}", document(report, time));
        }
    }
    if matches.get_flag("json") {
        let told = Told { format: Some(format), warning, set: (!parts.is_empty()).then_some(files) };
        crate::json::print(&outcome.document(told, destination, time))?;
    }
    outcome.end(destination)
}

/// What is to be saved, and as what.
struct Job<'m> {
    destination: &'m PathBuf,
    format: SaveFormat,
    dump: Dump<'static>,
}

impl<'m> Job<'m> {
    /// Refuses what makes no sense, and opens the source.
    fn of(matches: &'m ArgMatches) -> Result<Self, Failure> {
        let destination =
            matches.get_one::<PathBuf>("dst").ok_or_else(|| Failure::usage("DST is missing"))?;
        let format = format(matches)?;
        split::check(matches, format)?;
        if !matches.get_flag("dry-run") {
            if is_stdout(destination) {
                refuse_of_stream(matches)?;
            } else {
                space::check(options(matches, format), destination)?;
            }
        }
        let mut dump = info::open(matches)?;
        if let Some(threads) = threads(matches) {
            dump = dump.read_options(ReadOptions::default().threads(threads.into()));
        }
        let defects = &dump.completeness().defects;
        for defect in defects.iter().take(LINES) {
            crate::terminal::tell!("kdump save: the source is damaged: {defect}");
        }
        if let Some(more) = defects.len().checked_sub(LINES).filter(|&more| more > 0) {
            crate::terminal::tell!("kdump save: and {more} more defects");
        }
        Ok(Self { destination, format, dump })
    }
}

/// What is asked for and allowed.
fn options(matches: &ArgMatches, format: SaveFormat) -> SaveOptions {
    let stop = matches.get_one::<String>("on-full").is_some_and(|what| what == "stop");
    let on_full = if stop { OnFull::Stop } else { OnFull::Keep };
    let min_free = matches.get_one::<u64>("min-free").copied().unwrap_or(0);
    let options = SaveOptions::default().format(format).min_free(min_free).on_full(on_full);
    options.force(matches.get_flag("force")).resume(matches.get_flag("resume"))
}

/// Options about a file system make no sense where there is none.
fn refuse_of_stream(matches: &ArgMatches) -> CommandResult {
    let given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    match ["min-free", "on-full", "resume", "json"].iter().find(|name| given(name)) {
        Some(name) => {
            Err(Failure::usage(format!("--{name} is for a DST that is a file: - is standard output")))
        }
        None => Ok(()),
    }
}

/// Tells what would be saved. Pages of zeros are known when they are read only: the size is the most there
/// can be.
fn dry_run(matches: &ArgMatches, dump: &Dump<'_>, format: SaveFormat) -> CommandResult {
    let estimate = kdump_vmcore::estimate(dump, format).map_err(|error| Failure::new(error.to_string()))?;
    let to_stdout = matches.get_flag("json");
    if to_stdout || matches.get_one::<String>("progress").is_some_and(|how| how == "json") {
        let document = json!({
            "saved": false,
            "memory": estimate.memory,
            "max_size": split::max_size(matches, estimate.max_size, estimate.memory),
            "left_out_pages": left_out_pages(&estimate.left_out),
            "undecided_pages": estimate.left_out.unreadable,
            "pages_without_record": estimate.left_out.without,
        });
        if to_stdout {
            crate::json::print(&document)?;
        } else {
            crate::terminal::tell!("{document}");
        }
        return Ok(());
    }
    for line in left_out(&estimate.left_out) {
        crate::terminal::tell!("{line}");
    }
    let size = split::max_size(matches, estimate.max_size, estimate.memory);
    let memory = info::human_size(estimate.memory);
    crate::terminal::tell!("would save {memory} of memory in at most {size} bytes; nothing is written");
    Ok(())
}

/// What the source lacked, in a sentence.
pub(crate) fn lacking(report: &SaveReport) -> String {
    let unreadable = unreadable(report);
    let kinds = [
        (report.missing, "missing: behind the end of the source"),
        (unreadable, "could not be read"),
        (report.corrupt, "corrupt"),
        (report.given_up, "given up, because the list of what could not be read was full"),
    ];
    let kinds = kinds.iter().filter(|(bytes, _)| *bytes > 0);
    let mut text = format!("the source lacked {} bytes of memory", report.lacking());
    for (index, (bytes, kind)) in kinds.enumerate() {
        let separator = if index == 0 { " (" } else { ", " };
        text.push_str(&format!("{separator}{bytes} {kind}"));
    }
    if report.lacking() > 0 {
        text.push(')');
    }
    if report.source_defects > 0 {
        text.push_str(&format!(", and had {} other defects", report.source_defects));
    }
    text
}

/// Bytes that could not be read, those told apart left out.
fn unreadable(report: &SaveReport) -> u64 {
    report.unreadable.bytes.saturating_sub(report.missing).saturating_sub(report.corrupt)
}

fn left_out_pages(left_out: &LeftOut) -> serde_json::Map<String, Value> {
    left_out.classes().map(|(class, pages)| (class.name().to_owned(), pages.into())).collect()
}

fn document(report: &SaveReport, time: Duration) -> Value {
    let micros = time.as_micros().max(1);
    let rate = u128::from(report.memory).saturating_mul(1_000_000).checked_div(micros).unwrap_or(0);
    json!({
        "milliseconds": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        "bytes_per_second": u64::try_from(rate).unwrap_or(u64::MAX),
        "written": report.written,
        "resumed": report.resumed,
        "stage_milliseconds": {
            "read": report.times.read / 1_000_000,
            "zero_test": report.times.zero_test / 1_000_000,
            "compress": report.times.compress / 1_000_000,
            "write": report.times.write / 1_000_000,
            "sync": report.times.sync / 1_000_000,
        },
        "stored_pages": {
            "zero": report.stored.zero,
            "plain": report.stored.plain,
            "compressed": report.stored.compressed,
        },
        "saved": true,
        "whole": report.is_whole(),
        "file_size": report.file_size,
        "memory": report.memory,
        "missing": report.missing,
        "unreadable": unreadable(report),
        "corrupt": report.corrupt,
        "given_up": report.given_up,
        "left_out_pages": left_out_pages(&report.left_out),
        "short_run_pages": report.left_out.short,
        "undecided_pages": report.left_out.unreadable,
        "pages_without_record": report.left_out.without,
        "doubt": report.left_out.doubt.map(|doubt| json!({ "blocks": doubt.blocks, "impossible": doubt.impossible })),
        "source_defects": report.source_defects,
    })
}

/// Whether the dump goes to standard output.
fn is_stdout(destination: &Path) -> bool {
    destination.as_os_str() == "-"
}

/// Standard output without the buffer that looks for the ends of lines.
pub(crate) fn stdout() -> Result<File, Failure> {
    if was_closed() {
        return Err(Failure::new("standard output is closed"));
    }
    let own = std::io::stdout().as_fd().try_clone_to_owned();
    own.map(File::from).map_err(|error| Failure::new(format!("standard output: {error}")))
}

/// Whether the program was started without standard output. Rust's runtime opens /dev/null in its
/// place, for reading and writing as no shell does.
fn was_closed() -> bool {
    let is_null = std::fs::read_link("/proc/self/fd/1").is_ok_and(|path| path == Path::new("/dev/null"));
    let text = std::fs::read_to_string("/proc/self/fdinfo/1").unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    // O_ACCMODE and O_RDWR (include/uapi/asm-generic/fcntl.h).
    is_null && flags.is_some_and(|flags| flags & 3 == 2)
}

/// Threads that are asked for, no more than there are CPUs: others would wait for these.
fn threads(matches: &ArgMatches) -> Option<u16> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = u16::try_from(cpus).unwrap_or(u16::MAX);
    matches.get_one::<u16>("threads").map(|&threads| threads.min(cpus))
}

/// What is to be written. Compression, leaving pages out and standard output ask for the format that has them.
fn format(matches: &ArgMatches) -> Result<SaveFormat, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let stdout = matches.get_one::<PathBuf>("dst").is_some_and(|path| is_stdout(path));
    let codec = match text("compress") {
        None | Some("none") => None,
        Some(name) => Some(Codec::from_name(name).ok_or_else(|| Failure::usage("no such compression"))?),
    };
    let threads = threads(matches).unwrap_or(1);
    let exclude = classes(matches);
    let level = matches.get_one::<i32>("level").copied();
    check_level(codec, level)?;
    let kernel_first = text("order") == Some("kernel-first");
    let order = if kernel_first { SaveOrder::KernelFirst } else { SaveOrder::ByAddress };
    let options =
        KdumpOptions::default().codec(codec).level(level).threads(threads).exclude(exclude).order(order);
    let stream = stdout || matches.get_flag("flattened");
    let usual = match (stream, codec) {
        (true, _) => "kdump",
        (_, None) if exclude.is_empty() && !kernel_first && !split::is_asked(matches) => "elf",
        _ => "kdump",
    };
    let name = text("format").unwrap_or(usual);
    match name {
        "raw" if stream => Err(Failure::new(
            "--format raw cannot be flattened, as DST - is, too: nothing would tell where memory ends; use --format kdump or elf",
        )),
        "elf" | "raw" if codec.is_some() => {
            Err(Failure::new(format!("--format {name} has no compression: use --format kdump")))
        }
        "elf" | "raw" if kernel_first => {
            let why = "is written by address, as it tells only how far it is: use --format kdump";
            Err(Failure::new(format!("--format {name} {why}")))
        }
        "raw" if !exclude.is_empty() => {
            let why = "--format raw cannot tell what is left out: use --format kdump or elf";
            Err(Failure::new(why))
        }
        "raw" => Ok(SaveFormat::Raw),
        _ if stdout && std::io::stdout().is_terminal() => {
            Err(Failure::new("standard output is a terminal: a dump is not for reading there"))
        }
        "elf" => {
            let elf = ElfOptions::default().exclude(exclude).threads(threads);
            Ok(if stream { SaveFormat::FlattenedElf(elf) } else { SaveFormat::Elf(elf) })
        }
        "flattened" => Ok(SaveFormat::Flattened(options)),
        _ => Ok(if stream { SaveFormat::Flattened(options) } else { SaveFormat::Kdump(options) }),
    }
}

/// A level the compression has.
fn check_level(codec: Option<Codec>, level: Option<i32>) -> CommandResult {
    let Some(level) = level else { return Ok(()) };
    let Some(codec) = codec else {
        return Err(Failure::usage("--level is of a compression: name it with --compress"));
    };
    let has = codec.levels();
    if (has.min..=has.max).contains(&level) {
        return Ok(());
    }
    let (name, min, max) = (codec.name(), has.min, has.max);
    Err(Failure::usage(format!("--level {level}: {name} has levels from {min} to {max}")))
}

/// Kinds of pages to leave out; pages of zeros are none of them.
fn classes(matches: &ArgMatches) -> Classes {
    let level = matches.get_one::<u8>("dump-level").copied().unwrap_or(0);
    let names = matches.get_many::<String>("exclude").into_iter().flatten();
    let classes = names.filter_map(|name| PageClass::ALL.into_iter().find(|class| class.name() == name));
    classes.fold(Classes::from_level(level), Classes::with)
}

/// What was left out, and what was kept because nothing could be told of it.
fn left_out(left_out: &LeftOut) -> Vec<String> {
    let LeftOut { unreadable, without, .. } = *left_out;
    let classes = left_out.classes().map(|(class, pages)| format!("{pages} {}", class.name()));
    let classes: Vec<String> = classes.collect();
    let mut lines = Vec::new();
    if !classes.is_empty() {
        lines.push(format!("left out pages: {}", classes.join(", ")));
    }
    if let Some(doubt) = left_out.doubt {
        lines.push(format!(
            "kept all pages: the kernel's records (struct page) are not what VMCOREINFO says; of {} free \
             blocks that they tell, {} records contradict themselves",
            doubt.blocks, doubt.impossible
        ));
    }
    if left_out.short > 0 {
        lines.push(format!(
            "of these saved even so: {} pages in runs too short for an ELF core",
            left_out.short
        ));
    }
    if unreadable > 0 {
        lines.push(format!("kept {unreadable} pages of which the kernel's record cannot be read"));
    }
    if without > 0 {
        lines.push(format!(
            "kept {without} pages of which the kernel has no record (struct page): none of them could be judged"
        ));
    }
    lines
}

/// Whether pages were written in the order that was asked for.
fn is_followed(order: WrittenOrder) -> bool {
    matches!(order, WrittenOrder::ByAddress | WrittenOrder::KernelFirst { .. })
}

/// In which order pages were written, where another one was asked for.
fn order(order: WrittenOrder) -> Option<String> {
    let because = match order {
        WrittenOrder::ByAddress => return None,
        WrittenOrder::KernelFirst { pages } => return Some(format!("first {pages} pages of the kernel")),
        WrittenOrder::Unknown(error) => error.to_string(),
        WrittenOrder::Doubtful(_) => "the kernel's records (struct page) contradict themselves".to_owned(),
    };
    Some(format!("all pages in the order of their addresses, not the kernel's first: {because}"))
}

/// What a reader of the log must know about the file.
fn tell(report: &SaveReport) {
    let size = info::human_size;
    crate::terminal::tell!(
        "saved {} of memory, {} written, file size {} bytes",
        size(report.memory),
        size(report.written),
        report.file_size
    );
    if report.resumed > 0 {
        crate::terminal::tell!(
            "went on with what was there: {} bytes of it are as they should be",
            report.resumed
        );
    }
    for line in left_out(&report.left_out).into_iter().chain(order(report.order)) {
        crate::terminal::tell!("{line}");
    }
    if report.shared > 0 {
        crate::terminal::tell!("{} that several PT_LOADs list are stored once", size(report.shared));
    }
    let dropped = report.dropped_phdrs.iter().map(|index| format!("program header {index} of the source"));
    crate::terminal::tell_some("left out, neither PT_LOAD nor PT_NOTE or past the last address", dropped);
    let unreadable = &report.unreadable;
    if unreadable.is_empty() {
        return;
    }
    crate::terminal::tell!("{} bytes of memory could not be read:", unreadable.bytes);
    for bad in unreadable.ranges.iter().take(LINES) {
        crate::terminal::tell!("  {}: {}", bad.range, bad.error);
    }
    let more = unreadable.ranges.len().saturating_sub(LINES) as u64;
    let more = more.saturating_add(unreadable.unlisted);
    if more > 0 {
        crate::terminal::tell!("  and {more} more ranges; `kdump map` of the copy has them all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_could_not_be_judged_are_told() {
        let of = |unreadable, without| {
            let mut found = LeftOut::default();
            (found.unreadable, found.without) = (unreadable, without);
            found
        };
        assert_eq!(left_out(&of(0, 0)), [""; 0]);
        let lines = left_out(&of(3, 5)).join("\n");
        assert!(lines.contains("kept 3 pages") && lines.contains("kept 5 pages"), "{lines}");
        let mut report = SaveReport::default();
        report.left_out = of(3, 5);
        let found = document(&report, Duration::from_secs(2));
        assert_eq!((&found["undecided_pages"], &found["pages_without_record"]), (&json!(3), &json!(5)));
    }
}
