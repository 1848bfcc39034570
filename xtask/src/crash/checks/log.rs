//! The dead kernel's log ends with its panic.

use super::Evidence;
use crate::error::{Context, Result, failed};
use crate::shell;

/// The trigger and the panic stand among the last lines; a backtrace follows them.
const LAST: usize = 100;

pub(crate) fn kdump(evidence: &Evidence) -> Result<String> {
    let mut command = evidence.kdump(&["dmesg"]);
    panic_at_end(&shell::text(command.arg(evidence.dump()))?)
}

/// Fails unless the last lines of `log` show who asked for the crash, and the panic.
pub(crate) fn panic_at_end(log: &str) -> Result<String> {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default();
    let from_end = |text: &str| tail.iter().rev().position(|line| line.contains(text));
    let trigger = from_end("sysrq: Trigger a crash").context("no \"sysrq: Trigger a crash\"")?;
    let panic = from_end("Kernel panic - not syncing").context("no \"Kernel panic\"")?;
    if panic >= trigger {
        return Err(failed("the panic stands before its trigger"));
    }
    Ok(format!("{} lines, the panic {panic} lines before the end", lines.len()))
}

#[cfg(test)]
mod tests {
    use super::panic_at_end;

    #[test]
    fn the_panic_must_be_near_the_end_and_in_order() {
        let trigger = "[1.0] sysrq: Trigger a crash\n";
        let panic = "[1.1] Kernel panic - not syncing: sysrq triggered crash\n";
        assert!(panic_at_end(&format!("boot\n{trigger}{panic}trace\n")).is_ok());
        assert!(panic_at_end(&format!("{panic}{trigger}")).is_err());
        assert!(panic_at_end(&format!("{trigger}{panic}{}", "more\n".repeat(200))).is_err());
        assert!(panic_at_end("").is_err());
    }
}
