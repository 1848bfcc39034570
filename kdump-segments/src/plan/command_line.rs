//! The capture kernel's command line.

use alloc::string::String;
use alloc::vec::Vec;

use super::PlanOptions;
use crate::cmdline::CommandLine;
use crate::{Error, Machine};

/// What the running kernel's command line holds that the capture kernel must not see.
const NOT_REUSED: [&str; 2] = ["BOOT_IMAGE", "crashkernel"];
/// What a plan itself decides.
const NOT_TAKEN: [&str; 3] = ["crashkernel", "elfcorehdr", "acpi_rsdp"];

/// The user's text, or the running kernel's, with the parameters the plan adds behind it.
pub(crate) fn build(
    machine: &Machine,
    options: &PlanOptions,
    added: &[String],
    limit: u64,
    notes: &mut Vec<String>,
) -> Result<CommandLine, Error> {
    let running = options.reuse_cmdline.then_some(machine.cmdline.as_str());
    // No kernel that reserved a crash region has none.
    if running == Some("") {
        let said =
            machine.remarks.iter().filter(|note| note.path == "proc/cmdline").map(|note| note.text.as_str());
        let said = said.collect::<Vec<_>>().join("; ");
        let reason = alloc::format!("proc/cmdline is empty, missing or unreadable {said}");
        return Err(Error::Conflict { what: "reuse of the running kernel's command line", reason });
    }
    let mut line = base(running, &options.cmdline, notes)?;
    for parameter in added {
        line.append(format_args!("{parameter}"))?;
    }
    line.check_length(limit)?;
    Ok(line)
}

/// Where the capture kernel finds the ELF core header.
pub(crate) fn elfcorehdr_parameter(address: u64) -> String {
    alloc::format!("elfcorehdr={}K", address >> 10)
}

/// The running kernel's command line, when it is reused, with `text` behind it, without what
/// must not reach a capture kernel.
///
/// # Errors
/// Those of [`CommandLine::new`].
pub(crate) fn base(running: Option<&str>, text: &str, notes: &mut Vec<String>) -> Result<CommandLine, Error> {
    let mut line = CommandLine::new(text)?;
    if let Some(running) = running {
        let mut reused = CommandLine::new(running)?;
        for name in NOT_REUSED {
            reused.remove(name)?;
        }
        if !line.as_str().is_empty() {
            reused.append(format_args!("{line}"))?;
        }
        line = reused;
    }
    remove_planned(&mut line, notes)?;
    Ok(line)
}

/// Takes out what a plan, or the kernel that plans itself, puts in.
pub(crate) fn remove_planned(line: &mut CommandLine, notes: &mut Vec<String>) -> Result<(), Error> {
    for name in NOT_TAKEN {
        let count = line.remove(name)?;
        if count != 0 {
            notes.push(alloc::format!("{name}= was removed from the command line ({count} times)"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_line_loses_what_was_the_dead_kernels() {
        let mut notes = Vec::new();
        let running = "BOOT_IMAGE=/vmlinuz root=/dev/sda1 crashkernel=1G-:160M quiet -- single\n";
        let line = base(Some(running), "nr_cpus=1", &mut notes).unwrap();
        assert_eq!(line.as_str(), "root=/dev/sda1 quiet nr_cpus=1 -- single");
        assert_eq!(notes, Vec::<String>::new());
        let line = base(None, "a elfcorehdr=1K crashkernel=1M b", &mut notes).unwrap();
        assert_eq!((line.as_str(), notes.len()), ("a b", 2));
    }
}
