//! cargo-mutants: what survives must be on a list of what may.

use std::collections::BTreeSet;
use std::fs;

use crate::error::{Context, Result, failed};
use crate::progress::{self, Row};
use crate::{repo, rust, shell};

/// One survivor a line: the file and the change, without the line it stands in.
const ACCEPTED: &str = "xtask/mutants-accepted.txt";
/// How cargo-mutants ends when mutants were missed, and when some of them did not end in time.
const MISSED: [i32; 2] = [2, 3];

pub(super) fn run(crates: &[&str], shard: Option<&str>) -> Result {
    if shell::find("cargo-mutants").is_none() {
        println!("installing cargo-mutants");
        shell::run(rust::cargo()?.args(["install", "--quiet", "--locked", "cargo-mutants"]))?;
    }
    let path = repo::root()?.join(ACCEPTED);
    let accepted = list(&fs::read_to_string(&path).context(path.display())?);
    let rows = crates.iter().map(|name| Row::of(name, one(name, shard, &accepted)));
    progress::close("mutants", &rows.collect::<Vec<_>>())
}

fn one(name: &str, shard: Option<&str>, accepted: &BTreeSet<String>) -> Result<String> {
    let dir = repo::scratch("mutants")?.join(name);
    fs::create_dir_all(&dir).context(dir.display())?;
    let mut cargo = rust::cargo()?;
    cargo.args(["mutants", "--package", name, "--test-package", name, "--no-shuffle", "--colors=never"]);
    cargo.args(shard.map(|shard| format!("--shard={shard}")));
    let status = cargo.arg("--output").arg(&dir).status().context("cargo mutants")?;
    if !status.success() && !status.code().is_some_and(|code| MISSED.contains(&code)) {
        return Err(failed(format!("cargo mutants: {status}")));
    }
    let read = |file: &str| {
        let path = dir.join("mutants.out").join(file);
        fs::read_to_string(&path).context(path.display())
    };
    let missed: BTreeSet<String> = read("missed.txt")?.lines().filter_map(without_place).collect();
    let caught = read("caught.txt")?.lines().count();
    let (new, gone) = judge(name, &missed, accepted);
    // Of a part of the mutants nothing is known of the others.
    gone.iter()
        .filter(|_| shard.is_none())
        .for_each(|gone| println!("{ACCEPTED}: no longer survives: {gone}"));
    if new.is_empty() {
        return Ok(format!("{caught} noticed, {} accepted survivors", missed.len()));
    }
    Err(failed(format!("{caught} noticed, {} not:\n{}", new.len(), new.join("\n"))))
}

/// The lines that are no comments.
fn list(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// `file:line:column: change` without line and column, which move with every edit.
fn without_place(line: &str) -> Option<String> {
    let (place, change) = line.split_once(": ")?;
    Some(format!("{}: {change}", place.split(':').next()?))
}

/// Survivors that are not accepted, and accepted ones of the crate that do not survive.
fn judge(name: &str, missed: &BTreeSet<String>, accepted: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let new = missed.difference(accepted).cloned().collect();
    let own = |line: &&String| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    (new, accepted.difference(missed).filter(own).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::{judge, list, without_place};

    #[test]
    fn a_survivor_that_is_not_on_the_list_is_told() {
        let accepted =
            list("# why\nkdump-elf/src/a.rs: replace f -> u32 with 0\n\nkdump-vmcore/src/b.rs: gone\n");
        let line = |text| without_place(text).unwrap();
        let missed = [
            line("kdump-elf/src/a.rs:12:5: replace f -> u32 with 0"),
            line("kdump-elf/src/a.rs:40:9: replace < with <= in g"),
        ];
        let (new, gone) = judge("kdump-elf", &missed.into(), &accepted);
        assert_eq!(new, ["kdump-elf/src/a.rs: replace < with <= in g"]);
        assert!(gone.is_empty(), "{gone:?}");
        assert_eq!(judge("kdump-vmcore", &list(""), &accepted).1, ["kdump-vmcore/src/b.rs: gone"]);
    }
}
