//! The options of makedumpfile (its manual page, version 1.7.2), and what is asked for by them.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kdump_vmcore::codec::Codec;

use super::voice::Voice;

const LONG: &str = "\
Takes the command line of makedumpfile(8), so that scripts written for it run unchanged: called by the
name makedumpfile, this program is it. What it cannot do is refused by the name of the option, before
anything is written.";

const AFTER: &str = "\
VMCORE is a dump in any format, or /proc/vmcore. DUMPFILE is written as DUMPFILE.incomplete, synced and
renamed. With -F the dump goes to standard output as a flattened stream, and all messages to standard
error; -R puts such a stream, from standard input, together.

Exit status: 0 saved, also if VMCORE lacked something, which is told; 1 not saved, or bad usage.

Examples:
  kdump makedumpfile -l -d 31 /proc/vmcore /var/crash/vmcore
  kdump makedumpfile -F -c -d 31 /proc/vmcore | ssh host 'makedumpfile -R vmcore'
  kdump makedumpfile --dump-dmesg /proc/vmcore /var/crash/dmesg";

/// Options whose answer would be another file than was asked for: they are refused.
const REFUSED: [(&str, Option<char>, bool); 10] = [
    ("vmcoreinfo-out", Some('g'), true),
    ("limit", Some('L'), true),
    ("config", None, true),
    ("eppic", None, true),
    ("xen-syms", None, true),
    ("xen-vmcoreinfo", None, true),
    ("xen_phys_start", None, true),
    ("xen", Some('X'), false),
    ("diskset", None, true),
    ("dry-run", None, false),
];

/// Options that change nothing of the result and are not needed here.
const UNNEEDED: [(&str, Option<char>, bool); 7] = [
    ("vmlinux", Some('x'), true),
    ("vmcoreinfo", Some('i'), true),
    ("block-order", Some('b'), true),
    ("cyclic-buffer", None, true),
    ("splitblock-size", None, true),
    ("work-dir", None, true),
    ("partial-dmesg", None, false),
];

/// Letters of compression; of several the last counts.
const CODECS: [(&str, char, Codec); 4] = [
    ("zlib", 'c', Codec::Zlib),
    ("lzo", 'l', Codec::Lzo),
    ("snappy", 'p', Codec::Snappy),
    ("zstd", 'z', Codec::Zstd),
];

pub(crate) fn command() -> Command {
    let unneeded = "Accepted; not needed here";
    let options = UNNEEDED.map(|(name, letter, value)| foreign(name, letter, value).help(unneeded));
    let refused = REFUSED.map(|(name, letter, value)| foreign(name, letter, value).help("Refused"));
    let codecs = CODECS.map(|(name, letter, _)| flag(name).short(letter));
    let codecs = codecs.map(|arg| arg.help("Compress pages by the codec of this name").hide(false));
    Command::new("makedumpfile")
        .about("Save a dump as makedumpfile does, by its options")
        .long_about(LONG)
        .after_help(AFTER)
        .disable_help_flag(true)
        .disable_version_flag(true)
        // As getopt_long(3): options may be repeated, and shortened to what is unambiguous.
        .args_override_self(true)
        .infer_long_args(true)
        .args(codecs)
        .arg(value("level", "LEVELS").short('d').value_parser(levels).help(
            "Leave pages out: 1 of zeros, 2 and 4 of the page cache, 8 of users, 16 free ones; of several \
             levels, separated by commas, the next is tried when the disk is full",
        ))
        .arg(flag("elf").short('E').help("Write an ELF core"))
        .arg(flag("flattened").short('F').help("Write a flattened stream to standard output"))
        .arg(
            flag("rearrange")
                .short('R')
                .help("Write what the stream on standard input describes to DUMPFILE"),
        )
        .arg(flag("force").short('f').help("Write over DUMPFILE"))
        .arg(flag("debug").short('D').help("Print debugging messages"))
        .arg(long("split").help("Write as many parts as there are DUMPFILEs"))
        .arg(long("reassemble").help("Make one file of the parts of a split dump"))
        .arg(long("dump-dmesg").help("Write the dead kernel's log to DUMPFILE"))
        .arg(
            long("mem-usage")
                .help("Count the pages of each kind; VMCORE alone, /proc/kcore for this machine"),
        )
        .arg(long("non-mmap").help("Read /proc/vmcore by system calls, not by mapping pieces of it"))
        .arg(long("show-stats").help("Print how many pages were left out"))
        .arg(long("check-params").help("Look at the options only"))
        .arg(
            value("num-threads", "N")
                .long("num-threads")
                .value_parser(value_parser!(u16))
                .help("Read and compress by this many threads"),
        )
        .arg(
            value("message-level", "N")
                .long("message-level")
                .value_parser(value_parser!(u8).range(0..=31))
                .help("What to print: the sum of 1 progress, 2 messages, 4 errors, 8 debugging, 16 report"),
        )
        .arg(
            value("vtop", "ADDRESS")
                .long("vtop")
                .value_parser(hexadecimal)
                .help("Print the physical address of this virtual one, as well"),
        )
        .args(options)
        .args(refused)
        .arg(long("help").short('h').help("Print this"))
        .arg(long("version").short('v').help("Print the version"))
        .arg(
            Arg::new("files")
                .value_names(["VMCORE", "DUMPFILE"])
                .num_args(0..)
                .value_parser(value_parser!(PathBuf))
                .help("What is read, and what is written"),
        )
}

/// A flag with a letter alone.
fn flag(name: &'static str) -> Arg {
    Arg::new(name).action(ArgAction::SetTrue)
}

fn long(name: &'static str) -> Arg {
    flag(name).long(name)
}

fn value(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).value_name(value)
}

/// An option of makedumpfile that is not one of ours.
fn foreign(name: &'static str, letter: Option<char>, value: bool) -> Arg {
    let arg = match letter {
        Some(letter) => Arg::new(name).short(letter),
        None => Arg::new(name).long(name),
    };
    if value { arg.value_name("X").num_args(1) } else { arg.action(ArgAction::SetTrue) }
}

/// Dump levels, separated by commas.
fn levels(text: &str) -> Result<Levels, String> {
    let level = |word: &str| {
        let level: Option<u8> = word.parse().ok();
        level.filter(|&level| level <= 31).ok_or_else(|| format!("{word:?} is no dump level (0 to 31)"))
    };
    text.split(',').map(level).collect::<Result<Vec<u8>, String>>().map(Levels)
}

/// Dump levels in the order in which they are tried; at least one.
#[derive(Clone, Debug)]
struct Levels(Vec<u8>);

/// An address in hexadecimal digits, with 0x or without.
fn hexadecimal(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let number = u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
    number.ok_or_else(|| format!("{text:?} is no hexadecimal address"))
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// -h
    Help,
    /// -v
    Version,
    /// --check-params
    Nothing,
    /// A dump, or with several outputs (--split) the parts of one.
    Dump { from: PathBuf, to: Vec<PathBuf> },
    /// A dump to standard output (-F).
    Stream { from: PathBuf },
    /// -R
    Rearrange { to: PathBuf },
    /// --reassemble
    Reassemble { from: Vec<PathBuf>, to: PathBuf },
    /// --dump-dmesg
    Log { from: PathBuf, to: PathBuf },
    /// --mem-usage
    Usage { from: PathBuf },
}

/// How it is to be done.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) task: Task,
    pub(super) codec: Option<Codec>,
    /// Dump levels to try, one after the other; at least one.
    pub(super) levels: Vec<u8>,
    pub(super) elf: bool,
    pub(super) force: bool,
    pub(super) threads: u16,
    /// /proc/vmcore may be mapped.
    pub(super) mapped: bool,
    pub(super) vtop: Option<u64>,
    pub(super) voice: Voice,
    /// Options that were given and are not needed.
    pub(super) unneeded: Vec<String>,
}

impl Options {
    /// From a command line that clap has understood.
    ///
    /// # Errors
    /// A sentence on what makes no sense, or is not possible here.
    pub(super) fn of(matches: &ArgMatches) -> Result<Self, String> {
        let set = |name: &str| matches.get_flag(name);
        let codecs = CODECS.iter().filter(|(name, ..)| set(name));
        let place = |name: &str| matches.indices_of(name).and_then(|mut places| places.next_back());
        let codec = codecs.max_by_key(|(name, ..)| place(name)).map(|&(_, _, codec)| codec);
        let levels = matches.get_one::<Levels>("level").map_or_else(|| vec![0], |levels| levels.0.clone());
        let threads = matches.get_one::<u16>("num-threads").copied().unwrap_or(1).max(1);
        let task = task(matches)?;
        let options = Self {
            codec,
            levels,
            elf: set("elf"),
            force: set("force"),
            threads,
            mapped: !set("non-mmap"),
            vtop: matches.get_one("vtop").copied(),
            voice: Voice::of(matches),
            unneeded: given(matches, &UNNEEDED),
            task,
        };
        if matches!(options.task, Task::Help | Task::Version) {
            return Ok(options);
        }
        if options.elf && codec.is_some() {
            return Err("-E has no compression: leave out -c, -l, -p and -z".to_owned());
        }
        if options.elf && set("split") {
            return Err("--split has no ELF cores: leave out -E or --split".to_owned());
        }
        match given(matches, &REFUSED).first() {
            Some(name) => Err(format!("{name}: not possible with this makedumpfile; leave it out")),
            None => Ok(options),
        }
    }
}

/// Those of `options` that are on the command line, as one types them.
fn given(matches: &ArgMatches, options: &[(&str, Option<char>, bool)]) -> Vec<String> {
    let said = options
        .iter()
        .filter(|(name, ..)| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine));
    said.map(|(name, letter, _)| letter.map_or(format!("--{name}"), |letter| format!("-{letter}"))).collect()
}

/// Which of the things it does, with as many files as that needs.
fn task(matches: &ArgMatches) -> Result<Task, String> {
    let set = |name: &str| matches.get_flag(name);
    if set("help") {
        return Ok(Task::Help);
    }
    if set("version") {
        return Ok(Task::Version);
    }
    let files: Vec<PathBuf> = matches.get_many("files").unwrap_or_default().cloned().collect();
    let count = files.len();
    let wrong = |wanted: &str| Err(format!("{count} files are given: {wanted}"));
    let task = if set("rearrange") {
        match <[PathBuf; 1]>::try_from(files) {
            Ok([to]) => Task::Rearrange { to },
            Err(_) => return wrong("-R takes one, DUMPFILE"),
        }
    } else if set("mem-usage") {
        match <[PathBuf; 1]>::try_from(files) {
            Ok([from]) => Task::Usage { from },
            Err(_) => return wrong("--mem-usage takes one, /proc/kcore"),
        }
    } else if set("reassemble") {
        match files.split_last() {
            Some((to, from)) if !from.is_empty() => Task::Reassemble { from: from.to_vec(), to: to.clone() },
            _ => return wrong("--reassemble takes the parts, and DUMPFILE"),
        }
    } else if set("dump-dmesg") {
        match <[PathBuf; 2]>::try_from(files) {
            Ok([from, to]) => Task::Log { from, to },
            Err(_) => return wrong("--dump-dmesg takes two, VMCORE and LOGFILE"),
        }
    } else if set("flattened") {
        match <[PathBuf; 1]>::try_from(files) {
            Ok([from]) => Task::Stream { from },
            Err(_) => return wrong("-F takes one, VMCORE, and writes to standard output"),
        }
    } else if let Some((from, to)) = files.split_first().filter(|(_, to)| (to.len() > 1) == set("split")) {
        if to.is_empty() {
            return wrong("VMCORE and DUMPFILE are needed");
        }
        Task::Dump { from: from.clone(), to: to.to_vec() }
    } else if set("split") {
        return wrong("--split takes VMCORE and two DUMPFILEs at least");
    } else {
        return wrong("VMCORE and DUMPFILE are needed");
    };
    Ok(if set("check-params") { Task::Nothing } else { task })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words = core::iter::once("makedumpfile").chain(line.split_whitespace());
        let matches = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        Options::of(&matches)
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn letters_stand_together_or_alone() {
        for line in [
            "-ld31 core out",
            "-l -d 31 core out",
            "-l -d31 core out",
            "core out -d 31 -l",
            "-c -d 0 -d31 -cl core out",
        ] {
            let options = parse(line).unwrap();
            assert_eq!((options.codec, options.levels.as_slice()), (Some(Codec::Lzo), &[31][..]), "{line}");
            let to = vec![PathBuf::from("out")];
            assert_eq!(options.task, Task::Dump { from: "core".into(), to }, "{line}");
        }
        assert_eq!(parse("-d 11,31 a b").unwrap().levels, [11, 31]);
        assert_eq!(parse("--num-threads=3 a b").unwrap().threads, 3);
        assert_eq!(parse("--num 3 a b").unwrap().threads, 3);
        assert_eq!(["a b", "--non-mmap a b"].map(|line| parse(line).unwrap().mapped), [true, false]);
        assert_eq!(parse("-F -c -d 31 -F core").unwrap().task, Task::Stream { from: "core".into() });
        assert_eq!(parse("--check-params -c core out").unwrap().task, Task::Nothing);
        assert_eq!(parse("--vtop ffffffff81000000 a b").unwrap().vtop, Some(0xffff_ffff_8100_0000));
        assert_eq!(
            parse("-x vmlinux -i info --work-dir /tmp a b").unwrap().unneeded,
            ["-x", "-i", "--work-dir"]
        );
        for help in ["-h", "--help", "-h -E -c"] {
            assert_eq!(parse(help).unwrap().task, Task::Help);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (line, name) in [
            ("-d 32 a b", "32"),
            ("-d x a b", "\"x\""),
            ("-E -c a b", "-E"),
            ("--message-level 32 a b", "message-level"),
            ("--num-threads x a b", "num-threads"),
            ("--vtop +1 a b", "+1"),
            ("-g info -x vmlinux a b", "-g"),
            ("-L 5 a b", "-L"),
            ("--dry-run a b", "--dry-run"),
            ("--check-params --eppic x a b", "--eppic"),
            ("--split a b", "--split"),
            ("--split -E a b c", "-E"),
            ("a b c", "3 files"),
            ("", "0 files"),
            ("-F a b", "-F"),
            ("-R", "-R"),
            ("--reassemble a", "--reassemble"),
            ("--dump-dmesg a", "--dump-dmesg"),
            ("--bogus", "--bogus"),
        ] {
            let said = parse(line).map(|options| options.task).unwrap_err();
            assert!(said.contains(name), "{line}: {said}");
        }
    }
}
