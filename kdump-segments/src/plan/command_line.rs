//! The capture kernel's command line.

use alloc::string::String;
use alloc::vec::Vec;

use super::PlanOptions;
use crate::cmdline::CommandLine;
use crate::e820::{E820Entry, memmap_parameters};
use crate::{Error, Machine};

/// What the running kernel's command line holds that the capture kernel must not see.
const NOT_REUSED: [&str; 2] = ["BOOT_IMAGE", "crashkernel"];
/// What a plan itself decides.
const NOT_TAKEN: [&str; 3] = ["crashkernel", "elfcorehdr", "acpi_rsdp"];

/// The facts that are appended.
pub(super) struct Additions<'a> {
    pub(super) elfcorehdr: u64,
    pub(super) rsdp: Option<u64>,
    pub(super) memmap: Option<&'a [E820Entry]>,
    pub(super) limit: u64,
}

/// The user's text, or the running kernel's, plus what the plan adds.
pub(super) fn build(
    machine: &Machine,
    options: &PlanOptions,
    additions: &Additions<'_>,
    notes: &mut Vec<String>,
) -> Result<CommandLine, Error> {
    let mut line = CommandLine::new(&options.cmdline)?;
    if options.reuse_cmdline {
        let mut running = CommandLine::new(&machine.cmdline)?;
        for name in NOT_REUSED {
            running.remove(name);
        }
        if !line.as_str().is_empty() {
            running.append(format_args!("{line}"));
        }
        line = running;
    }
    for name in NOT_TAKEN {
        let count = line.remove(name);
        if count != 0 {
            notes.push(alloc::format!("{name}= was removed from the command line ({count} times)"));
        }
    }
    if let Some(rsdp) = additions.rsdp {
        line.append(format_args!("acpi_rsdp={rsdp:#x}"));
    }
    line.append(format_args!("elfcorehdr={}K", additions.elfcorehdr >> 10));
    for parameter in additions.memmap.map(memmap_parameters).unwrap_or_default() {
        line.append(format_args!("{parameter}"));
    }
    line.check_length(additions.limit)?;
    Ok(line)
}
