//! Whole sessions of the crash utility, by its own reads and through libkdump.

use std::fs;
use std::path::Path;

use super::session::{self, Session};
use crate::error::{Context, Result, failed};
use crate::progress::{Clock, Row};
use crate::{repo, shell};

/// Commands that read much and everywhere.
const COMMANDS: &[&str] = &[
    "sys",
    "bt -a",
    "bt -f",
    "foreach bt",
    "log",
    "ps",
    "rd linux_banner 16",
    "rd jiffies 64",
    "struct task_struct.pid,comm init_task",
    "runq",
    "kmem -i",
    "mod",
    "task -R pid,comm",
    "files",
    "mount",
    "timer",
    "kmem -s",
    "kmem -v",
    "irq",
];
/// Far fewer reads would mean that the diversion did not work.
const ENOUGH: u64 = 1000;

/// Compares command by command, on the dump and on what makedumpfile makes of it: compressed, and
/// without the pages that distributions leave out.
pub(super) fn rows(plugin: &Path, vmlinux: &Path, dump: &Path, clock: Clock) -> Result<Vec<Row>> {
    let mut rows = compared("elf", plugin, vmlinux, dump, clock)?;
    let small = repo::scratch("crash-plugin")?.join("compressed");
    let mut makedumpfile = shell::tool("makedumpfile")?;
    shell::stdout(makedumpfile.args(["-f", "-l", "-d", "31"]).arg(dump).arg(&small))?;
    rows.extend(compared("lzo -d 31", plugin, vmlinux, &small, clock)?);
    fs::remove_file(&small).context(small.display())?;
    Ok(rows)
}

/// Two sessions on one dump.
fn compared(what: &str, plugin: &Path, vmlinux: &Path, dump: &Path, clock: Clock) -> Result<Vec<Row>> {
    let session = Session::full(vmlinux, dump, repo::scratch("crash-plugin")?);
    let mut rows = Vec::new();
    clock.say(&format!("{what}: a session of crash alone"));
    let own = session.run(&marked(COMMANDS))?;
    clock.say(&format!("{what}: the same session with reads through libkdump"));
    let mut commands = vec![format!("extend {}", plugin.display()), "kdump on".to_owned()];
    commands.extend(marked(COMMANDS));
    commands.push("kdump off".to_owned());
    let (reads, failures, through) = session::diverted(&session.run(&commands)?)?;
    let pairs = sections(&own).into_iter().zip(sections(&through));
    for (name, (own, through)) in COMMANDS.iter().zip(pairs) {
        rows.push(Row::of(&format!("{what}: {name}"), answer(own, through)));
    }
    rows.push(Row::of(&format!("{what}: reads through libkdump"), enough(reads, failures)));
    Ok(rows)
}

/// The commands with a line of output in front of each that no command prints by itself.
pub(super) fn marked(commands: &[&str]) -> Vec<String> {
    commands.iter().flat_map(|&command| ["eval 0x5ec710".to_owned(), command.to_owned()]).collect()
}

/// The answers, one per command.
pub(super) fn sections(output: &str) -> Vec<&str> {
    output.split("hexadecimal: 5ec710").skip(1).collect()
}

fn answer(own: &str, through: &str) -> Result<String> {
    let lines = session::same(own, through)?;
    // `eval` itself prints a few lines.
    if lines < 5 {
        return Err(failed(format!("crash says nothing but {own:?}")));
    }
    Ok(format!("{lines} lines, the same"))
}

fn enough(reads: u64, failures: u64) -> Result<String> {
    if reads < ENOUGH {
        return Err(failed(format!("only {reads}")));
    }
    Ok(format!("{reads}, {failures} failed as crash's own do"))
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, answer, enough, marked, sections};

    #[test]
    fn a_section_per_command() {
        let output = "hexadecimal: 5ec710\n  decimal: 1\nanswer\nhexadecimal: 5ec710\nother\n";
        assert_eq!(sections(output), ["\n  decimal: 1\nanswer\n", "\nother\n"]);
        assert_eq!(marked(COMMANDS).len(), COMMANDS.len() * 2);
    }

    #[test]
    fn silence_and_differences_fail() {
        let text = "1\n2\n3\n4\n5\n";
        assert!(answer(text, text).is_ok());
        assert!(answer("1\n", "1\n").is_err());
        assert!(answer(text, "1\n2\n3\n4\n6\n").is_err());
        assert!(enough(10, 0).is_err());
    }
}
