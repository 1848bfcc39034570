//! Dumps of makedumpfile: each codec, each level, in one file, as a stream and split.

use core::slice::from_ref;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::compare::Pages;
use super::{Readers, at, row};
use crate::apt::Archive;
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::shell;

pub(crate) const CODECS: [(&str, &str); 5] =
    [("none", ""), ("zlib", "-c"), ("lzo", "-l"), ("snappy", "-p"), ("zstd", "-z")];
pub(super) const LEVELS: &[&str] = &["0", "1", "31"];
/// All pages, and as few as can be.
pub(super) const FEW_LEVELS: &[&str] = &["0", "31"];

/// The makedumpfile of an architecture: each knows the kernels of its own alone.
#[derive(Debug)]
pub(crate) struct Maker {
    /// The program and what stands in front of its options.
    words: Vec<OsString>,
    /// What names of rows begin with.
    prefix: String,
}

/// The packages that a foreign makedumpfile needs to run.
const PACKAGES: [&str; 8] =
    ["makedumpfile", "libc6", "libdw1", "libelf1", "liblzo2-2", "zlib1g", "libbz2-1.0", "liblzma5"];

impl Maker {
    /// That of this machine.
    pub(crate) fn host() -> Result<Self> {
        let program = shell::find("makedumpfile").context("makedumpfile: no such program")?;
        Ok(Self { words: vec![program.into()], prefix: String::new() })
    }

    /// That of another architecture, unpacked below `shelf` and run by `emulator`.
    pub(crate) fn foreign(archive: &Archive, emulator: &str, shelf: &Path, prefix: &str) -> Result<Self> {
        let emulator = shell::find(emulator).context(format!("{emulator}: no such program"))?;
        if !shelf.exists() {
            let part = shelf.with_extension("part");
            if part.exists() {
                fs::remove_dir_all(&part).context(part.display())?;
            }
            fs::create_dir_all(&part).context(part.display())?;
            archive.with_fresh_lists(|| PACKAGES.iter().try_for_each(|name| archive.unpack(name, &part)))?;
            stay_inside(&part.join("lib64"))?;
            fs::rename(&part, shelf).context(shelf.display())?;
        }
        let program = shelf.join("usr/bin/makedumpfile");
        let words = vec![emulator.into(), "-L".into(), shelf.into(), program.into()];
        Ok(Self { words, prefix: format!("{prefix} ") })
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is built with the codec of an option.
    pub(crate) fn has(&self, flag: &str) -> Result<bool> {
        let help = shell::text(self.command()?.arg("--help"))?;
        Ok(flag.is_empty() || !help.contains(&format!("('{flag}' option will be ignored")))
    }

    /// The program, to be given its options.
    pub(crate) fn command(&self) -> Result<Command> {
        let (program, rest) = self.words.split_first().context("no program")?;
        let mut command = Command::new(program);
        command.args(rest);
        Ok(command)
    }
}

/// Links that begin at the root would lead out of the directory that stands for it: that of the dynamic
/// linker of ppc64el does.
fn stay_inside(dir: &Path) -> Result {
    if !dir.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).context(dir.display())? {
        let link = entry.context(dir.display())?.path();
        let Ok(target) = fs::read_link(&link) else { continue };
        if let Ok(inside) = target.strip_prefix("/") {
            fs::remove_file(&link).context(link.display())?;
            symlink(Path::new("..").join(inside), &link).context(link.display())?;
        }
    }
    Ok(())
}

/// A row for each variant of `dump`, filtered at each of `levels`.
pub(super) fn rows(
    readers: &Readers,
    maker: &Maker,
    dump: &Path,
    dir: &Path,
    levels: &[&str],
    clock: Clock,
) -> Result<Vec<Row>> {
    clock.say(&format!("reading {}", dump.display()));
    let source = Pages::of_elf(dump)?;
    let prefix = &maker.prefix;
    let mut rows = Vec::new();
    for (codec, flag) in CODECS {
        // It would write uncompressed pages and say nothing in its exit status.
        if !maker.has(flag)? {
            let why = "this makedumpfile is built without it";
            rows.push(Row::untested(&format!("{prefix}{codec}"), why));
            continue;
        }
        for &level in levels {
            clock.say(&format!("{prefix}{codec} at level {level}"));
            let options: Vec<&str> =
                ["-d", level, flag].into_iter().filter(|word| !word.is_empty()).collect();
            let name = format!("{prefix}{codec} -d {level}");
            rows.extend(variants(&name, &options, readers, maker, dump, dir, &source)?);
        }
    }
    clock.say("ELF");
    let elf = at(dir, "elf");
    make(maker, dump, &["-E", "-d", "31"], &[elf.as_path()])?;
    rows.push(row(&format!("{prefix}elf -d 31"), readers, from_ref(&elf), &[], &source));
    let stream = at(dir, "elf.flat");
    flatten(maker, dump, &["-E", "-d", "31"], &stream)?;
    rows.push(row(&format!("{prefix}elf -d 31 flattened"), readers, from_ref(&stream), &[], &source));
    remove(&[elf, stream])?;
    Ok(rows)
}

/// One file, a stream, three parts.
fn variants(
    name: &str,
    options: &[&str],
    readers: &Readers,
    maker: &Maker,
    dump: &Path,
    dir: &Path,
    source: &Pages,
) -> Result<Vec<Row>> {
    let (plain, stream, whole) = (at(dir, "plain"), at(dir, "flat"), at(dir, "rearranged"));
    let parts = ["part1", "part2", "part3"].map(|name| at(dir, name));
    make(maker, dump, options, &[plain.as_path()])?;
    flatten(maker, dump, options, &stream)?;
    rearrange(&stream, &whole)?;
    // Small blocks, so that each part has pages.
    let split = [options, &["--splitblock-size", "1024", "--split"]].concat();
    make(maker, dump, &split, &parts.each_ref().map(PathBuf::as_path))?;
    let rows = vec![
        row(name, readers, from_ref(&plain), from_ref(&plain), source),
        // The library of Debian 12 knows no streams.
        row(&format!("{name} flattened"), readers, from_ref(&stream), from_ref(&whole), source),
        row(&format!("{name} split"), readers, &reversed(&parts), &parts, source),
    ];
    remove(&[&[plain, stream, whole], parts.as_slice()].concat())?;
    Ok(rows)
}

/// The parts in an order that nobody would expect.
fn reversed(parts: &[PathBuf]) -> Vec<PathBuf> {
    parts.iter().rev().cloned().collect()
}

pub(super) fn make(maker: &Maker, dump: &Path, options: &[&str], out: &[&Path]) -> Result {
    let mut command = maker.command()?;
    let (last, rest) = options.split_last().map_or((None, options), |(last, rest)| (Some(last), rest));
    command.arg("-f").args(rest).args(last).arg(dump).args(out);
    shell::stdout(&mut command).map(|_| ())
}

fn flatten(maker: &Maker, dump: &Path, options: &[&str], out: &Path) -> Result {
    let mut command = maker.command()?;
    command.arg("-F").args(options).arg(dump);
    let file = File::create(out).context(out.display())?;
    let output = command.stdin(Stdio::null()).stdout(file).output().context(shell::describe(&command))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}: {}", shell::describe(&command), output.status, said.trim())))
}

/// Puts a stream together, as its makers do.
pub(super) fn rearrange(stream: &Path, out: &Path) -> Result {
    let mut command = shell::tool("makedumpfile")?;
    command.args(["-f", "-R"]).arg(out).stdin(File::open(stream).context(stream.display())?);
    let line = shell::describe(&command);
    let output = command.output().context(&line)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(failed(format!("{line}: {}", said.trim()))) }
}

pub(super) fn remove(files: &[PathBuf]) -> Result {
    files.iter().try_for_each(|file| fs::remove_file(file).context(file.display()))
}
