//! The extension of the crash utility, in `crash --minimal` on a dump.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::session::{self, Session};
use crate::error::{Context, Result, failed};
use crate::install::Places;
use crate::progress::Row;
use crate::{apt, repo, shell};

const PAGE: u64 = 4096;
/// How many addresses are read by crash and by libkdump.
const PROBES: u64 = 256;
/// crash takes 100 words on a line.
const ARGUMENTS: usize = 64;
/// Probes go this much further than the memory of the dump, which has holes.
const BEYOND: u64 = 2;

/// Builds kdump.so.
pub(super) fn build(places: &Places) -> Result<PathBuf> {
    apt::ensure(session::NEEDS)?;
    let dir = repo::scratch("crash-plugin")?;
    super::make("examples/crash-plugin", places, &dir, &[])?;
    Ok(dir.join("kdump.so"))
}

/// What the extension must show, one row per fact.
pub(super) fn rows(plugin: &Path, places: &Places, dump: &Path) -> Result<Vec<Row>> {
    let session = Session::minimal(dump, repo::scratch("crash-plugin")?)?;
    let bench = Bench { load: format!("extend {}", plugin.display()), session };
    let info = bench.say(&["kdump info"])?;
    let mut rows = vec![Row::of("loads into crash", loaded(&info))];
    rows.push(Row::of("no symbol twice", symbols(plugin, places)));
    rows.push(Row::of("kdump info", described(&info)));
    rows.push(Row::of("kdump cpus", bench.cpus(&info)));
    rows.push(Row::of("kdump pages, read", bench.pages(&info)));
    rows.push(Row::of("kdump on, off", bench.diversion(&info)));
    rows.push(Row::of("kdump verify", bench.verify()));
    rows.push(Row::of("senseless commands", bench.refused()));
    rows.push(Row::of("unload while on", bench.unload(plugin)));
    Ok(rows)
}

struct Bench<'a> {
    /// The command that loads the extension.
    load: String,
    session: Session<'a>,
}

impl Bench<'_> {
    /// The answers to `commands` with the extension loaded.
    fn say(&self, commands: &[&str]) -> Result<String> {
        let loaded = core::iter::once(self.load.as_str()).chain(commands.iter().copied());
        self.session.run(&loaded.map(str::to_owned).collect::<Vec<_>>())
    }

    fn cpus(&self, info: &str) -> Result<String> {
        let expected: usize = field(info, "CPUS")?.parse().context("CPUS")?;
        let text = self.say(&["kdump cpus"])?;
        let found = text.lines().filter(|line| line.starts_with("CPU NOTE ")).count();
        let pointers = text.matches("rip: ").count();
        if found == expected && pointers == expected && expected > 0 {
            return Ok(format!("registers of {found} CPUs"));
        }
        Err(failed(format!("{expected} CPUs, {found} shown, {pointers} with rip")))
    }

    /// The state of pages, and the bytes of one that is stored, against crash's own.
    fn pages(&self, info: &str) -> Result<String> {
        let commands: Vec<String> = probes(info)?.chunks(ARGUMENTS).map(page_command).collect();
        let text = self.say(&commands.iter().map(String::as_str).collect::<Vec<_>>())?;
        let state = |word: &str| text.lines().filter(|line| line.trim_end().ends_with(word)).count();
        let first = text.lines().find_map(|line| line.trim().strip_suffix("  stored"));
        let first = first.context(format!("no page is stored: {text}"))?;
        let pfn = u64::from_str_radix(first.trim(), 16).context("page number")?;
        let paddr = pfn.checked_mul(PAGE).context("page number")?;
        let own = self.say(&[&format!("rd -p -8 {paddr:x} 4096")])?;
        let read = self.say(&[&format!("kdump read {paddr:#x} 4096")])?;
        let (own, read) = (bytes(&own), bytes(&read));
        if own.len() != 4096 || own != read {
            return Err(failed(format!(
                "{paddr:#x}: crash and libkdump read {} and {} bytes, which differ",
                own.len(),
                read.len()
            )));
        }
        Ok(format!(
            "{} stored, {} not RAM, {} excluded; 4096 bytes at {paddr:#x} as crash reads them",
            state("stored"),
            state("not RAM"),
            state("excluded")
        ))
    }

    /// The same reads by crash and through libkdump, those of holes included.
    fn diversion(&self, info: &str) -> Result<String> {
        let reads: Vec<String> = probes(info)?.iter().map(|paddr| format!("rd -p {paddr:x} 512")).collect();
        let own = self.session.run(&reads)?;
        let mut through = vec![self.load.clone(), "kdump on".to_owned()];
        through.extend(reads);
        through.push("kdump off".to_owned());
        let (count, failures, text) = session::diverted(&self.session.run(&through)?)?;
        let lines = session::same(&own, &text)?;
        if count < PROBES || failures >= count {
            return Err(failed(format!("{count} reads went through libkdump, {failures} failed")));
        }
        Ok(format!("{count} reads, {failures} of them of holes: {lines} lines as without"))
    }

    fn verify(&self) -> Result<String> {
        let text = self.say(&["kdump verify"])?;
        let line = text.lines().find(|line| line.starts_with("sound: "));
        line.map(str::to_owned).context(format!("not sound: {text}"))
    }

    /// Wrong input is answered with a message and leaves the session usable.
    fn refused(&self) -> Result<String> {
        let senseless = ["kdump", "kdump what", "kdump read x 8", "kdump read 0xfffffffffffff000 8"];
        let mut commands = senseless.to_vec();
        commands.push("kdump info");
        let text = self.say(&commands)?;
        for wanted in ["Usage:", "not a number: x", "hole"] {
            if !text.contains(wanted) {
                return Err(failed(format!("no {wanted:?} in {text}")));
            }
        }
        described(&text).map(|_| format!("{} refused, the session goes on", senseless.len()))
    }

    /// What crash reads through must not go away with the extension.
    fn unload(&self, plugin: &Path) -> Result<String> {
        let text = self.say(&["kdump on", &format!("extend -u {}", plugin.display()), "rd -p 0 1"])?;
        if !text.contains("shared object unloaded") {
            return Err(failed(text));
        }
        Ok("crash reads by itself again".to_owned())
    }
}

fn loaded(text: &str) -> Result<String> {
    match text.contains(": shared object loaded") {
        true => Ok("shared object loaded".to_owned()),
        false => Err(failed(text)),
    }
}

/// crash exports thousands of names and loads extensions into one space with them.
fn symbols(plugin: &Path, places: &Places) -> Result<String> {
    let crash = shell::find("crash").context("crash: no such program")?;
    let taken = exported(&crash)?;
    let mut own = exported(&places.dir("lib").join("libkdump.so"))?;
    own.extend(exported(plugin)?);
    let twice: Vec<&String> = own.intersection(&taken).collect();
    if taken.is_empty() || own.is_empty() || !twice.is_empty() {
        return Err(failed(format!("{} of crash, {} of ours, both: {twice:?}", taken.len(), own.len())));
    }
    Ok(format!("{} of crash, {} of ours", taken.len(), own.len()))
}

/// The names a program or library exports, without versions.
fn exported(file: &Path) -> Result<BTreeSet<String>> {
    let text = shell::text(shell::tool("nm")?.args(["-D", "--defined-only", "--format=posix"]).arg(file))?;
    let names = text.lines().filter_map(|line| line.split([' ', '@']).next());
    // The names of versions are symbols, too.
    Ok(names.filter(|name| !name.starts_with("LIBKDUMP_")).map(str::to_owned).collect())
}

fn described(info: &str) -> Result<String> {
    Ok(format!("{}; {}", field(info, "FORMAT")?, field(info, "MEMORY")?))
}

/// The value of a line such as `  CPUS: 2`.
fn field<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
    value.context(format!("no {name} in {text:?}"))
}

/// Asks for the states of the pages at these addresses.
fn page_command(addresses: &[u64]) -> String {
    let numbers = addresses.iter().map(|paddr| format!(" {:#x}", paddr / PAGE));
    format!("kdump pages{}", numbers.collect::<String>())
}

/// Page addresses all over the memory of the dump and behind it.
fn probes(info: &str) -> Result<Vec<u64>> {
    let memory = field(info, "MEMORY")?.split(' ').next().unwrap_or_default();
    let memory: u64 = memory.parse().context("MEMORY")?;
    let step = (memory.saturating_mul(BEYOND) / PROBES).next_multiple_of(PAGE);
    Ok((0..PROBES).map(|index| index.saturating_mul(step)).collect())
}

/// The bytes of a dump of lines `ADDRESS: 00 01 … 0f  text`.
fn bytes(text: &str) -> Vec<&str> {
    let hex = |word: &&str| word.len() == 2 && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    let rest = text.lines().filter_map(|line| Some(line.trim().split_once(":  ")?.1));
    rest.flat_map(|rest| rest.split(' ').take(16).filter(hex)).collect()
}

#[cfg(test)]
mod tests {
    use super::{bytes, field, probes};

    #[test]
    fn lines_of_the_extension() {
        let info = "     MEMORY: 334352384 bytes in 3 ranges\n       CPUS: 2\n";
        assert_eq!(field(info, "CPUS").unwrap(), "2");
        assert!(field(info, "FORMAT").is_err());
        let probes = probes(info).unwrap();
        assert_eq!(probes.len(), 256);
        assert!(probes.iter().all(|paddr| paddr % 4096 == 0) && probes[255] > 334_352_384);
    }

    #[test]
    fn bytes_of_both_dumps() {
        let own = "          100000:  66 2e 0f 1f 84 00 00 00 00 00 66 90 90 90 90 90   f.........f.....\n";
        assert_eq!(bytes(own).len(), 16);
        assert_eq!(bytes("  100000:  66 2e  f.\n"), ["66", "2e"]);
    }
}
