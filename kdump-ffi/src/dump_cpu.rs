//! The registers of the CPUs in a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_elf::PrStatus;
use kdump_ffi_core::{Chars, Flow, InOut, Out, extensible, libkdump_error, libkdump_register, register_at};
use kdump_vmcore::RegisterSource;

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::texts::element;

/// The registers are in a note alone: libkdump_dump_cpu_source().
pub const LIBKDUMP_REGISTERS_NOTE: u32 = 1;
/// The registers are those that the CPU left in its own memory (`crash_notes`), whether or not a
/// note has them too.
pub const LIBKDUMP_REGISTERS_CRASH_NOTES: u32 = 2;
/// The registers are of a virtual CPU at the time of the dump, in a note of the hypervisor.
pub const LIBKDUMP_REGISTERS_HYPERVISOR: u32 = 3;

/// A CPU that saved its registers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_cpu {
    /// `sizeof (struct libkdump_cpu)`, set by the caller.
    pub size: u32,
    /// Place in the list, from 0. It is the CPU's number only when every CPU below it left a note.
    pub index: u32,
    /// The task that ran, 0 when the CPU was idle; in a hypervisor's note a number of the CPU.
    pub pid: i32,
    /// Zero.
    pub reserved: u32,
    /// Instruction pointer.
    pub instruction_pointer: u64,
    /// Stack pointer.
    pub stack_pointer: u64,
    /// Offset of the note's header in the file; 0 when no note has these registers.
    pub note_offset: u64,
    /// Bytes of `desc`.
    pub desc_len: u64,
    /// The note's descriptor, for the libkdump_prstatus_ functions; lent until the dump is freed.
    pub desc: *const c_void,
    /// NULL.
    pub reserved_pointer: *const c_void,
}

extensible!(libkdump_cpu {
    index: u32,
    pid: i32,
    reserved: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    note_offset: u64,
    desc_len: u64,
    desc: *const c_void,
    reserved_pointer: *const c_void,
});

/// The CPUs that saved their registers, in the order of their notes; behind them those whose
/// registers only the dead kernel's memory has, which the first call for one of them looks for.
///
/// Parameters: `dump` the dump; `index` from 0; `out` receives the CPU; `error` may be NULL. Returns
/// LIBKDUMP_END behind the last. Errors: LIBKDUMP_ERR_TRUNCATED for a note that is too short,
/// LIBKDUMP_ERR_UNSUPPORTED for an unknown architecture, and for a CPU behind the notes
/// LIBKDUMP_ERR_IO when the system could not read the kernel's memory: the next call looks again.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_cpu(
    dump: Lent<'_, libkdump_dump>,
    index: u32,
    out: InOut<'_, libkdump_cpu>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let place = out.place("out")?;
        let Some(status) = status_of(&handle, index)? else { return Ok::<_, Failure>(Flow::End) };
        let note = handle.dump.cpu(place_of(index)).map(|cpu| cpu.note);
        let desc = match note {
            Some(note) => note.desc,
            None => handle.cpus()?.cpus.get(place_of(index)).map_or(&[][..], |found| found.saved()),
        };
        place.set(libkdump_cpu {
            size: 0,
            index,
            pid: status.pid(),
            reserved: 0,
            instruction_pointer: status.instruction_pointer().unwrap_or(0),
            stack_pointer: status.stack_pointer().unwrap_or(0),
            note_offset: note.map_or(0, |note| note.offset),
            desc_len: desc.len() as u64,
            desc: desc.as_ptr().cast(),
            reserved_pointer: core::ptr::null(),
        });
        Ok(Flow::Done)
    })
}

/// A register of a CPU by name.
///
/// Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `name` the kernel's
/// name, for example "rip"; `value` receives it; `error` may be NULL. Errors: those of
/// libkdump_dump_cpu(), LIBKDUMP_ERR_NOT_FOUND for an unknown name.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_register(
    dump: Lent<'_, libkdump_dump>,
    cpu: u32,
    name: Chars<'_>,
    value: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let missing = kdump_ffi_core::Failure::NotFound { what: "register" };
        let found = known(&handle, cpu)?.register(name.get("name")?).ok_or(missing)?;
        Ok::<_, Failure>(value.set("value", found)?)
    })
}

/// The registers of a CPU one after the other.
///
/// Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `index` from 0; `out`
/// receives the register; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors: those
/// of libkdump_dump_cpu().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_register_at(
    dump: Lent<'_, libkdump_dump>,
    cpu: u32,
    index: u32,
    out: InOut<'_, libkdump_register>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let place = out.place("out")?;
        let Some(register) = register_at(&known(&handle, cpu)?, index) else {
            return Ok::<_, Failure>(Flow::End);
        };
        place.set(register);
        Ok(Flow::Done)
    })
}

fn place_of(cpu: u32) -> usize {
    usize::try_from(cpu).unwrap_or(usize::MAX)
}

/// The registers at a place of the list; `None` behind its end. Those of notes cost no look into
/// the memory.
fn status_of(handle: &libkdump_dump, cpu: u32) -> Result<Option<PrStatus<'_>>, Failure> {
    if let Some(cpu) = handle.dump.cpu(place_of(cpu)) {
        return Ok(Some(cpu.prstatus()?));
    }
    let found = handle.cpus()?.cpus.get(place_of(cpu));
    Ok(found.map(|found| found.prstatus(&handle.dump)).transpose()?)
}

fn known(handle: &libkdump_dump, cpu: u32) -> Result<PrStatus<'_>, Failure> {
    let missing = |count| kdump_ffi_core::Failure::Index { what: "CPU", index: u64::from(cpu), count };
    match status_of(handle, cpu)? {
        Some(status) => Ok(status),
        None => Err(missing(handle.cpus()?.cpus.len() as u64).into()),
    }
}

/// Where the registers of a CPU were found. The first call for a dump reads the kernel's symbols.
///
/// Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `source` receives one of
/// LIBKDUMP_REGISTERS_; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND when there is no such
/// CPU.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_cpu_source(
    dump: Lent<'_, libkdump_dump>,
    cpu: u32,
    source: Out<'_, u32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let found = match element(&handle.cpus()?.cpus, "CPU", cpu)?.source {
            RegisterSource::CrashNotes => LIBKDUMP_REGISTERS_CRASH_NOTES,
            RegisterSource::Hypervisor => LIBKDUMP_REGISTERS_HYPERVISOR,
            _ => LIBKDUMP_REGISTERS_NOTE,
        };
        Ok::<_, Failure>(source.set("source", found)?)
    })
}

/// The number of a CPU that saved its registers, as the dead kernel's own memory tells, or the
/// hypervisor: the notes of a dump do not, and a CPU that did not answer left none. The first call
/// for a dump reads the kernel's symbols.
///
/// Parameters: `dump` the dump; `cpu` as `index` of libkdump_dump_cpu(); `number` receives the
/// number; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND when there is no such CPU, when its note
/// is in no CPU's buffer, or without the keys of VMCOREINFO; LIBKDUMP_ERR_UNSUPPORTED when the dump does
/// not tell where the buffers are; LIBKDUMP_ERR_TOO_LARGE for more CPUs than there can be; those of
/// libkdump_dump_read_virt() when the buffers cannot be read.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_cpu_number(
    dump: Lent<'_, libkdump_dump>,
    cpu: u32,
    number: Out<'_, u32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let list = handle.cpus()?;
        let Some(found) = element(&list.cpus, "CPU", cpu)?.cpu else {
            let missing = kdump_ffi_core::Failure::NotFound { what: "buffer with this CPU's registers" };
            return Err(list.not_found.map_or(missing.into(), Failure::from));
        };
        Ok::<_, Failure>(number.set("number", found)?)
    })
}
