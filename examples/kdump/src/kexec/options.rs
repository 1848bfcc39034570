//! The options of kexec (its manual page, version 2.0.25), and what is asked for by them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

const LONG: &str = "\
Takes the command line of kexec(8), so that scripts which load a capture kernel by it run unchanged:
called by the name kexec, this program is it. Loads as kdump load does. What has nothing to do with
capture kernels, as -l and -e, is refused.";

const AFTER: &str = "\
Without -s, -c or -a and with -a the call is chosen as by kdump load --syscall auto: kexec_load(2), and
kexec_file_load(2) where the kernel does not have or not allow it.

Exit status: 0 done; 1 failed, or bad usage. With --status: 0 not loaded, 1 loaded, 255 unknown.

Examples:
  kdump kexec -p /boot/vmlinuz --initrd=/boot/initrd --command-line='irqpoll nr_cpus=1'
  kdump kexec -p -u";

/// Options that would do what this program does not.
const REFUSED: [(&str, Option<char>, bool); 8] = [
    ("exec", Some('e'), false),
    ("force", Some('f'), false),
    ("entry", None, true),
    ("load-preserve-context", None, false),
    ("load-jump-back-helper", None, false),
    ("reuseinitrd", None, false),
    ("args-elf", None, false),
    ("module", None, true),
];

/// Options that change nothing here.
const UNNEEDED: [(&str, Option<char>, bool); 10] = [
    ("debug", Some('d'), false),
    ("type", Some('t'), true),
    ("no-checks", Some('i'), false),
    ("no-ifdown", Some('x'), false),
    ("no-sync", Some('y'), false),
    ("args-linux", None, false),
    ("elf64-core-headers", None, false),
    ("console-serial", None, false),
    ("console-vga", None, false),
    ("reset-vga", None, false),
];

/// Options of the same meaning as one of kdump load, and its name.
const SAME: [(&str, &str); 4] = [
    ("mem-min", "--mem-min"),
    ("mem-max", "--mem-max"),
    ("serial", "--purgatory-serial"),
    ("serial-baud", "--serial-baud"),
];

pub(crate) fn command() -> Command {
    let unneeded = UNNEEDED.map(|option| foreign(option).help("Accepted; changes nothing"));
    let refused = REFUSED.map(|option| foreign(option).help("Refused"));
    let same = SAME.map(|(name, ours)| text(name).help(format!("As {ours} of kdump load")));
    Command::new("kexec")
        .about("Load a capture kernel as kexec -p does, by its options")
        .long_about(LONG)
        .after_help(AFTER)
        .disable_help_flag(true)
        .disable_version_flag(true)
        // As getopt_long(3): options may be repeated, and shortened to what is unambiguous.
        .args_override_self(true)
        .infer_long_args(true)
        .arg(flag("load-panic", Some('p')).help("Load a capture kernel; with -u remove it"))
        .arg(flag("load", Some('l')).help("Refused; with -S the other kind of kernel is meant"))
        .arg(flag("unload", Some('u')).help("Remove the capture kernel, with -p"))
        .arg(flag("kexec-syscall", Some('c')).help("Use kexec_load(2) alone"))
        .arg(flag("kexec-file-syscall", Some('s')).help("Use kexec_file_load(2) alone"))
        .arg(flag("kexec-syscall-auto", Some('a')).help("Use the one that works"))
        .arg(flag("status", Some('S')).help("Exit 1 when a capture kernel is loaded, 0 when none is"))
        .arg(flag("print-ckr-size", None).help("Print the size of the crash region"))
        .arg(text("append").help("Added to the command line of the capture kernel"))
        .arg(text("command-line").help("The command line of the capture kernel"))
        .arg(flag("reuse-cmdline", None).help("Begin with the command line of the running kernel"))
        .arg(path("initrd").visible_alias("ramdisk").help("The initial ramdisk of the capture kernel"))
        .arg(flag("elf32-core-headers", None).help("Write an ELF32 core header"))
        .arg(flag("real-mode", None).help("Refused"))
        .args(same)
        .args(unneeded)
        .args(refused)
        .arg(flag("help", Some('h')).help("Print this"))
        .arg(flag("version", Some('v')).help("Print the version"))
        .arg(path("kernel").long(None::<&str>).index(1).help("The capture kernel"))
}

fn flag(name: &'static str, letter: Option<char>) -> Arg {
    let arg = Arg::new(name).long(name).action(ArgAction::SetTrue);
    match letter {
        Some(letter) => arg.short(letter),
        None => arg,
    }
}

fn text(name: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("TEXT")
        .value_parser(value_parser!(OsString))
        .allow_hyphen_values(true)
}

fn path(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf))
}

fn foreign((name, letter, value): (&'static str, Option<char>, bool)) -> Arg {
    let arg = flag(name, letter);
    if value { arg.action(ArgAction::Set).value_name("X") } else { arg }
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task {
    Help,
    Version,
    /// With these options of `kdump load`.
    Load(Vec<OsString>),
    Unload,
    /// --print-ckr-size
    Size,
    Status {
        /// Of the capture kernel.
        crash: bool,
    },
}

/// From a command line that clap has understood.
///
/// # Errors
/// A sentence on what makes no sense, or is not possible here.
pub(super) fn task(matches: &ArgMatches) -> Result<Task, String> {
    let set = |name: &str| matches.get_flag(name);
    if set("help") {
        return Ok(Task::Help);
    }
    if set("version") {
        return Ok(Task::Version);
    }
    if set("status") {
        return Ok(Task::Status { crash: !set("load") });
    }
    if set("print-ckr-size") {
        return Ok(Task::Size);
    }
    let given = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    let refused = REFUSED.iter().map(|(name, ..)| *name).chain(["real-mode"]).find(|name| given(name));
    if let Some(name) = refused {
        return Err(format!("--{name}: not possible with this kexec, which loads capture kernels alone"));
    }
    if set("load") || !set("load-panic") {
        return Err("only capture kernels are loaded and removed: give -p, and no -l".to_owned());
    }
    if set("unload") { Ok(Task::Unload) } else { load(matches).map(Task::Load) }
}

/// The options of `kdump load`.
fn load(matches: &ArgMatches) -> Result<Vec<OsString>, String> {
    let set = |name: &str| matches.get_flag(name);
    let call = match (set("kexec-syscall-auto"), set("kexec-file-syscall"), set("kexec-syscall")) {
        (false, true, false) => "file",
        (false, false, true) => "load",
        (_, false, false) | (true, ..) => "auto",
        (false, true, true) => return Err("-s and -c exclude each other".to_owned()),
    };
    let kernel = matches.get_one::<PathBuf>("kernel").ok_or("no kernel is given")?;
    let mut words: Vec<OsString> = vec!["--syscall".into(), call.into(), "--kernel".into(), kernel.into()];
    if let Some(initrd) = matches.get_one::<PathBuf>("initrd") {
        words.extend(["--initrd".into(), initrd.into()]);
    }
    let texts = ["command-line", "append"].into_iter().filter_map(|name| matches.get_one::<OsString>(name));
    let cmdline: Vec<OsString> = texts.filter(|text| !text.is_empty()).cloned().collect();
    if !cmdline.is_empty() {
        words.push("--append".into());
        words.push(cmdline.join(&OsString::from(" ")));
    }
    for (name, ours) in [("reuse-cmdline", "--reuse-cmdline"), ("elf32-core-headers", "--elf32")] {
        words.extend(set(name).then(|| ours.into()));
    }
    for (name, ours) in SAME {
        if let Some(value) = matches.get_one::<OsString>(name) {
            words.extend([ours.into(), value.clone()]);
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Task, String> {
        let words = core::iter::once(&"kexec").chain(words);
        task(&command().try_get_matches_from(words).map_err(|error| error.to_string())?)
    }

    fn words(text: &str) -> Task {
        Task::Load(text.split('|').map(Into::into).collect())
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn scripts_load_and_remove() {
        // Debian's kdump-config.
        let line = ["-p", "--command-line=root=/dev/vda ro  irqpoll", "--initrd=/i", "/k"];
        let load = "--syscall|auto|--kernel|/k|--initrd|/i|--append|root=/dev/vda ro  irqpoll";
        assert_eq!(parse(&line).unwrap(), words(load));
        assert_eq!(
            parse(&["-p", "-s", "--args-linux", "--elf64-core-headers", "/k"]).unwrap(),
            words("--syscall|file|--kernel|/k")
        );
        // Fedora's kdumpctl.
        let line = ["-a", "-d", "-p", "/k", "--ramdisk", "/i", "--append", "-x"];
        assert_eq!(parse(&line).unwrap(), words("--syscall|auto|--kernel|/k|--initrd|/i|--append|-x"));
        let line =
            ["-pc", "/k", "--command-line=a", "--append=b", "--reuse-cmdline", "--elf32", "--mem-min=1M"];
        let load = "--syscall|load|--kernel|/k|--append|a b|--reuse-cmdline|--elf32|--mem-min|1M";
        assert_eq!(parse(&line).unwrap(), words(load));
        for line in [["-p", "-u"].as_slice(), &["-pu"], &["-s", "-p", "-u"]] {
            assert_eq!(parse(line).unwrap(), Task::Unload);
        }
        assert_eq!(parse(&["-S"]).unwrap(), Task::Status { crash: true });
        assert_eq!(parse(&["-S", "-l"]).unwrap(), Task::Status { crash: false });
    }

    #[test]
    fn what_it_does_not_do_is_refused_by_name() {
        for (line, name) in [
            (["-l", "/k"].as_slice(), "-l"),
            (&["/k"], "-p"),
            (&["-u"], "-p"),
            (&["-e"], "--exec"),
            (&["-p", "-f", "/k"], "--force"),
            (&["-p", "--real-mode", "/k"], "--real-mode"),
            (&["-p", "-s", "-c", "/k"], "-s and -c"),
            (&["-p"], "kernel"),
            (&["--bogus"], "--bogus"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(name), "{line:?}: {said}");
        }
    }
}
