//! What may be asked of `kdump save`, and what is.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, ElfOptions, KdumpOptions, OnFull, PageClass, SaveFormat, SaveOptions, SaveOrder,
};

use super::{info, split};
use crate::args;
use crate::failure::{CommandResult, Failure};
use crate::progress;

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
VMCOREINFO describes it, of x86_64, arm64 and i386: with any class also those with memory errors and those given back to a
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

/// What is asked for and allowed.
pub(super) fn options(matches: &ArgMatches, format: SaveFormat) -> SaveOptions {
    let stop = matches.get_one::<String>("on-full").is_some_and(|what| what == "stop");
    let on_full = if stop { OnFull::Stop } else { OnFull::Keep };
    let min_free = matches.get_one::<u64>("min-free").copied().unwrap_or(0);
    let options = SaveOptions::default().format(format).min_free(min_free).on_full(on_full);
    options.force(matches.get_flag("force")).resume(matches.get_flag("resume"))
}

/// Options about a file system make no sense where there is none.
pub(super) fn refuse_of_stream(matches: &ArgMatches) -> CommandResult {
    let given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    match ["min-free", "on-full", "resume", "json"].iter().find(|name| given(name)) {
        Some(name) => {
            Err(Failure::usage(format!("--{name} is for a DST that is a file: - is standard output")))
        }
        None => Ok(()),
    }
}

/// Whether the dump goes to standard output.
pub(super) fn is_stdout(destination: &Path) -> bool {
    destination.as_os_str() == "-"
}

/// Threads that are asked for, no more than there are CPUs: others would wait for these.
pub(super) fn threads(matches: &ArgMatches) -> Option<u16> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = u16::try_from(cpus).unwrap_or(u16::MAX);
    matches.get_one::<u16>("threads").map(|&threads| threads.min(cpus))
}

/// What is to be written. Compression, leaving pages out and standard output ask for the format that has them.
pub(super) fn format(matches: &ArgMatches) -> Result<SaveFormat, Failure> {
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
