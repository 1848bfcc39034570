//! Where each CPU leaves its registers when the kernel dies.

use alloc::vec::Vec;

use kdump_elf::PhysRange;

use super::MachineFiles;
use super::remark::Remarks;
use super::text_file::{parse_hex_file, parse_number_file};
use crate::{Error, room};

/// Bytes of a CPU's note where the kernel does not say (kernels before crash_notes_size).
const DEFAULT_SIZE: u64 = 1024;

/// The buffer one CPU writes its notes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuNote {
    /// The CPU's number.
    pub cpu: u32,
    /// Physical address of the buffer.
    pub paddr: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl CpuNote {
    /// The notes of all CPUs the kernel shows, by CPU number.
    ///
    /// The directories that exist are walked, so numbers may have gaps.
    pub(super) fn all(files: &MachineFiles, notes: &mut Remarks) -> Result<Vec<Self>, Error> {
        let all =
            files.numbered("sys/devices/system/cpu/cpu", "crash_notes").filter_map(|(cpu, path, text)| {
                let Some(paddr) = parse_hex_file(text) else {
                    notes.add(path, "is not a hexadecimal address; this CPU's registers will be missing");
                    return None;
                };
                let size_path = alloc::format!("{path}_size");
                let size = match files.get(&size_path).map(parse_number_file) {
                    Some(Some(size)) if size > 0 => size,
                    Some(_) => {
                        notes.add(&size_path, "is not a size; 1024 bytes are assumed");
                        DEFAULT_SIZE
                    }
                    None => DEFAULT_SIZE,
                };
                if let Err(error) = PhysRange::from_len(paddr, size) {
                    notes.add(
                        path,
                        alloc::format!("cannot be: {error}; this CPU's registers will be missing"),
                    );
                    return None;
                }
                Some(Self { cpu, paddr, size })
            });
        let mut all = room::collect("CPUs", all)?;
        all.sort_unstable_by_key(|note| note.cpu);
        Ok(all)
    }
}
