//! What `kdump save` writes, read by others: each codec, as a file and as a stream.

use core::slice::from_ref;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::compare::Pages;
use super::makedumpfile::{CODECS, Maker, make, rearrange, remove};
use super::struct_page::{self, PageArray};
use super::{Readers, at, compare, peer, row};
use crate::consumers;
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::shell;

/// Pages of which crash reads a word.
const SAMPLES: usize = 64;

/// Each class alone, and what distributions use.
const LEVELS: [&str; 5] = ["2", "4", "8", "16", "31"];

/// Levels of every format and codec, and the one that the other rows lack.
pub(super) const MATRIX: &[&str] = &["0", "1", "31"];
pub(super) const FEW_LEVELS: &[&str] = &["31"];

/// Rows for each codec and for each class of pages.
pub(super) fn rows(
    readers: &Readers,
    dump: &Path,
    dir: &Path,
    levels: &[&str],
    clock: Clock,
) -> Result<Vec<Row>> {
    let source = Pages::of_elf(dump)?;
    let maker = Maker::host()?;
    let mut rows = Vec::new();
    for (codec, flag) in CODECS {
        clock.say(&format!("saved with {codec}"));
        let (plain, stream, whole) = (at(dir, "saved"), at(dir, "saved.flat"), at(dir, "saved.whole"));
        save(&readers.kdump, dump, &["--format", "kdump", "--compress", codec, "--threads", "2"], &plain)?;
        rows.push(row(&format!("kdump save {codec}"), readers, from_ref(&plain), from_ref(&plain), &source));
        save(&readers.kdump, dump, &["--format", "flattened", "--compress", codec], &stream)?;
        rearrange(&stream, &whole)?;
        let name = format!("kdump save {codec} flattened");
        rows.push(row(&name, readers, from_ref(&stream), from_ref(&whole), &source));
        let through = through_stdout(&readers.kdump, dump, codec, &stream);
        rows.push(Row::of(&format!("kdump save {codec} to -"), through));
        let mut files = vec![plain, stream, whole];
        let name = format!("kdump save {codec}, filtered by makedumpfile");
        if !maker.has(flag)? {
            rows.push(Row::untested(&name, "this makedumpfile is built without it"));
        } else if let Some(plain) = files.first() {
            let again = at(dir, "saved.again");
            let options: Vec<&str> = ["-d", "1", flag].into_iter().filter(|word| !word.is_empty()).collect();
            make(&maker, plain, &options, &[again.as_path()])?;
            rows.push(row(&name, readers, from_ref(&again), from_ref(&again), &source));
            files.push(again);
        }
        if let Some(plain) = files.first() {
            let detail = in_crash(plain, dir, &source);
            rows.push(Row::of(&format!("kdump save {codec} in crash"), detail));
        }
        remove(&files)?;
    }
    clock.say("saved as a stream of an ELF core");
    rows.push(Row::of("kdump save elf flattened", elf_stream(readers, dump, dir, &source)));
    rows.push(Row::of("kdump save --split", split(readers, dump, dir, &source)));
    rows.extend(filtered_rows(readers, &maker, dump, dir, &source, clock));
    rows.extend(matrix_rows(readers, "", dump, dir, &source, levels, clock));
    Ok(rows)
}

/// The parts are the dump: for us, for libkdumpfile, and as one file that makedumpfile makes of them.
fn split(readers: &Readers, dump: &Path, dir: &Path, source: &Pages) -> Result<String> {
    let (base, whole) = (at(dir, "saved.set"), at(dir, "saved.set.whole"));
    let parts: Vec<PathBuf> = (1..=3).map(|index| at(dir, &format!("saved.set-{index}"))).collect();
    save(&readers.kdump, dump, &["--split", "3", "--compress", "lzo", "-d", "31"], &base)?;
    let mut command = shell::tool("makedumpfile")?;
    shell::stdout(command.args(["-f", "--reassemble"]).args(&parts).arg(&whole))?;
    let reversed: Vec<PathBuf> = parts.iter().rev().cloned().collect();
    let read = compare::ours(&readers.kdump, &reversed, source)?;
    let said = compare::same_bytes("the source", source, &read)?;
    compare::same_states(&read, &peer::read(&readers.libkdumpfile, &parts, source)?, false)?;
    compare::same_states(&read, &peer::read(&readers.libkdumpfile, from_ref(&whole), source)?, false)?;
    let sizes = parts.iter().map(|part| fs::metadata(part).context(part.display()).map(|found| found.len()));
    let sizes = sizes.collect::<Result<Vec<u64>>>()?;
    remove(&[parts.as_slice(), &[whole]].concat())?;
    Ok(format!("{said} in parts of {sizes:?} bytes; all as libkdumpfile, also of makedumpfile --reassemble"))
}

/// The stream is the dump, in place, as makedumpfile puts it together and as we do: that is the core a file gets.
fn elf_stream(readers: &Readers, dump: &Path, dir: &Path, source: &Pages) -> Result<String> {
    let [stream, whole, ours, plain] =
        ["saved.flat", "saved.whole", "saved.ours", "saved.elf"].map(|name| at(dir, name));
    save(&readers.kdump, dump, &["--format", "elf", "--flattened"], &stream)?;
    rearrange(&stream, &whole)?;
    save(&readers.kdump, &stream, &["--format", "elf"], &ours)?;
    save(&readers.kdump, dump, &["--format", "elf"], &plain)?;
    let read = compare::ours(&readers.kdump, from_ref(&stream), source)?;
    let said = compare::same_bytes("the source", source, &read)?;
    compare::same_states(&read, &peer::read(&readers.libkdumpfile, from_ref(&whole), source)?, true)?;
    let bytes = |path: &Path| fs::read(path).context(path.display());
    if bytes(&ours)? != bytes(&plain)? {
        return Err(failed("put together it is another file than the core that is saved at once"));
    }
    remove(&[stream, whole, ours, plain])?;
    Ok(format!("{said}; put together by makedumpfile for libkdumpfile, by us the core itself"))
}

/// A row for each format, codec and dump level: every page that is stored is that of the source, and nothing of an ELF
/// core or a kdump-compressed file is another one for libkdumpfile.
pub(super) fn matrix_rows(
    readers: &Readers,
    prefix: &str,
    dump: &Path,
    dir: &Path,
    source: &Pages,
    levels: &[&str],
    clock: Clock,
) -> Vec<Row> {
    let kdump = CODECS.map(|(codec, _)| ("kdump", codec));
    let mut rows = Vec::new();
    for (format, codec) in kdump.into_iter().chain([("elf", "none")]) {
        clock.say(&format!("{prefix}saved as {format}, {codec}, at every level"));
        for level in levels {
            let out = at(dir, "saved.cell");
            let mut options = vec!["--format", format, "-d", level, "--threads", "2"];
            if format == "kdump" {
                options.extend(["--compress", codec]);
            }
            let name = format!("{prefix}kdump save {format} {codec} -d {level}");
            let cell = save(&readers.kdump, dump, &options, &out);
            rows.push(match cell {
                Ok(()) => row(&name, readers, from_ref(&out), from_ref(&out), source),
                Err(error) => Row::of(&name, Err(error)),
            });
            let _ = fs::remove_file(&out);
        }
    }
    rows
}

/// A row for each class of pages, with the makedumpfile of an architecture. `dump` is an ELF core.
pub(super) fn filtered_rows(
    readers: &Readers,
    maker: &Maker,
    dump: &Path,
    dir: &Path,
    source: &Pages,
    clock: Clock,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for level in LEVELS {
        clock.say(&format!("{}saved with -d {level}", maker.prefix()));
        let detail = filtered(readers, maker, dump, dir, level, source);
        rows.push(Row::of(&format!("{}kdump save -d {level}", maker.prefix()), detail));
    }
    rows
}

/// What is left out is what makedumpfile leaves out, page by page, also for libkdumpfile.
fn filtered(
    readers: &Readers,
    maker: &Maker,
    dump: &Path,
    dir: &Path,
    level: &str,
    source: &Pages,
) -> Result<String> {
    let (ours, theirs) = (at(dir, "saved.ours"), at(dir, "saved.theirs"));
    save(&readers.kdump, dump, &["--format", "kdump", "-d", level, "--threads", "2"], &ours)?;
    make(maker, dump, &["-d", level], &[theirs.as_path()])?;
    let made = compare::ours(&readers.kdump, from_ref(&theirs), source)?;
    let read = compare::ours(&readers.kdump, from_ref(&ours), source)?;
    let said = compare::same_bytes("the source", source, &read)?;
    let as_maker = match compare::same_states(&read, &made, false) {
        Ok(()) => "as makedumpfile".to_owned(),
        Err(_) => struct_page::explain(&PageArray::of(&readers.kdump, dump)?, &read, &made)?,
    };
    compare::same_states(&read, &peer::read(&readers.libkdumpfile, from_ref(&ours), source)?, false)?;
    remove(&[ours, theirs])?;
    Ok(format!("{said}; all as libkdumpfile, {as_maker}"))
}

fn save(kdump: &Path, dump: &Path, options: &[&str], out: &Path) -> Result {
    let mut command = Command::new(kdump);
    command.args(["save", "--progress", "none"]).args(options).arg(dump).arg(out);
    shell::stdout(&mut command).map(|_| ())
}

/// Standard output gets what a file gets.
fn through_stdout(kdump: &Path, dump: &Path, codec: &str, stream: &Path) -> Result<String> {
    let out = stream.with_extension("stdout");
    let mut command = Command::new(kdump);
    command.args(["save", "--progress", "none", "--compress", codec, "--threads", "2"]).arg(dump).arg("-");
    command.stdout(File::create(&out).context(out.display())?);
    let line = shell::describe(&command);
    let status = command.status().context(&line)?;
    let read = |path: &PathBuf| fs::read(path).context(path.display());
    let same = read(&out)? == read(&stream.to_owned())?;
    remove(from_ref(&out))?;
    if status.success() && same {
        Ok("the same stream".to_owned())
    } else {
        Err(failed(format!("{line}: {status}")))
    }
}

/// crash reads the same words.
fn in_crash(dump: &Path, dir: &Path, source: &Pages) -> Result<String> {
    let step = source.0.len().checked_div(SAMPLES).unwrap_or(1).max(1);
    let sample: Vec<_> = source.0.iter().step_by(step).collect();
    let addresses: Vec<u64> = sample.iter().map(|(paddr, _)| **paddr).collect();
    let found = consumers::words_in_crash(dump, dir.to_owned(), &addresses)?;
    let word = |page: &Option<Vec<u8>>| page.as_ref()?.first_chunk().map(|word| u64::from_le_bytes(*word));
    let expected: Vec<u64> = sample.iter().filter_map(|(_, page)| word(page)).collect();
    if found == expected {
        return Ok(format!("{} words of as many pages", found.len()));
    }
    Err(failed(format!("crash has {found:x?} at {addresses:x?}, not {expected:x?}")))
}
