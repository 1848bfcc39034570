//! `kdump makedumpfile`, and this program under the name makedumpfile: the other tool's command line.

mod options;
mod rearrange;
mod save;
mod usage;
mod voice;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use kdump_vmcore::{Dump, KernelMemory, ReadAt, ReadOptions, open_dump_file};

use crate::cmd::dmesg;
use crate::cmd::info::unmapped;
use crate::failure::{CommandResult, Failure};
use crate::new_file::NewFile;
pub(crate) use options::command;
use options::{Options, Task};
use voice::Voice;

/// What every failure is, whatever its kind (makedumpfile(8), "DIAGNOSTICS"). 2, for a vmlinux of
/// another kernel, cannot happen: none is needed.
const FAILED: u8 = 1;

/// Runs with what stands behind the name; tells everything itself.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    let name = OsString::from("makedumpfile");
    let parsed = command().try_get_matches_from(core::iter::once(&name).chain(args));
    let matches = match parsed {
        Ok(matches) => matches,
        Err(error) => {
            crate::terminal::tell!("{}", error.render().to_string().trim_end());
            return failed(Voice::usual(false));
        }
    };
    run(&matches)
}

fn run(matches: &ArgMatches) -> ExitCode {
    let options = match Options::of(matches) {
        Ok(options) => options,
        Err(sentence) => {
            let voice = Voice::of(matches);
            voice.warn(&format!("makedumpfile: {sentence}"));
            voice.say("Commandline parameter is invalid.\nTry `makedumpfile --help' for more information.");
            return failed(voice);
        }
    };
    for name in &options.unneeded {
        options.voice.debug(&format!("{name} is not needed and has no effect"));
    }
    let voice = options.voice;
    match act(&options) {
        Ok(()) if matches!(options.task, Task::Help | Task::Version | Task::Nothing) => ExitCode::SUCCESS,
        Ok(()) => {
            voice.say("\nmakedumpfile Completed.");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if failure.is_worth_telling() {
                voice.warn(&format!("makedumpfile: {failure}"));
            }
            failed(voice)
        }
    }
}

/// The last word of every run that failed.
fn failed(voice: Voice) -> ExitCode {
    voice.say("\nmakedumpfile Failed.");
    ExitCode::from(FAILED)
}

fn act(options: &Options) -> CommandResult {
    match &options.task {
        Task::Help => print(&command().render_long_help().to_string()),
        Task::Version => print(&version()),
        Task::Nothing => Ok(()),
        Task::Dump { from, to } => save::dump(options, from, to),
        Task::Stream { from } => save::stream(options, from),
        Task::Rearrange { to } => rearrange::from_stdin(options, to),
        Task::Reassemble { from, to } => save::reassemble(options, from, to),
        Task::Log { from, to } => log(options, from, to),
        Task::Usage { from } => usage::print(from, options),
    }
}

/// Which version of which program, and its codecs, in lines as makedumpfile has them.
fn version() -> String {
    use kdump_vmcore::codec::Codec;
    let mut text = format!("makedumpfile: kdump {}, by the options of 1.7.2\n", env!("CARGO_PKG_VERSION"));
    for codec in [Codec::Lzo, Codec::Snappy, Codec::Zstd] {
        let state = if codec.can_encode() { "enabled" } else { "disabled" };
        text.push_str(&format!("{codec}\t{state}\n"));
    }
    text
}

fn print(text: &str) -> CommandResult {
    use std::io::Write;
    let mut out = crate::terminal::out();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}

/// Opens a dump, or the parts of one.
fn open(paths: &[PathBuf], options: &Options) -> Result<Dump<'static>, Failure> {
    let mut parts: Vec<Box<dyn ReadAt>> = Vec::new();
    for path in paths {
        let file = open_dump_file(path).map_err(|error| Failure::from(error).of(path.display()))?;
        parts.push(if options.mapped { unmapped(file) } else { Box::new(file) });
    }
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let dump = Dump::open_parts(parts).map_err(|error| Failure::from(error).of(names.join(", ")))?;
    Ok(dump.read_options(ReadOptions::default().threads(options.threads.into())))
}

/// A file that is there is written over with -f only.
fn refuse_existing(options: &Options, place: &Path) -> CommandResult {
    if options.force || place.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::new(format!("{}: exists already; -f writes over it", place.display())))
}

/// The dead kernel's log as a file.
fn log(options: &Options, from: &PathBuf, to: &Path) -> CommandResult {
    refuse_existing(options, to)?;
    let dump = open(core::slice::from_ref(from), options)?;
    let log = dmesg::read(&dump)?;
    dmesg::refuse_empty(&log)?;
    let mut file = NewFile::create(to, &[from])?;
    let mut text = Vec::new();
    dmesg::write(&log, &mut crate::terminal::Text::over(&mut text))?;
    file.write(&text)?;
    file.keep()?;
    dmesg::tell_losses(&log, "makedumpfile");
    options.voice.say(&format!("\nThe dmesg log is saved to {}.", to.display()));
    Ok(())
}

/// Prints where a virtual address of the dead kernel lies (`--vtop`).
fn translate(options: &Options, dump: &Dump<'_>, vaddr: u64) -> CommandResult {
    let found = KernelMemory::new(dump).translate(kdump_elf::Vaddr(vaddr));
    let mapping = found.map_err(|stopped| Failure::from(stopped.error).of(format!("--vtop {vaddr:x}")))?;
    let paddr = mapping.paddr.0;
    options.voice.say(&format!("Translating virtual address {vaddr:x} to physical address."));
    options.voice.say(&format!("VIRTUAL           PHYSICAL\n{vaddr:<16x}  {paddr:x}\n"));
    Ok(())
}
