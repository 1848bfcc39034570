//! Programs of others that prove the C library: kexec-tools, linked with it, and the crash
//! utility, which loads an extension that calls it.

mod crash_plugin;
mod crash_utility;
mod cut;
mod debug_kernel;
mod guest;
mod kexec_tools;
mod recorded;
mod session;
mod source;
mod swapped;

use std::path::{Path, PathBuf};

use crate::apt::{self, Need};
use crate::args::Args;
use crate::crash::options::Series;
use crate::error::{Context, Result, failed};
use crate::install::{self, Places, Profile};
use crate::progress::{self, Clock, Row};
use crate::{repo, shell};

pub(crate) use guest::{GuestFile, installed};

const NEEDS: &[Need] = &[
    Need { what: "cc", package: "gcc" },
    Need { what: "make", package: "make" },
    Need { what: "pkg-config", package: "pkg-config" },
];

/// Everything the commands and loaders need.
pub(crate) fn needs() -> Vec<Need> {
    [NEEDS, kexec_tools::NEEDS, swapped::NEEDS, session::NEEDS].concat()
}

/// `cargo xtask kexec-tools`: builds kexec with libkdump, and compares it with kexec alone;
/// then the kexec of the distribution, with our purgatory in it.
pub(crate) fn run_kexec_tools(args: &[String]) -> Result {
    Args::new(args).finish()?;
    let clock = Clock::start();
    let places = library(clock)?;
    let kexec = kexec_tools::build(&places, clock)?;
    let image = crate::crash::image(clock)?;
    let stock = kexec_tools::build_stock()?;
    let mut rows = vec![Row::of("linked", kexec_tools::check(&kexec, &places))];
    rows.extend(recorded::rows(&kexec, &stock, &image, &places));
    rows.extend(swapped::rows(&image, &places));
    clock.say(&format!("it is {}", kexec.display()));
    progress::close("kexec-tools", &rows)
}

/// `cargo xtask crash-plugin [--dump FILE]`: the extension in `crash --minimal`.
pub(crate) fn run_crash_plugin(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    args.finish()?;
    let clock = Clock::start();
    let dump = dump_or_crash(dump)?;
    let places = library(clock)?;
    let plugin = crash_plugin::build(&places)?;
    clock.say(&format!("loading the extension into crash, on {}", dump.display()));
    progress::close("extension of crash", &crash_plugin::rows(&plugin, &places, &dump)?)
}

/// `cargo xtask crash-utility [--dump FILE] [--only cut]`: whole sessions with the kernel's symbols, and on what a full
/// disk leaves of a dump.
pub(crate) fn run_crash_utility(args: &[String]) -> Result {
    let mut args = Args::new(args);
    let dump = args.value("--dump")?.map(PathBuf::from);
    let only = args.value("--only")?;
    args.finish()?;
    let clock = Clock::start();
    let dump = dump_or_crash(dump)?;
    let vmlinux = debug_kernel::vmlinux(&dump, clock)?;
    let cut = cut::rows(&vmlinux, &dump, clock)?;
    match only.as_deref() {
        Some("cut") => return progress::close("crash, on half a dump", &cut),
        Some(_) => return Err(failed("--only takes cut")),
        None => {}
    }
    let places = library(clock)?;
    let plugin = crash_plugin::build(&places)?;
    let rows = crash_utility::rows(&plugin, &vmlinux, &dump, clock)?.into_iter().chain(cut);
    progress::close("crash, with and without libkdump", &rows.collect::<Vec<Row>>())
}

/// What `cargo xtask crash --loader c` puts into the guest.
pub(crate) fn c_loader(clock: Clock) -> Result<Vec<GuestFile>> {
    let places = library(clock)?;
    let out = repo::scratch("consumers/c")?;
    let program = out.join("load");
    make("examples/c", &places, &out, &[program.as_os_str().to_owned()])?;
    guest::closure("bin/load", &program, &places)
}

/// What `cargo xtask crash --loader kexec-tools+libkdump` puts into the guest.
pub(crate) fn kexec_tools_loader(clock: Clock) -> Result<Vec<GuestFile>> {
    let places = library(clock)?;
    let kexec = kexec_tools::build(&places, clock)?;
    clock.say(&kexec_tools::check(&kexec, &places)?);
    guest::closure("bin/kexec", &kexec, &places)
}

/// The C library, built from this checkout and installed where only we look.
fn library(clock: Clock) -> Result<Places> {
    apt::ensure(NEEDS)?;
    clock.say("building libkdump");
    let places = Places::new(&repo::scratch("consumers")?.join("prefix"), Path::new(""));
    install::install(&places, Profile::Lab)?;
    Ok(places)
}

/// `make` in a directory of this checkout, as a user types it.
fn make(dir: &str, places: &Places, out: &Path, args: &[std::ffi::OsString]) -> Result {
    let mut make = install::with_library(shell::tool("make")?, places);
    make.args(["-s", "-B", "-C"]).arg(repo::root()?.join(dir));
    make.arg(format!("OUT={}", out.display())).args(args);
    shell::stdout(&mut make).map(|_| ())
}

/// The words at physical addresses as the crash utility reads them in `dump`, which it need know
/// nothing of the kernel for.
pub(crate) fn words_in_crash(dump: &Path, dir: PathBuf, addresses: &[u64]) -> Result<Vec<u64>> {
    let session = session::Session::minimal(dump, dir)?;
    let commands: Vec<String> = addresses.iter().map(|at| format!("rd -p -64 {at:#x} 1")).collect();
    let said = session.run(&commands)?;
    let words = said.lines().filter_map(|line| {
        let (at, rest) = line.split_once(':')?;
        u64::from_str_radix(at.trim(), 16).ok()?;
        u64::from_str_radix(rest.split_whitespace().next()?, 16).ok()
    });
    Ok(words.collect())
}

/// The given dump; without one that of a fresh crash.
pub(crate) fn dump_or_crash(dump: Option<PathBuf>) -> Result<PathBuf> {
    dump_or_crash_of(dump, Series::V6_1)
}

/// The given dump; without one that of a fresh crash of a kernel of `series`.
pub(crate) fn dump_or_crash_of(dump: Option<PathBuf>, series: Series) -> Result<PathBuf> {
    let dump = match dump {
        Some(dump) => std::path::absolute(&dump).context(dump.display())?,
        None => {
            let keep = repo::scratch("consumers")?.join("crash");
            let args = ["--kernel", series.name(), "--keep", &keep.display().to_string()].map(str::to_owned);
            crate::crash::run(&args)?;
            keep.join("disk/dump.elf")
        }
    };
    if dump.is_file() { Ok(dump) } else { Err(failed(format!("{}: no such file", dump.display()))) }
}
