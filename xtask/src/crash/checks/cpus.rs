//! Each CPU's registers belong to that CPU: the thread that was pinned to it can be recognised.

use kdump_witness::{Cpu, Role, spinner_magic};
use serde_json::Value;

use super::Evidence;
use crate::crash::plan::{list, number};
use crate::error::{Context, Result, failed};
use crate::shell;
use ::lab::elf::{self, Registers};

/// The notes in the file, read by the lab itself.
pub(super) fn in_file(evidence: &Evidence) -> Result<String> {
    let expected = evidence.witness()?.cpus;
    let found = elf::registers(&evidence.dump())?;
    compare(&expected, &found)
}

/// The same through the tool.
pub(crate) fn in_notes(evidence: &Evidence) -> Result<String> {
    let expected = evidence.witness()?.cpus;
    let mut command = evidence.kdump(&["notes", "--json"]);
    let json = shell::stdout(command.arg(evidence.dump()))?;
    let notes: Value = serde_json::from_slice(&json).context("kdump notes --json")?;
    let found = list(&notes, "cpus")?.iter().map(from_json).collect::<Result<Vec<_>>>()?;
    compare(&expected, &found)
}

fn from_json(cpu: &Value) -> Result<Registers> {
    let registers = crate::crash::plan::field(cpu, "registers")?;
    let (names, [pc, sp, state], bits) = if registers.get("nip").is_some() {
        (["gpr14", "gpr15", "gpr16", "gpr17"], ["nip", "gpr1", "msr"], 64)
    } else if registers.get("pstate").is_some() {
        (["x20", "x21", "x22", "x23"], ["pc", "sp", "pstate"], 64)
    } else if registers.get("eip").is_some() {
        (["eax", "ecx", "edx", "edi"], ["eip", "esp", "cs"], 32)
    } else {
        (["r12", "r13", "r14", "r15"], ["rip", "rsp", "cs"], 64)
    };
    let mut saved = [0; 4];
    for (place, name) in saved.iter_mut().zip(names) {
        *place = number(registers, name)?;
    }
    let user = match state {
        "msr" => number(registers, state)? & elf::PPC64_PROBLEM_STATE != 0,
        "pstate" => number(registers, state)? & elf::ARM64_MODE == 0,
        _ => number(registers, state)? & 3 == 3,
    };
    let (rip, rsp) = (number(registers, pc)?, number(registers, sp)?);
    Ok(Registers { pid: number(cpu, "pid")?, saved, bits, rip, rsp, user })
}

fn compare(expected: &[Cpu], found: &[Registers]) -> Result<String> {
    if expected.len() != found.len() {
        let text = format!("{} CPUs ran, {} have registers", expected.len(), found.len());
        return Err(failed(text));
    }
    let facts = expected.iter().zip(found).map(|(cpu, registers)| one(*cpu, registers));
    facts.collect::<Result<Vec<_>>>().map(|facts| facts.join("; "))
}

fn one(cpu: Cpu, found: &Registers) -> Result<String> {
    let name = format!("cpu {}", cpu.cpu);
    if found.pid != u64::from(cpu.tid) {
        let text = format!("{name} ran thread {}, its note says {}", cpu.tid, found.pid);
        return Err(failed(text));
    }
    let user = found.user;
    let magic = spinner_magic(cpu.cpu);
    let held = u64::MAX.checked_shr(64_u32.saturating_sub(found.bits)).unwrap_or(0);
    let saved = [magic, !magic, magic.rotate_left(16), magic.rotate_left(32)].map(|value| value & held);
    let kernel = |address: u64| address > held >> 1;
    match cpu.role {
        // The panic runs in the kernel, whose addresses have the highest bit set.
        Role::Writer if user || !kernel(found.rip) || !kernel(found.rsp) => {
            Err(failed(format!("{name} crashed in the kernel, its note says {found:x?}")))
        }
        Role::Writer => Ok(format!("{name} writer {} in the kernel at {:#x}", cpu.tid, found.rip)),
        Role::Spinner if user && found.saved != saved => {
            Err(failed(format!("{name} spun with {magic:#x}, its note says {found:x?}")))
        }
        Role::Spinner if user => Ok(format!("{name} spinner {} with {magic:#x}", cpu.tid)),
        // The NMI may hit the timer interrupt of the spinner; the thread is still the right one.
        Role::Spinner => Ok(format!("{name} spinner {} in an interrupt", cpu.tid)),
    }
}

#[cfg(test)]
mod tests {
    use kdump_witness::{Cpu, Role, spinner_magic};

    use super::{Registers, compare};

    fn spinner(cpu: u32) -> Registers {
        let magic = spinner_magic(cpu);
        let saved = [magic, !magic, magic.rotate_left(16), magic.rotate_left(32)];
        Registers { pid: 7, saved, bits: 64, rip: 0x40_0000, rsp: 0x7fff_0000, user: true }
    }

    #[test]
    fn registers_of_another_cpu_are_found_out() {
        let expected = [Cpu { cpu: 1, role: Role::Spinner, tid: 7 }];
        assert!(compare(&expected, &[spinner(1)]).is_ok());
        assert!(compare(&expected, &[spinner(2)]).is_err());
        assert!(compare(&expected, &[Registers { pid: 8, ..spinner(1) }]).is_err());
        assert!(compare(&expected, &[]).is_err());
    }

    #[test]
    fn registers_of_32_bits_hold_the_low_half() {
        let expected = [Cpu { cpu: 1, role: Role::Spinner, tid: 7 }];
        let narrow = |registers: Registers| {
            let saved = registers.saved.map(|value| value & 0xffff_ffff);
            Registers { saved, bits: 32, ..registers }
        };
        assert!(compare(&expected, &[narrow(spinner(1))]).is_ok());
        assert!(compare(&expected, &[narrow(spinner(2))]).is_err());
        let writer = [Cpu { cpu: 0, role: Role::Writer, tid: 7 }];
        let at = |address| Registers { rip: address, rsp: address, user: false, ..narrow(spinner(0)) };
        assert!(
            compare(&writer, &[at(0xc100_0000)]).is_ok() && compare(&writer, &[at(0x7fff_ffff)]).is_err()
        );
    }

    #[test]
    fn the_writer_must_be_in_the_kernel() {
        let expected = [Cpu { cpu: 0, role: Role::Writer, tid: 7 }];
        assert!(compare(&expected, &[spinner(0)]).is_err());
        let kernel = 0xffff_ffff_8100_0000;
        let registers = Registers { rip: kernel, rsp: kernel, user: false, ..spinner(0) };
        assert!(compare(&expected, &[registers]).is_ok());
    }
}
