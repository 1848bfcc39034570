//! A description of a machine: collected from its files, freed by the caller.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;

use kdump_elf::PhysRange;
use kdump_ffi_core::{Chars, InOut, Out, libkdump_error};
use kdump_segments::load::Status;
use kdump_segments::{Machine, MemoryMap};

use crate::boundary::call;
use crate::dump_open::optional_path;
use crate::failure::Failure;
use crate::handle::{Given, Handle, free, give};
use crate::range::{LIBKDUMP_MEMORY_RAM, libkdump_range};
use crate::texts::text;

/// A machine as it described itself. Any number of threads may use one at the same time.
#[derive(Debug)]
pub struct libkdump_machine {
    pub(crate) machine: Arc<Machine>,
    /// Where its files were read.
    pub(crate) root: PathBuf,
    /// By LIBKDUMP_RANGES_ number.
    pub(crate) ranges: [Vec<libkdump_range>; 7],
    pub(crate) notes: Vec<CString>,
    pub(crate) advice: Vec<CString>,
    pub(crate) cmdline: CString,
    pub(crate) release: Option<CString>,
}

impl Handle for libkdump_machine {
    const TAG: u32 = 0x6863616d;
}

/// Describes the machine whose /proc and /sys are below a directory.
///
/// Parameters: `root` that directory, NULL for "/" (the running machine); `machine` receives the
/// handle, to be freed with libkdump_machine_free(); `error` may be NULL. Errors:
/// LIBKDUMP_ERR_NOT_FOUND when /proc/iomem is missing, LIBKDUMP_ERR_IO when the kernel hides its
/// addresses from this user, LIBKDUMP_ERR_CORRUPT, LIBKDUMP_ERR_TOO_LARGE for files longer than any
/// machine's, LIBKDUMP_ERR_UNSUPPORTED for an unknown architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_collect(
    root: Chars<'_>,
    machine: Out<'_, *mut libkdump_machine>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let root = optional_path(root).unwrap_or_else(|| PathBuf::from("/"));
        let found = Machine::collect(&root)?;
        give(machine, "machine", describe(found, root)?)
    })
}

/// Frees a machine and the texts lent by it. Plans made of it stay valid.
///
/// Parameters: `machine` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_free(machine: Given<'_, libkdump_machine>) {
    free(machine);
}

pub(crate) fn describe(machine: Machine, root: PathBuf) -> Result<libkdump_machine, Failure> {
    let map = |map: &MemoryMap| list(map.iter().map(libkdump_range::memory));
    let ram = |ranges: &[PhysRange]| {
        list(ranges.iter().map(|range| libkdump_range::new(LIBKDUMP_MEMORY_RAM, *range)))
    };
    Ok(libkdump_machine {
        ranges: [
            map(&machine.memory)?,
            machine.firmware_map.as_ref().map(map).transpose()?.unwrap_or_default(),
            ram(&machine.crash_regions)?,
            ram(&machine.dump_ranges()?)?,
            ram(machine.cma_ranges.as_slice())?,
            ram(machine.gart.as_slice())?,
            ram(machine.crash_claimed.as_slice())?,
        ],
        notes: list(machine.remarks.iter().map(text))?,
        advice: Status::new(&machine).advice.iter().map(text).collect(),
        cmdline: text(&machine.cmdline),
        release: machine.release.as_ref().map(text),
        machine: Arc::new(machine),
        root,
    })
}

/// All `items`, of which the input decides how many there are.
fn list<T>(items: impl Iterator<Item = T>) -> Result<Vec<T>, Failure> {
    let mut list = Vec::new();
    for item in items {
        let need = (list.len() as u64).saturating_add(1).saturating_mul(size_of::<T>() as u64);
        list.try_reserve(1).map_err(|_| Failure::NoMemory { need })?;
        list.push(item);
    }
    Ok(list)
}
