//! What a capture kernel is told of a machine, for loaders that place segments themselves.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::{Class, PhysRange};
use kdump_ffi_core::{
    BytesMut, Failure as Refusal, In, InOut, Items, ItemsMut, Out, buffer, c_layout, extensible,
    libkdump_error, slice,
};
use kdump_segments::RangeSet;
use kdump_segments::elfcorehdr::{ElfCoreHeader, LowMemory};
use kdump_segments::target::LowMemoryDecision;
use kdump_segments::target::x86::{capture_map, decide_low_memory};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::machine::libkdump_machine;
use crate::plan_options::backup_policy;
use crate::range::memory_number;

/// `fate` of low memory: the capture kernel may use it, and it is not dumped.
pub const LIBKDUMP_LOW_NOT_DUMPED: u32 = 1;
/// `fate` of low memory: what is saved from it is dumped, and the capture kernel may use it.
pub const LIBKDUMP_LOW_BACKED_UP: u32 = 2;
/// `fate` of low memory: it is dumped where it lies, and the capture kernel does not use it.
pub const LIBKDUMP_LOW_AS_IS: u32 = 3;

/// What becomes of the memory below 1 MiB, which an x86 capture kernel boots through.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_low_memory {
    /// `sizeof (struct libkdump_low_memory)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_LOW_ number.
    pub fate: u32,
    /// With LIBKDUMP_LOW_BACKED_UP: first address of what is to be saved.
    pub source: u64,
    /// Its bytes.
    pub length: u64,
    /// Physical address of the copy, as deep in a page as `source`. libkdump_machine_low_memory()
    /// gives 0; the caller puts in where it found room.
    pub destination: u64,
}

extensible!(libkdump_low_memory { fate: u32, source: u64, length: u64, destination: u64 });

/// A range of a memory map. It never grows, so arrays of it are plain arrays.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct libkdump_extent {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// LIBKDUMP_MEMORY_ number; not looked at where only the addresses matter.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
}

c_layout!(libkdump_extent { start: u64, length: u64, kind: u32, reserved: u32 });

/// Decides whether low memory must be saved before a capture kernel runs through it.
///
/// Parameters: `machine` the machine that may crash; `backup` a LIBKDUMP_BACKUP_ constant; `out`
/// receives the decision; `error` may be NULL. Errors: LIBKDUMP_ERR_INVALID.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_low_memory(
    machine: Lent<'_, libkdump_machine>,
    backup: u32,
    out: InOut<'_, libkdump_low_memory>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let decision = decide_low_memory(&handle.machine, backup_policy(backup)?, &mut Vec::new())?;
        let (fate, source, length) = match decision {
            LowMemoryDecision::Use => (LIBKDUMP_LOW_NOT_DUMPED, 0, 0),
            LowMemoryDecision::Keep => (LIBKDUMP_LOW_AS_IS, 0, 0),
            LowMemoryDecision::Save(range) => (LIBKDUMP_LOW_BACKED_UP, range.start(), range.size()),
        };
        Ok::<_, Failure>(
            out.set("out", libkdump_low_memory { size: 0, fate, source, length, destination: 0 })?,
        )
    })
}

/// The ELF core header of a machine, which the capture kernel is to find through elfcorehdr=.
///
/// Parameters: `machine` the machine that may crash; `low` what becomes of its low memory; `elf_class`
/// a LIBKDUMP_CLASS_ constant, 0 for that of 64 bits; `buf` and `len` the buffer, NULL and 0 to ask
/// for the size; `written` (may be NULL) receives the size, also when the buffer is too small; `error`
/// may be NULL. Errors: LIBKDUMP_ERR_BUFFER with `need`, LIBKDUMP_ERR_TOO_LARGE for 65535 program
/// headers or more, LIBKDUMP_ERR_INVALID when 32 bits cannot hold an address.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_elfcorehdr(
    machine: Lent<'_, libkdump_machine>,
    low: In<'_, libkdump_low_memory>,
    elf_class: u32,
    buf: BytesMut<'_>,
    len: usize,
    written: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let class = if elf_class == 0 { Class::Elf64 } else { kdump_ffi_core::class(elf_class)? };
        let header = ElfCoreHeader::new(&handle.machine, low_memory(low)?, class, &mut Vec::new())?;
        let (need, have) = (header.size(), len as u64);
        written.set_if_given("written", need)?;
        let bytes = header.encode()?;
        let target = buffer!(buf, len)?.get_mut(..bytes.len());
        target.ok_or(Refusal::Buffer { need, have })?.copy_from_slice(&bytes);
        Ok::<_, Failure>(())
    })
}

/// The memory map an x86 capture kernel is to be given: what is not RAM as the running kernel
/// knows it, and as RAM only what it may use.
///
/// Parameters: `machine` the machine that may crash; `low` what becomes of its low memory; `kept` and
/// `kept_count` the segments the capture kernel must not overwrite: elfcorehdr and the copy of low
/// memory; `map` and `capacity` receive the ranges, ascending and disjoint; `count` (may be NULL)
/// receives how many there are, also when there is no room for them; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_BUFFER with `need` in ranges, LIBKDUMP_ERR_INVALID for a range without bytes.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_capture_map(
    machine: Lent<'_, libkdump_machine>,
    low: In<'_, libkdump_low_memory>,
    kept: Items<'_, libkdump_extent>,
    kept_count: usize,
    map: ItemsMut<'_, libkdump_extent>,
    capacity: usize,
    count: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let kept = slice!(kept, kept_count)?.iter();
        let kept = kept.map(|extent| PhysRange::from_len(extent.start, extent.length));
        let mut bad = Ok(());
        let kept = kept.map_while(|range| range.map_err(|error| bad = Err(error)).ok());
        let kept = RangeSet::from_ranges(kept)?;
        bad?;
        let found = capture_map(&handle.machine, low_memory(low)?, &kept)?;
        count.set_if_given("count", found.len())?;
        let (need, have) = (found.len() as u64, capacity as u64);
        let target = buffer!(map, capacity)?.get_mut(..found.len());
        for (target, entry) in target.ok_or(Refusal::Buffer { need, have })?.iter_mut().zip(&found) {
            *target = libkdump_extent {
                start: entry.range.start(),
                length: entry.range.size(),
                kind: memory_number(entry.kind),
                reserved: 0,
            };
        }
        Ok::<_, Failure>(())
    })
}

fn low_memory(low: In<'_, libkdump_low_memory>) -> Result<LowMemory, Failure> {
    let libkdump_low_memory { size: _, fate, source, length, destination } = low.get("low")?;
    match fate {
        LIBKDUMP_LOW_NOT_DUMPED => Ok(LowMemory::NotDumped),
        LIBKDUMP_LOW_AS_IS => Ok(LowMemory::AsIs),
        LIBKDUMP_LOW_BACKED_UP => {
            let source = PhysRange::from_len(source, length)?;
            PhysRange::from_len(destination, length)?;
            Ok(LowMemory::BackedUp { source, destination })
        }
        other => {
            let (value, expected) = (u64::from(other), "a LIBKDUMP_LOW_ constant");
            Err(Refusal::Argument { name: "fate", value, expected }.into())
        }
    }
}
