//! What a machine says about itself.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_char, c_int};

use kdump_ffi_core::{InOut, Out, arch_number, endian_number, extensible, libkdump_error};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::machine::libkdump_machine;
use crate::range::libkdump_range;
use crate::texts::{count, step, text_step};

/// List of ranges: memory by kind, crash regions included in the RAM.
pub const LIBKDUMP_RANGES_MEMORY: u32 = 0;
/// List of ranges: the map the firmware gave; empty when the kernel does not show it.
pub const LIBKDUMP_RANGES_FIRMWARE: u32 = 1;
/// List of ranges: the regions reserved for capture kernels.
pub const LIBKDUMP_RANGES_CRASH: u32 = 2;
/// List of ranges: the RAM a dump holds.
pub const LIBKDUMP_RANGES_DUMP: u32 = 3;
/// List of ranges: memory of crash regions that is shared with movable memory.
pub const LIBKDUMP_RANGES_CMA: u32 = 4;
/// List of ranges: graphics apertures.
pub const LIBKDUMP_RANGES_GART: u32 = 5;
/// List of ranges: parts of the crash regions that something else claimed; nothing may be loaded
/// there.
pub const LIBKDUMP_RANGES_CLAIMED: u32 = 6;

/// `flags` of struct libkdump_machine_info: `vmcoreinfo_paddr` and `vmcoreinfo_size` are set.
pub const LIBKDUMP_MACHINE_VMCOREINFO: u32 = 1;
/// `flags` of struct libkdump_machine_info: the fields beginning with `text_` are set.
pub const LIBKDUMP_MACHINE_TEXT: u32 = 2;
/// `flags` of struct libkdump_machine_info: `direct_map_base` is set.
pub const LIBKDUMP_MACHINE_DIRECT_MAP: u32 = 4;
/// `flags` of struct libkdump_machine_info: `rsdp` is set.
pub const LIBKDUMP_MACHINE_RSDP: u32 = 8;
/// `flags` of struct libkdump_machine_info: the kernel tells whether a capture kernel is loaded.
pub const LIBKDUMP_MACHINE_LOADED_KNOWN: u32 = 16;
/// `flags` of struct libkdump_machine_info: a capture kernel is loaded.
pub const LIBKDUMP_MACHINE_LOADED: u32 = 32;

/// Facts about a machine.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_machine_info {
    /// `sizeof (struct libkdump_machine_info)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_MACHINE_ flags.
    pub flags: u32,
    /// LIBKDUMP_ARCH_ number.
    pub arch: u32,
    /// Byte order.
    pub endian: u32,
    /// Number of CPU notes (libkdump_machine_cpu_note()).
    pub cpu_notes: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes of a page.
    pub page_size: u64,
    /// Physical address of the VMCOREINFO note.
    pub vmcoreinfo_paddr: u64,
    /// Its room in bytes.
    pub vmcoreinfo_size: u64,
    /// Virtual address of the kernel image.
    pub text_vaddr: u64,
    /// Its physical address.
    pub text_paddr: u64,
    /// Its bytes.
    pub text_size: u64,
    /// Virtual address at which physical address 0 appears.
    pub direct_map_base: u64,
    /// Physical address of the ACPI root pointer.
    pub rsdp: u64,
}

extensible!(libkdump_machine_info {
    flags: u32,
    arch: u32,
    endian: u32,
    cpu_notes: u32,
    reserved: u32,
    page_size: u64,
    vmcoreinfo_paddr: u64,
    vmcoreinfo_size: u64,
    text_vaddr: u64,
    text_paddr: u64,
    text_size: u64,
    direct_map_base: u64,
    rsdp: u64,
});

/// Where a CPU leaves its registers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_cpu_note {
    /// `sizeof (struct libkdump_cpu_note)`, set by the caller.
    pub size: u32,
    /// The CPU's number; numbers may have gaps.
    pub cpu: u32,
    /// Physical address of its buffer.
    pub paddr: u64,
    /// Bytes of the buffer.
    pub length: u64,
}

extensible!(libkdump_cpu_note { cpu: u32, paddr: u64, length: u64 });

/// Facts about a machine.
///
/// Parameters: `machine` the machine; `out` receives them; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_get_info(
    machine: Lent<'_, libkdump_machine>,
    out: InOut<'_, libkdump_machine_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let machine = &*handle.machine;
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let loaded = machine.kexec.crash_loaded;
        let text = machine.kernel.text.as_ref().map(|text| text.value);
        let direct = machine.kernel.direct_map_base.as_ref().map(|base| base.value);
        let rsdp = machine.rsdp.as_ref().map(|rsdp| rsdp.value);
        let note = machine.vmcoreinfo.as_ref();
        let info = libkdump_machine_info {
            size: 0,
            flags: flag(note.is_some(), LIBKDUMP_MACHINE_VMCOREINFO)
                | flag(text.is_some(), LIBKDUMP_MACHINE_TEXT)
                | flag(direct.is_some(), LIBKDUMP_MACHINE_DIRECT_MAP)
                | flag(rsdp.is_some(), LIBKDUMP_MACHINE_RSDP)
                | flag(loaded.is_some(), LIBKDUMP_MACHINE_LOADED_KNOWN)
                | flag(loaded == Some(true), LIBKDUMP_MACHINE_LOADED),
            arch: arch_number(Some(machine.arch)),
            endian: endian_number(machine.endian),
            cpu_notes: count(machine.cpu_notes.len()),
            reserved: 0,
            page_size: machine.page_size,
            vmcoreinfo_paddr: note.map_or(0, |note| note.paddr),
            vmcoreinfo_size: note.map_or(0, |note| note.size),
            text_vaddr: text.map_or(0, |text| text.vaddr),
            text_paddr: text.map_or(0, |text| text.paddr),
            text_size: text.map_or(0, |text| text.size),
            direct_map_base: direct.unwrap_or(0),
            rsdp: rsdp.unwrap_or(0),
        };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// The ranges of one list one after the other, ascending.
///
/// Parameters: `machine` the machine; `list` a LIBKDUMP_RANGES_ constant; `index` from 0; `out`
/// receives the range; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
/// LIBKDUMP_ERR_INVALID when there is no such list.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_range(
    machine: Lent<'_, libkdump_machine>,
    list: u32,
    index: u32,
    out: InOut<'_, libkdump_range>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let unknown = kdump_ffi_core::Failure::Argument {
            name: "list",
            value: u64::from(list),
            expected: "a LIBKDUMP_RANGES_ constant",
        };
        let ranges = usize::try_from(list).ok().and_then(|list| handle.ranges.get(list)).ok_or(unknown)?;
        Ok::<_, Failure>(step(out, ranges, index, |range| *range)?)
    })
}

/// Where the CPUs leave their registers, by CPU number.
///
/// Parameters: `machine` the machine; `index` from 0; `out` receives the place; `error` may be NULL.
/// Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_cpu_note(
    machine: Lent<'_, libkdump_machine>,
    index: u32,
    out: InOut<'_, libkdump_cpu_note>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let notes = &handle.machine.cpu_notes;
        Ok::<_, Failure>(step(out, notes, index, |note| libkdump_cpu_note {
            size: 0,
            cpu: note.cpu,
            paddr: note.paddr,
            length: note.size,
        })?)
    })
}

/// A sentence about something that was dropped, rounded or could not be found out.
///
/// Parameters: `machine` the machine; `index` from 0; `text` receives the sentence, lent until the machine is
/// freed; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_note(
    machine: Lent<'_, libkdump_machine>,
    index: u32,
    text: Out<'_, *const c_char>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        Ok::<_, Failure>(text_step(text, &handle.notes, index)?)
    })
}

/// A sentence about what stands in the way of a dump on this machine.
///
/// Parameters: `machine` the machine; `index` from 0; `text` receives the sentence, lent until the machine is
/// freed; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_advice(
    machine: Lent<'_, libkdump_machine>,
    index: u32,
    text: Out<'_, *const c_char>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        Ok::<_, Failure>(text_step(text, &handle.advice, index)?)
    })
}

/// The running kernel's command line, lent until the machine is freed; NULL for what is no machine.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_cmdline(machine: Lent<'_, libkdump_machine>) -> *const c_char {
    machine.look().map_or(core::ptr::null(), |handle| handle.cmdline.as_ptr())
}

/// The running kernel's release, lent until the machine is freed; NULL when it is not known.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_release(machine: Lent<'_, libkdump_machine>) -> *const c_char {
    machine
        .look()
        .and_then(|handle| handle.release.as_ref())
        .map_or(core::ptr::null(), |release| release.as_ptr())
}
