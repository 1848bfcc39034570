//! The share of a kernel in its own dump, without std and without an allocator: what it prepares
//! while it is well, and what it does when it dies.
//!
//! Memory is a slice here, `memory[0]` being the physical address [`RAM`]; in a kernel it is the
//! memory. The programs beside this file play the loader, the capture kernel and the reader.
#![no_std]
#![forbid(unsafe_code)]

use kdump_elf::{
    Arch, Class, Encoding, Endian, Error, HeaderLayout, NT_VMCOREINFO, PF_RWX, PT_LOAD, PT_NOTE, Phdr,
    PhysRange, VMCOREINFO_NOTE_NAME, VmcoreInfoWriter, crash_note_size, write_crash_note, write_note,
};

/// The first physical address of RAM.
pub const RAM: u64 = 0x10_0000;
/// Bytes of RAM.
pub const RAM_SIZE: usize = 64 << 10;
/// CPUs this kernel knows.
pub const CPUS: usize = 3;
/// Where each CPU leaves its registers: a slot of [`NOTE_SLOT`] bytes each, at the start of RAM.
pub const NOTE_SLOT: usize = 512;
/// Where the note about the kernel itself stands: the slot behind those of the CPUs.
const INFO_SLOT: usize = CPUS * NOTE_SLOT;

const ARCH: Arch = Arch::X86_64;
const ENCODING: Encoding = Encoding { class: Class::Elf64, endian: Endian::Little };

/// Writes the note in which the kernel describes itself; done once, while all is well.
///
/// # Errors
/// When the slot is too small.
pub fn describe_yourself(memory: &mut [u8], release: &str) -> Result<(), Error> {
    let mut text = [0; 256];
    let mut info = VmcoreInfoWriter::new(&mut text);
    info.line("OSRELEASE", release)?;
    info.line("PAGESIZE", 4096)?;
    let slot = memory.get_mut(INFO_SLOT..).unwrap_or_default();
    write_note(slot, ENCODING.endian, VMCOREINFO_NOTE_NAME, NT_VMCOREINFO, info.text())?;
    Ok(())
}

/// Writes the header with which a capture kernel finds everything, into `out`; returns its size.
///
/// # Errors
/// [`Error::Buffer`] when `out` is too short.
pub fn prepare(out: &mut [u8]) -> Result<u64, Error> {
    let ram = PhysRange::from_len(RAM, RAM_SIZE as u64)?;
    let note = |slot: usize, size: usize| Phdr {
        p_type: PT_NOTE,
        p_offset: RAM.saturating_add(slot as u64),
        p_paddr: RAM.saturating_add(slot as u64),
        p_filesz: size as u64,
        p_memsz: size as u64,
        ..Phdr::default()
    };
    let phnum = u32::try_from(CPUS).unwrap_or(u32::MAX).saturating_add(2);
    let mut writer = HeaderLayout::elfcorehdr(ENCODING, ARCH.e_machine(), phnum)?.writer(out)?;
    for cpu in 0..CPUS {
        writer.push(&note(cpu.saturating_mul(NOTE_SLOT), crash_note_size(ARCH)))?;
    }
    writer.push(&note(INFO_SLOT, NOTE_SLOT))?;
    writer.push(&Phdr {
        p_type: PT_LOAD,
        p_flags: PF_RWX,
        p_offset: ram.start(),
        p_paddr: ram.start(),
        p_filesz: ram.size(),
        p_memsz: ram.size(),
        ..Phdr::default()
    })?;
    writer.finish()
}

/// The end of one CPU: its registers go where the header says. A CPU that does not exist has no slot.
///
/// # Errors
/// [`Error::Buffer`] when there is no slot.
pub fn die(memory: &mut [u8], cpu: usize, task: i32, registers: &[(&str, u64)]) -> Result<(), Error> {
    let start = cpu.saturating_mul(NOTE_SLOT);
    let slot = memory.get_mut(start..).filter(|_| cpu < CPUS).unwrap_or_default();
    write_crash_note(slot, ARCH, ENCODING.endian, |status| {
        status.set_pid(task);
        for &(name, value) in registers {
            status.set_register(name, value);
        }
    })?;
    Ok(())
}
