//! A dump that a full disk has cut, in the crash utility: written with the kernel's pages first it is of use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::crash_utility::{marked, sections};
use super::session::{self, Session};
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::{formats, repo, shell};

/// What is asked of a kernel that is dead.
const COMMANDS: &[&str] =
    &["log", "ps", "bt -a", "mod", "runq", "mount", "task -R pid,comm", "kmem -s", "irq"];

/// One row for each answer, from a file half as large as it should be, and one for the other order.
pub(super) fn rows(vmlinux: &Path, dump: &Path, clock: Clock) -> Result<Vec<Row>> {
    let dir = repo::scratch("crash-plugin")?;
    let kdump = formats::program()?;
    let save = |order: &str, limit: Option<u64>| save(&kdump, dump, &dir, order, limit);
    let whole = save("kernel-first", None)?;
    let half = fs::metadata(&whole).context(whole.display())?.len() / 2;
    let (first, by_address) = (save("kernel-first", Some(half))?, save("address", Some(half))?);
    clock.say("cut: a session on the whole dump, and on half of it");
    let answers = |file: &Path| Session::full(vmlinux, file, dir.clone()).run(&marked(COMMANDS));
    let (all, some) = (answers(&whole)?, answers(&first)?);
    let pairs = sections(&all).into_iter().zip(sections(&some));
    let same = COMMANDS.iter().zip(pairs).map(|(name, (all, some))| {
        Row::of(&format!("kernel first, cut at the half: {name}"), session::same(all, some).map(told))
    });
    let mut rows: Vec<Row> = same.collect();
    if rows.len() != COMMANDS.len() {
        return Err(failed(format!("{} of {} commands were answered", rows.len(), COMMANDS.len())));
    }
    // Were it the same the order would be for nothing.
    let refused = match answers(&by_address) {
        Err(_) => Ok("crash does not open it".to_owned()),
        Ok(other) if sections(&other) == sections(&all) => Err(failed("crash answers as for the whole dump")),
        Ok(_) => Ok("crash answers otherwise".to_owned()),
    };
    rows.push(Row::of("by address, cut at the half", refused));
    for file in [whole, first, by_address] {
        fs::remove_file(&file).context(file.display())?;
    }
    Ok(rows)
}

fn told(lines: usize) -> String {
    format!("{lines} lines, as of the whole dump")
}

/// Saves, where files of more than `limit` bytes cannot be; returns what there is then.
fn save(kdump: &Path, dump: &Path, dir: &Path, order: &str, limit: Option<u64>) -> Result<PathBuf> {
    let place = dir.join(format!("cut-{order}-{}", limit.unwrap_or(0)));
    let script = match limit {
        Some(limit) => format!("ulimit -f {}; \"$@\"; [ $? = 4 ]", limit / 1024),
        None => "\"$@\"".to_owned(),
    };
    let mut bash = Command::new("bash");
    bash.args(["-c", &script, "bash"]).arg(kdump);
    bash.args(["save", "--progress", "none", "--compress", "lzo", "--order", order]).arg(dump).arg(&place);
    shell::stdout(&mut bash)?;
    Ok(if limit.is_some() { place.with_extension("incomplete") } else { place })
}
