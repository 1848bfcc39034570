//! kexec with libkdump on recorded machines, against the same kexec without.
//!
//! Both run in a user namespace with the recorded /proc and /sys in the places of the real ones.
//! There no kernel grants kexec_load(2), which is called after everything was said with `-d`.

use std::path::Path;

use crate::error::{Context, Result, failed};
use crate::install::{self, Places};
use crate::progress::Row;
use crate::{repo, shell};

const MACHINES: &[&str] = &["bios-512m", "efi-1g-612"];
const WHERE: &str = "kdump-segments/tests/machines";
/// Options that change what a crash load adds.
const VARIANTS: &[&[&str]] = &[&[], &["--entry-32bit"], &["--noefi"], &["--pass-memmap-cmdline"]];
const SCRIPT: &str = r#"mount --bind "$1/sys" /sys && mount --bind "$1/proc" /proc && shift && exec "$@""#;
/// How each of the two begins to say what a program header is.
const STOCK: &str = "p_type = ";
const OURS: &str = "libkdump: p_type ";

pub(super) fn rows(kexec: &Path, stock: &Path, image: &Path, places: &Places) -> Vec<Row> {
    let pairs = MACHINES.iter().flat_map(|machine| VARIANTS.iter().map(move |options| (machine, options)));
    pairs
        .map(|(machine, options)| {
            let name = [&[*machine], *options].concat().join(" ");
            let compared = say(stock, machine, options, image, places)
                .and_then(|stock| compare(&stock, &say(kexec, machine, options, image, places)?));
            Row::of(&name, compared)
        })
        .collect()
}

/// What kexec prints about its plan, up to the refused system call.
pub(super) fn say(
    kexec: &Path,
    machine: &str,
    options: &[&str],
    image: &Path,
    places: &Places,
) -> Result<String> {
    let recorded = repo::root()?.join(WHERE).join(machine);
    let mut unshare = install::with_library(shell::tool("unshare")?, places);
    unshare.args(["-rm", "sh", "-c", SCRIPT, "sh"]).arg(recorded).arg(kexec);
    unshare.args(["-d", "-c", "-p"]).args(options).arg("--command-line=console=ttyS0").arg(image);
    let line = shell::describe(&unshare);
    let output = shell::capture(&mut unshare)?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.contains("kexec_load failed: ") {
        return Ok(text);
    }
    Err(failed(format!("{line}: it did not get as far as kexec_load:\n{text}")))
}

fn compare(stock: &str, ours: &str) -> Result<String> {
    let phdrs = (phdrs(stock, STOCK), phdrs(ours, OURS));
    if phdrs.0.is_empty() || phdrs.0 != phdrs.1 {
        return Err(failed(format!("program headers\nalone    {:x?}\nlibkdump {:x?}", phdrs.0, phdrs.1)));
    }
    let maps = (e820(stock)?, e820(ours)?);
    if maps.0.is_empty() || starts(&maps.0) != starts(&maps.1) {
        return Err(failed(format!("e820\nalone    {:x?}\nlibkdump {:x?}", maps.0, maps.1)));
    }
    Ok(format!("{} program headers and {} e820 entries as without", phdrs.0.len(), maps.1.len()))
}

/// p_type, p_offset, p_paddr, p_vaddr and p_memsz of each line that has `mark`.
fn phdrs(text: &str, mark: &str) -> Vec<[u64; 5]> {
    let lines = text.lines().filter_map(|line| Some(line.split_once(mark)?.1));
    lines
        .map(|rest| {
            let field = |name: &str| {
                let value = rest.split_once(name).map_or(rest, |(_, value)| value);
                number(value.trim_start_matches([' ', '=']))
            };
            [number(rest), field("p_offset"), field("p_paddr"), field("p_vaddr"), field("p_memsz")]
        })
        .collect()
}

/// The number a text begins with; a value no line has when there is none.
fn number(text: &str) -> u64 {
    let digits = text.split([' ', ',']).next().unwrap_or_default();
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    value.unwrap_or(u64::MAX)
}

/// First, last and type of the entries that kexec prints below "E820 memmap:".
fn e820(text: &str) -> Result<Vec<(u64, u64, u64)>> {
    let (_, below) = text.split_once("E820 memmap:\n").context("no E820 memmap")?;
    let entries = below.lines().map_while(|line| {
        let (range, kind) = line.split_once(" (")?;
        let (first, last) = range.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        Some((hex(first)?, hex(last)?, kind.trim_end_matches(')').parse().ok()?))
    });
    Ok(entries.collect())
}

/// Where the entries begin and what they are. Entries below a page are left out, and ends are not
/// compared: kexec alone takes 16 KiB for the header and leaves scraps of the segments' last
/// pages in the map.
fn starts(map: &[(u64, u64, u64)]) -> Vec<(u64, u64)> {
    let whole = map.iter().filter(|(first, last, _)| last.saturating_sub(*first) >= 4095);
    whole.map(|(first, _, kind)| (*first, *kind)).collect()
}

#[cfg(test)]
mod tests {
    use super::{OURS, STOCK, compare, e820, phdrs};

    const ALONE: &str = "Elf header: p_type = 4, p_offset = 0x1e83a400 p_paddr = 0x1e83a400 \
        p_vaddr = 0x0 p_filesz = 0x170 p_memsz = 0x170\nE820 memmap:\n\
        0000000009000000-0000000012f5cfff (1)\n0000000012fffc00-0000000012ffffff (1)\nkernel\n";
    const WITH: &str = "libkdump: p_type 4 p_offset 0x1e83a400 p_vaddr 0x0 p_paddr 0x1e83a400 \
        p_memsz 0x170\nE820 memmap:\n0000000009000000-0000000012f5ffff (1)\n";

    #[test]
    fn both_ways_of_saying_it() {
        let expected = [[4, 0x1e83_a400, 0x1e83_a400, 0, 0x170]];
        assert_eq!(phdrs(ALONE, STOCK), expected);
        assert_eq!(phdrs(WITH, OURS), expected);
        assert_eq!(e820(ALONE).unwrap().len(), 2);
        assert!(compare(ALONE, WITH).is_ok());
    }

    #[test]
    fn differences_are_found() {
        assert!(compare(ALONE, &WITH.replace("p_memsz 0x170", "p_memsz 0x171")).is_err());
        assert!(compare(ALONE, &WITH.replace("000009000000", "000009001000")).is_err());
        assert!(compare("E820 memmap:\n", "E820 memmap:\n").is_err());
    }
}
