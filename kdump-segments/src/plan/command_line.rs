//! The capture kernel's command line.

use alloc::string::String;
use alloc::vec::Vec;

use super::PlanOptions;
use crate::cmdline::{CommandLine, is_blank};
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

/// Takes out what a plan, or the kernel that plans itself, puts in, and tells of control characters.
pub(crate) fn remove_planned(line: &mut CommandLine, notes: &mut Vec<String>) -> Result<(), Error> {
    if let Some((offset, control)) = line.control_character() {
        let taken = if is_blank(control) { "a blank between parameters" } else { "a part of a parameter" };
        notes.push(alloc::format!(
            "the command line has control character {:#x} at byte {offset}, which the kernel takes for {taken}",
            u32::from(control)
        ));
    }
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

    #[test]
    fn control_characters_are_told() {
        for (text, told) in [
            ("a\nb", Some("character 0xa at byte 1, which the kernel takes for a blank")),
            ("ab\x1b[2J", Some("character 0x1b at byte 2, which the kernel takes for a part")),
            ("\u{e9}\u{9b}", Some("character 0x9b at byte 2, ")),
            ("a\tb \u{e9}\n", None),
        ] {
            let mut notes = Vec::new();
            assert_eq!(base(None, text, &mut notes).unwrap().as_str(), text.trim_end());
            assert_eq!(notes.len(), usize::from(told.is_some()), "{text:?}: {notes:?}");
            assert!(notes.iter().all(|note| note.contains(told.unwrap_or_default())), "{text:?}: {notes:?}");
        }
    }
}
